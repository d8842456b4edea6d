"""Kernel settings that a namespace has once for all interfaces and once for each, and how the kernel joins the two."""

from netdiag.formats.records import Sysctl
from netdiag.model import Gate, Host, Namespace
from netdiag.model.gates import unknown
from netdiag.model.knowledge import YES


def interface_key(device: str, name: str) -> str:
    """The key of an interface's IPv4 setting. A dot in the interface's name is a slash there, as sysctl(8) wants it."""
    return f"net.ipv4.conf.{device.replace('.', '/')}.{name}"


def number(setting: Sysctl | None) -> int | None:
    """The value of a setting that is a number, None when it is not known."""
    text = setting.value.strip() if setting else ""
    return int(text) if text.lstrip("-").isdecimal() else None


def range_of(setting: Sysctl | None) -> tuple[int, int] | None:
    """The first and the last of a setting that is a range, such as ip_local_port_range; None when it is not known."""
    words = setting.value.split() if setting else []
    if len(words) != 2 or not all(word.isdecimal() for word in words):
        return None
    return int(words[0]), int(words[1])


def ranges_in(text: str) -> list[tuple[int, int]]:
    """`8080,40000-40010` as pairs of the first and the last."""
    found = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if first.isdecimal() and (last or first).isdecimal():
            found.append((int(first), int(last or first)))
    return found


def greater(netns: Namespace, device: str, name: str) -> Sysctl | None:
    """The one of `all` and the interface's own setting that decides where the kernel takes the greater of both
    (`IN_DEV_MAXCONF` and, of switches, `IN_DEV_ORCONF` in include/linux/inetdevice.h). None when one is not known.
    """
    both = [netns.sysctl(interface_key(each, name)) for each in ("all", device)]
    known = [setting for setting in both if setting and number(setting) is not None]
    return max(known, key=lambda setting: number(setting) or 0) if len(known) == len(both) else None


def settings_known(host: Host, what: str) -> Gate:
    """The host's settings were collected, so that one that is not there does not exist."""
    sysctls = host.root.sysctls
    return YES if sysctls.whole else unknown(what, "sysctl", because=sysctls.why)
