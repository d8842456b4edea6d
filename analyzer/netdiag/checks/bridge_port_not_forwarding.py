"""Bridge port of a running container stuck in listening/learning/blocking/disabled.

## What it finds
A port of a Docker bridge that leads to a running container, has a carrier, and whose state is not `forwarding`.

## Why it matters
The bridge drops every frame from and to the container: it has no network, although its interface, address and routes
look right.

## How it is decided
Gates: the container runs and has a namespace of its own; the network is a local bridge that is up; the veth is a port
of it, up and with carrier; the state of the port was collected (`bridge link`, or `ip -d link`). Where the spanning
tree protocol (STP) runs on the bridge, a port is in listening and learning for twice the forward delay after it came
up: then it is only said when the container has run for longer than that.

## Not a problem when
The port has no carrier, because one end of the veth is down: `disabled` is right then, and link-veth-down or
link-container-iface-down says why. `blocking` on a bridge with STP is how STP cuts a loop.

## Repair
Switch STP off where nobody needs it, and take the port down and up again: with STP off a port stays in the state that
it was left in. On a bridge of the administrator's own with ports to other switches leave STP on, and find the loop.

## Verify
`bridge link` shows the port in state forwarding.

## References
kernel Documentation/networking/bridge.rst; bridge(8); moby libnetwork/osl waitForBridgePort, stpEnabled.
"""

from datetime import timedelta

from netdiag.checks._base import Fault, Unjudged, Verdicts, check
from netdiag.checks._docker import related, sh
from netdiag.checks._veths import (
    ContainerPort,
    container_ports,
    port_of,
    setting_span,
    settings_unknown,
    words_of,
)
from netdiag.finding import Evidence, Severity
from netdiag.formats.records import Link
from netdiag.model import Host
from netdiag.spans import Span

#: Hundredths of a second, as `ip -d link` prints `forward_delay`.
_TICKS_PER_SECOND = 100
_DEFAULT_FORWARD_DELAY = 1500
_TRANSITIONAL = {"listening", "learning"}


@check(Severity.ERROR, layer="bridge")
def bridge_port_not_forwarding(host: Host) -> Verdicts:
    ports, others = container_ports(host)
    yield from others
    for port in ports:
        bridge = host.root.link(port.bridge)
        if not port.enslaved or bridge is None or bridge.up is False or not port.has_carrier:
            continue
        found = port_of(host, port.outer)
        state = found.state if found else None
        stp = bool(host.root.runs_stp(port.bridge))
        if found is None or state is None:
            yield settings_unknown(f"whether bridge {port.bridge} passes the frames of container {port.container}")
        elif state == "forwarding":
            continue
        elif stp and state in _TRANSITIONAL and not _should_be_over(host, port, bridge):
            yield Unjudged(
                f"whether the port of container {port.container} stays in state {state}",
                "the spanning tree protocol lets a new port wait: collect again in a minute",
                (),
                (sh("bridge link show dev {}", port.outer.name),),
            )
        else:
            span = setting_span(found, f"state {state}")
            yield _fault(port, bridge, state, span, stp=stp)


def _should_be_over(host: Host, port: ContainerPort, bridge: Link) -> bool:
    """The container has run for longer than STP lets a port wait."""
    started, now = port.attachment.container.started, host.collected_from
    delay = bridge.details.get("bridge.forward_delay", "")
    ticks = int(delay) if delay.isdecimal() else _DEFAULT_FORWARD_DELAY
    waiting = timedelta(seconds=2 * ticks / _TICKS_PER_SECOND)
    return started is not None and now is not None and now - started > waiting


def _fault(port: ContainerPort, bridge: Link, state: str, span: Span, *, stp: bool) -> Fault:
    veth = port.outer.name
    evidence = [
        Evidence(span, f"the port of container {port.container} is in state {state}"),
        related(port.inner.span, f"its other end, in container {port.container}"),
    ]
    if stp:
        evidence.append(related(words_of(bridge.span, "stp_state 1"), "the bridge runs the spanning tree protocol"))
    return Fault(
        message=f"bridge `{port.bridge}` keeps the port of container `{port.container}` (`{veth}`) {state}",
        subjects=port.subjects,
        evidence=tuple(evidence),
        remedy=(
            *((sh("ip link set dev {} type bridge stp_state 0", port.bridge),) if stp else ()),
            sh("ip link set dev {} down", veth),
            sh("ip link set dev {} up", veth),
        ),
        verify=(sh("bridge link show dev {}", veth),),
    )
