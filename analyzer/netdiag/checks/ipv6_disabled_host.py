"""IPv6 is switched off where a network wants it.

## What it finds
A bridge network with IPv6 on a host whose kernel runs without IPv6, or whose bridge has it switched off.

## Why it matters
The gateway's IPv6 address is gone, and containers with IPv6 addresses reach nobody outside; without IPv6 in the kernel
the network cannot be started at all ("cannot read IPv6 setup for bridge").

## How it is decided
Gates: the engine is here and has a bridge network with an IPv6 subnet; the settings of the host were collected. The
bridge's `disable_ipv6` decides; a kernel without IPv6 has no setting of it. It is an error when a container is on the
network, a warning when none is.

## Not a problem when
`disable_ipv6=1` stands in a container, for an interface on a network without IPv6: the engine sets that itself.

## Repair
Switch IPv6 on for the bridge and give it back its address; remove the line of /etc/sysctl.d or the kernel's option
`ipv6.disable=1` that switches it off.

## Verify
The setting reads 0 and the bridge has the gateway's address.

## References
docker/compose#3277; moby libnetwork/drivers/bridge (setupBridgeIPv6);
kernel Documentation/networking/ip-sysctl.rst (disable_ipv6).
"""

from netdiag.checks._addresses import containers_of
from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import addition, related, sh
from netdiag.checks._ipv6 import Ipv6Subnet, has_no_ipv6, ipv6_setting, ipv6_subnets
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Sysctl
from netdiag.model import Host
from netdiag.model.gates import collected


@check(Severity.ERROR, layer="ipv6")
def ipv6_disabled_host(host: Host) -> Verdicts:
    subnets, others = ipv6_subnets(host)
    yield from others
    known = collected(host.root.sysctls, "whether IPv6 is switched on")
    if subnets and known.unknown:
        yield unjudged(known)
        return
    members = containers_of(host, [each.bridge for each in subnets])
    for each in subnets:
        setting = ipv6_setting(host.root, each.bridge.device, "disable_ipv6")
        on_it = members.get(each.bridge.network.id, ())
        if setting and setting.value.strip() == "1":
            yield _off_on_bridge(host, each, setting, on_it)
    if subnets and has_no_ipv6(host.root):
        yield _off_in_kernel(host, subnets, used=bool(members))


def _off_on_bridge(host: Host, each: Ipv6Subnet, setting: Sysctl, on_it: tuple[Subject, ...]) -> Fault:
    device, name = each.bridge.device, each.bridge.network.name
    gateway = host.gateway_of(each.bridge.network, each.subnet)
    back = [addition(gateway, each.prefix.prefixlen, device)] if gateway else []
    return Fault(
        message=f"IPv6 is switched off on `{device}`, the bridge of network `{name}` ({each.prefix})",
        subjects=(*each.bridge.subjects, Subject("sysctl", setting.key)),
        evidence=(
            Evidence(setting.span, "IPv6 is off here"),
            related(each.subnet.span, f"network {name} has {each.prefix}"),
        ),
        remedy=(sh("sysctl -w {}=0", setting.key), *back),
        verify=(sh("sysctl {}", setting.key), sh("ip -6 addr show dev {}", device)),
        severity=None if on_it else Severity.WARNING,
        affects=on_it,
    )


def _off_in_kernel(host: Host, subnets: list[Ipv6Subnet], *, used: bool) -> Fault:
    names = list(dict.fromkeys(each.bridge.network.name for each in subnets))
    shown = next(iter(host.root.sysctls))
    return Fault(
        message=f"the kernel runs without IPv6, which networks {', '.join(f'`{name}`' for name in names)} want",
        subjects=(Subject("host", "host"), *(Subject("network", name) for name in names)),
        evidence=(
            Evidence(subnets[0].subnet.span, f"network {names[0]} has {subnets[0].prefix}"),
            related(shown.span, "no setting of net.ipv6 is among the kernel's, from here on"),
        ),
        remedy=(
            "sed -i 's/ipv6\\.disable=1//' /etc/default/grub",
            "update-grub || grub2-mkconfig -o /boot/grub2/grub.cfg",
        ),
        verify=("cat /proc/cmdline", "ls /proc/sys/net/ipv6"),
        severity=None if used else Severity.WARNING,
        affects=(Subject("host", "host"),),
    )
