"""How to collect again so that a bundle gets what it lacks."""

from collections.abc import Iterable, Sequence

from netdiag.finding import Subject
from netdiag.model import Host
from netdiag.model.gaps import Gap, Hindrance

COLLECT = "python3 netdiag_collect.py"

#: What to give the collector more of, several times its own default.
_MORE = {
    Hindrance.SLOW: "--timeout 60",
    Hindrance.LATE: "--max-time 1200",
    Hindrance.TOO_LARGE: "--max-bytes 134217728",
    Hindrance.NO_ROOM: "-o /var/tmp",
}

#: The packages of programs, of Debian and of Fedora.
_PACKAGES = {
    "ip": ("iproute2", "iproute"),
    "ss": ("iproute2", "iproute"),
    "bridge": ("iproute2", "iproute"),
    "nsenter": ("util-linux", "util-linux"),
    "sysctl": ("procps", "procps-ng"),
}

_MOST_COMMANDS = 5


def bundle_subject(host: Host) -> Subject:
    """The bundle, by the name of the host that it was made on."""
    return Subject("bundle", host.name or "bundle")


def again(gaps: Sequence[Gap]) -> tuple[str, ...]:
    """The commands that fill the gaps: what to install, what to look at by hand, and how to collect again."""
    hindrances = {gap.hindrance for gap in gaps}
    tools = dict.fromkeys(gap.tool for gap in gaps if gap.tool)
    packages = dict.fromkeys(_PACKAGES[tool] for tool in tools if tool in _PACKAGES)
    failed = dict.fromkeys(gap.command for gap in gaps if gap.hindrance is Hindrance.FAILED and gap.command)
    options = [option for hindrance, option in _MORE.items() if hindrance in hindrances]
    by_root = "sudo " if Hindrance.RIGHTS in hindrances else ""
    where = "  # on the host itself, not in a container" if Hindrance.NOT_SEEN in hindrances else ""
    return (
        *(f"apt-get install -y {debian} || dnf install -y {fedora}" for debian, fedora in packages),
        *list(failed)[:_MOST_COMMANDS],
        " ".join((by_root + COLLECT, *options)) + where,
    )


def listed(words: Iterable[str], most: int) -> str:
    """Each of the words once, the first ones of many: `a, b and 3 more`."""
    found = list(dict.fromkeys(words))
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more
