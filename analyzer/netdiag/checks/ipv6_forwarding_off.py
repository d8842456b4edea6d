"""net.ipv6.conf.all.forwarding=0.

## What it finds
A host that does not forward IPv6 packets although it has bridge networks with IPv6.

## Why it matters
Containers reach the host and each other by IPv6, and nothing else; programs that try IPv6 first wait for a time-out
before they take IPv4.

## How it is decided
Gates: the engine is here and has a bridge network with an IPv6 subnet that is meant to reach the outside. The setting
for all interfaces decides; those of single interfaces only say whether they act as a router's. From Linux 6.17 on an
interface may have `force_forwarding`: then nothing is said.

## Not a problem when
Only internal networks have IPv6. Docker switches forwarding on when it makes a network with IPv6, but not with
`ip-forward: false`, and not with its nftables backend.

## Repair
Switch forwarding on, and keep it on with a file in /etc/sysctl.d. On an uplink that gets its address by router
advertisements, set `accept_ra=2` first, or the host loses its own default route.

## Verify
The sysctl reads 1.

## References
docker/for-linux#359; moby libnetwork/drivers/bridge/setup_ipv6_linux.go; kernel net/ipv6/ip6_output.c (ip6_forward).
"""

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import related
from netdiag.checks._ipv6 import Ipv6Subnet, ipv6_setting, ipv6_subnets, outward
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Sysctl
from netdiag.model import Host
from netdiag.model.gates import unknown, uplinks

KEY = "net.ipv6.conf.all.forwarding"


@check(Severity.ERROR, layer="ipv6", symptom_of=("ipv6-disabled-host",))
def ipv6_forwarding_off(host: Host) -> Verdicts:
    subnets, others = ipv6_subnets(host)
    yield from others
    leading_out, inner = outward(subnets)
    yield from inner
    if not leading_out:
        return
    setting = host.root.sysctl(KEY)
    if setting is None:
        yield unjudged(unknown(f"whether the host forwards IPv6 packets ({KEY})", "sysctl"))
    elif setting.value.strip() == "0" and not _is_forced(host, leading_out):
        yield _fault(host, setting, leading_out)


def _is_forced(host: Host, subnets: list[Ipv6Subnet]) -> bool:
    settings = (ipv6_setting(host.root, each.bridge.device, "force_forwarding") for each in subnets)
    return any(setting and setting.value.strip() == "1" for setting in settings)


def _fault(host: Host, setting: Sysctl, subnets: list[Ipv6Subnet]) -> Fault:
    names = list(dict.fromkeys(each.bridge.network.name for each in subnets))
    listening = [
        device
        for device in sorted(uplinks(host, 6))
        if (found := ipv6_setting(host.root, device, "accept_ra")) and found.value.strip() == "1"
    ]
    ending = ", ".join(f"`{name}`" for name in names)
    return Fault(
        message=f"the host does not forward IPv6 packets, so networks {ending} end at the host",
        subjects=(Subject("sysctl", KEY), *(Subject("network", name) for name in names)),
        evidence=(
            Evidence(setting.span, "forwarding is off"),
            *(
                related(each.subnet.span, f"network {each.bridge.network.name} has {each.prefix}")
                for each in subnets[:5]
            ),
        ),
        remedy=(
            *(f"sysctl -w net.ipv6.conf.{device}.accept_ra=2" for device in listening),
            f"sysctl -w {KEY}=1",
            f"echo '{KEY} = 1' >/etc/sysctl.d/99-docker-forward-ipv6.conf",
        ),
        verify=(f"sysctl {KEY}", "grep -r forwarding /etc/sysctl.conf /etc/sysctl.d"),
    )
