"""Bridge near/at 1023 ports.

## What it finds
A bridge of a Docker network with 1000 ports or more.

## Why it matters
The kernel numbers a bridge's ports with ten bits, so a bridge has 1023 at most. Then no container can be started on the
network any more: `adding interface vethX to bridge br-Y failed: exchange full`.

## How it is decided
Gates: the engine is here; the network is a local bridge; the links of the host were collected. The links with this
bridge as master are counted: from 1000 on it is a warning, at 1023 an error.

## Not a problem when
The host has more containers than that, but on several networks: each bridge has its own numbers.

## Repair
Spread the containers over several networks. Delete the veths that belong to no container (link-veth-orphan).

## Verify
The number of ports.

## References
kernel net/bridge/br_private.h (BR_PORT_BITS); moby/moby#44973; moby/moby#14718; moby/moby#34098.
"""

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import BridgeNetwork, bridge_networks, related, sh
from netdiag.checks._veths import words_of
from netdiag.finding import Evidence, Severity
from netdiag.formats.records import Link
from netdiag.model import Host
from netdiag.model.gates import collected

_MOST = 1023
_MANY = 1000


@check(Severity.WARNING, layer="bridge")
def bridge_port_limit(host: Host) -> Verdicts:
    bridges, others = bridge_networks(host, collected(host.root.links, "the links of the host"))
    yield from others
    for bridge in bridges:
        ports = host.root.ports_of(bridge.device)
        if len(ports) >= _MANY:
            yield _fault(bridge, ports)


def _fault(bridge: BridgeNetwork, ports: tuple[Link, ...]) -> Fault:
    first, last = ports[0], ports[-1]
    on = f"master {bridge.device}"
    return Fault(
        message=f"bridge `{bridge.device}` of network `{bridge.network.name}` has {len(ports)} of {_MOST} ports",
        subjects=bridge.subjects,
        evidence=(
            Evidence(words_of(first.span, on), "the first of its ports"),
            related(words_of(last.span, on), f"the last of its {len(ports)} ports"),
            related(bridge.network.span, f"network {bridge.network.name} uses this bridge"),
        ),
        remedy=(sh("{} network create {}", bridge.network.engine, f"{bridge.network.name}-2"),),
        verify=(sh("ip -o link show master {} | wc -l", bridge.device),),
        severity=Severity.ERROR if len(ports) >= _MOST else None,
    )
