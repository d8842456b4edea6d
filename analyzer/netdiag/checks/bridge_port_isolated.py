"""Port isolation (`isolated on`) blocks container-to-container.

## What it finds
Two or more running containers of one bridge network whose ports of the bridge are isolated.

## Why it matters
The kernel's bridge passes no frame from an isolated port to another one. The containers reach their gateway and the
outside, and others reach them, but they cannot reach each other: not even ARP is answered.

## How it is decided
Gates: the containers run and have a namespace of their own; the network is a local bridge; the settings of the bridge's
ports were collected (`bridge -d link`, or `ip -d link`). The word `isolated on` of at least two ports of one bridge
decides. Where the network was made with `enable_icc=false` nothing shall pass between its containers anyway, and the
finding is a note.

## Not a problem when
One port alone is isolated: it still reaches all others. Or the containers of the network shall be kept apart.

## Repair
Switch the isolation off; then look for what switched it on (a hardening script, a tool for virtual machines that took
the veths for its own).

## Verify
`bridge -d link` shows `isolated off`, and the containers reach each other.

## References
bridge(8); Linux 4.18, commit 7d850abd5f4e ("net: bridge: add support for port isolation").
"""

from collections import defaultdict

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import related, sh
from netdiag.checks._veths import ContainerPort, container_ports, port_of, setting_span, settings_unknown
from netdiag.finding import Evidence, Severity, Subject
from netdiag.model import Host
from netdiag.model.gates import bridge_option
from netdiag.spans import Span


@check(Severity.ERROR, layer="bridge")
def bridge_port_isolated(host: Host) -> Verdicts:
    ports, others = container_ports(host)
    yield from others
    isolated: dict[str, list[tuple[ContainerPort, Span]]] = defaultdict(list)
    for port in ports:
        if not port.enslaved:
            continue
        found = port_of(host, port.outer)
        if found and found.isolated:
            isolated[port.bridge].append((port, setting_span(found, "isolated on")))
        elif found is None or not found.settings_known:
            yield settings_unknown(f"whether {port.outer.name} of container {port.container} is isolated")
    for together in isolated.values():
        if len(together) > 1:
            yield _fault(together)


def _fault(isolated: list[tuple[ContainerPort, Span]]) -> Fault:
    first = isolated[0][0]
    network = first.attachment.bridge.network
    containers = list(dict.fromkeys(port.container for port, _ in isolated))
    shall_not_talk = bridge_option(network, "enable_icc") == "false"
    names = " and ".join(f"`{name}`" for name in containers)
    return Fault(
        message=f"the ports of {names} on bridge `{first.bridge}` are isolated from each other",
        subjects=(
            *first.attachment.bridge.subjects,
            *(Subject("container", name) for name in containers),
            *(Subject("interface", port.outer.name) for port, _ in isolated),
        ),
        evidence=(
            *(Evidence(span, f"the port of {port.container}") for port, span in isolated),
            related(network.span, f"network {network.name} uses this bridge"),
        ),
        remedy=tuple(sh("bridge link set dev {} isolated off", port.outer.name) for port, _ in isolated),
        verify=tuple(sh("bridge -d link show dev {}", port.outer.name) for port, _ in isolated),
        severity=Severity.NOTE if shall_not_talk else None,
    )
