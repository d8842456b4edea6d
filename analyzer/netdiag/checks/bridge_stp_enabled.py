"""STP enabled on a Docker bridge.

## What it finds
A bridge of a Docker network that runs the spanning tree protocol.

## Why it matters
The bridge lets each new port wait for twice its forward delay (30 seconds by default) before it passes a frame: a
container that has just been started has no network for so long, and what it tries at its start fails.

## How it is decided
Gates: the engine is here; the network is a local bridge; the links of the host were collected with details. `stp_state
1` decides. Ports that forwarded before STP was switched on go on doing so.

## Not a problem when
The administrator made the bridge and it has ports to other switches: STP keeps loops away then. Such a bridge, with
another port than veths, is not named.

## Repair
Switch STP off. The engine makes bridges without it.

## Verify
`ip -d link` shows `stp_state 0`, and a new container's port is in state forwarding at once.

## References
kernel Documentation/networking/bridge.rst; moby libnetwork/osl stpEnabled.
"""

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import BridgeNetwork, bridge_networks, other_networks, related, sh
from netdiag.checks._veths import words_of
from netdiag.finding import Evidence, Severity
from netdiag.formats.records import Link
from netdiag.model import Host
from netdiag.model.gates import collected, unknown


@check(Severity.NOTE, layer="bridge")
def bridge_stp_enabled(host: Host) -> Verdicts:
    bridges, others = bridge_networks(host, collected(host.root.links, "the links of the host"))
    yield from others
    yield from other_networks(host)
    running: list[tuple[BridgeNetwork, Link]] = []
    for bridge in bridges:
        link = host.root.link(bridge.device)
        if link is None:
            continue
        answer = host.root.runs_stp(bridge.device)
        if answer is None:
            why = "the list of links has no details"
            yield unjudged(unknown(f"whether {bridge.device} runs the spanning tree protocol", "ip_addr", because=why))
        elif answer and all(port.kind == "veth" for port in host.root.ports_of(link.name)):
            running.append((bridge, link))
    if running:
        yield _fault(running)


def _fault(running: list[tuple[BridgeNetwork, Link]]) -> Fault:
    names = ", ".join(f"`{link.name}`" for _, link in running)
    return Fault(
        message=f"the spanning tree protocol runs on {names}: a new container waits for its network",
        subjects=tuple(subject for bridge, _ in running for subject in bridge.subjects),
        evidence=(
            *(Evidence(words_of(link.span, "stp_state 1"), "STP is on") for _, link in running),
            *(related(b.network.span, f"network {b.network.name} uses {b.device}") for b, _ in running),
        ),
        remedy=tuple(sh("ip link set dev {} type bridge stp_state 0", link.name) for _, link in running),
        verify=tuple(sh("ip -d link show dev {}", link.name) for _, link in running),
    )
