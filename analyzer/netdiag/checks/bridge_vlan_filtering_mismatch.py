"""vlan_filtering on a Docker bridge without matching PVID/untagged.

## What it finds
A running container on a bridge that filters VLANs, whose port does not have the bridge's own VLAN untagged both ways.

## Why it matters
The bridge drops the container's frames where their VLAN is not allowed, or hands them on with a tag that nobody takes:
the container does not reach its gateway.

## How it is decided
Gates: the container runs and has a namespace of its own; the network is a local bridge, and the veth is a port of it;
the VLANs of the ports were collected (`bridge vlan`). `vlan_filtering 1` of the bridge is the condition. A frame of the
container enters the VLAN of its port's `PVID`. The bridge's own interface, which has the gateway's address, must carry
that VLAN as its `PVID` and `Egress Untagged`, and so must the port.

## Not a problem when
The kernel has no VLAN filtering: `bridge vlan` shows just its heading then, and the bridge passes all frames.

## Repair
Give the port the VLAN of the bridge, or switch the filtering off.

## Verify
`bridge vlan` shows the VLAN for both, and the gateway answers.

## References
bridge(8); ip-link(8); kernel net/bridge/br_vlan.c.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.checks._veths import ContainerPort, container_ports, words_of
from netdiag.finding import Evidence, Severity
from netdiag.formats.records import BridgeVlan, Link
from netdiag.model import Host
from netdiag.model.gates import collected

_DEFAULT_VLAN = 1


@check(Severity.ERROR, layer="bridge")
def bridge_vlan_filtering_mismatch(host: Host) -> Verdicts:
    ports, others = container_ports(host)
    yield from others
    vlans: dict[str, list[BridgeVlan]] = defaultdict(list)
    for vlan in host.root.bridge_vlans:
        vlans[vlan.device].append(vlan)
    for port in ports:
        bridge, switch = host.root.link(port.bridge), host.root.bridge(port.bridge)
        if not port.enslaved or bridge is None or switch is None or not switch.vlan_filtering:
            continue
        gate = collected(host.root.bridge_vlans, f"the VLANs of container {port.container}'s port")
        if not gate.yes:
            yield unjudged(gate)
        elif fault := _judge(port, bridge, vlans):
            yield fault


def _judge(port: ContainerPort, bridge: Link, vlans: Mapping[str, Sequence[BridgeVlan]]) -> Fault | None:
    of_bridge, of_port = vlans.get(bridge.name, ()), vlans.get(port.outer.name, ())
    own = _untagged_both_ways(of_bridge)
    if own is not None and own == _untagged_both_ways(of_port):
        return None
    wanted = own or _DEFAULT_VLAN
    shown = [*of_port, *of_bridge]
    evidence = [Evidence(words_of(bridge.span, "vlan_filtering 1"), "the bridge filters VLANs")]
    evidence += [related(vlan.span, f"a VLAN of {vlan.device}") for vlan in shown[:_MOST_SHOWN]]
    evidence.append(related(port.inner.span, f"the other end of {port.outer.name}, in container {port.container}"))
    add_self = sh("bridge vlan add dev {} vid {} pvid untagged self", bridge.name, wanted)
    return Fault(
        message=f"bridge `{bridge.name}` filters VLANs, and the port of container `{port.container}` {_lack(of_port)}",
        subjects=port.subjects,
        evidence=tuple(evidence),
        remedy=(
            sh("bridge vlan add dev {} vid {} pvid untagged", port.outer.name, wanted),
            *((add_self,) if own is None else ()),
        ),
        verify=(sh("bridge vlan show dev {}", port.outer.name), sh("bridge vlan show dev {}", bridge.name)),
    )


_MOST_SHOWN = 6


def _untagged_both_ways(vlans: Sequence[BridgeVlan]) -> int | None:
    """The VLAN that frames without a tag enter, when they also leave without one."""
    return next((v.vlan for v in vlans if "PVID" in v.flags and "Egress Untagged" in v.flags), None)


def _lack(of_port: Sequence[BridgeVlan]) -> str:
    entered = next((vlan.vlan for vlan in of_port if "PVID" in vlan.flags), None)
    if not of_port:
        return "carries none"
    return "has no VLAN for frames without a tag" if entered is None else f"puts its frames into VLAN {entered}"
