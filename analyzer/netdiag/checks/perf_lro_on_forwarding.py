"""LRO enabled while forwarding/bridging.

## What it finds
A physical device that leads outside and joins packets in hardware (large receive offload), on a host that forwards.

## Why it matters
What was joined cannot be cut again as it was: the packets are too large for the bridge of the containers and are
dropped. Downloads of containers crawl or hang, those of the host itself are fast.

## How it is decided
Gates: `net.ipv4.ip_forward` is 1; a physical device leads outside (a member of a bond, the parent of a VLAN); its
offloads were collected (`ethtool -k`). `large-receive-offload: on` decides. The kernel switches it off itself when
forwarding is switched on, but not on every member of a bond, and not what a hypervisor does.

## Not a problem when
`rx-gro-hw` or `generic-receive-offload` is on: these can be undone.

## Repair
Switch it off, and for good in the configuration of the device.

## Verify
`ethtool -k` shows it off.

## References
moby/moby#32023; vmware/open-vm-tools#166; kernel net/core/dev.c (dev_disable_lro).
"""

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.checks._uplinks import nic_of, not_asked, physical_uplinks
from netdiag.finding import Evidence, Severity, Subject
from netdiag.model import Host
from netdiag.model.gates import collected

_FEATURE = "large-receive-offload"
_FORWARDING = "net.ipv4.ip_forward"


@check(Severity.ERROR, layer="link")
def perf_lro_on_forwarding(host: Host) -> Verdicts:
    gate = collected(host.root.sysctls, "whether the host forwards")
    if not gate.yes:
        yield unjudged(gate)
        return
    forwarding = host.root.sysctl(_FORWARDING)
    if forwarding is None or forwarding.value == "0":
        yield NotApplicable("the host does not forward")
        return
    devices, others = physical_uplinks(host)
    yield from others
    for link in devices:
        feature = nic_of(host, link).features.get(_FEATURE)
        if feature is None:
            yield not_asked(link, f"whether {link.name} joins packets in hardware", "-k")
        elif feature.enabled:
            yield Fault(
                message=f"`{link.name}` joins packets in hardware (LRO), and the host forwards them to containers",
                subjects=(Subject("interface", link.name),),
                evidence=(
                    Evidence(feature.span, "large receive offload is on"),
                    related(forwarding.span, "the host forwards"),
                    related(link.span, link.name),
                ),
                remedy=(sh("ethtool -K {} lro off", link.name),),
                verify=(sh("ethtool -k {} | grep large-receive-offload", link.name),),
            )
