"""userland-proxy disabled but bridge port lacks hairpin_mode.

## What it finds
A running container with published ports, on a host without the userland proxy, whose port of the bridge does not send
frames back where they came from.

## Why it matters
The container cannot reach its own published port by the host's address: DNAT leads the packet back to the port that it
came in by, and the bridge drops it there. Everybody else reaches it.

## How it is decided
Gates: the userland proxy is off, by the daemon's settings or by the rule that the engine programs without it; the
container runs, has a namespace of its own and publishes a port over IPv4; the network is a local bridge that translates
addresses; the settings of the bridge's ports were collected (`bridge -d link`, or `ip -d link`). The word `hairpin off`
decides.

## Not a problem when
The userland proxy is on: then the container's own connections go through the proxy, and `hairpin off` is right. The
network routes instead of translating (gateway mode routed).

## Repair
Switch hairpin mode on. The engine does that when it connects a container, so a veth that somebody put back on its
bridge by hand lacks it, and so does every container that ran on with live-restore while the proxy was switched off.

## Verify
`bridge -d link` shows `hairpin on`, and the container reaches its own published port.

## References
moby libnetwork/drivers/bridge setHairpinMode; bridge(8).
"""

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.checks._veths import ContainerPort, container_ports, port_of, setting_span, settings_unknown
from netdiag.finding import Evidence, Severity
from netdiag.formats.records import PublishedPort
from netdiag.model import Host
from netdiag.model.gates import translates_addresses, uses_proxy
from netdiag.spans import Span


@check(Severity.ERROR, layer="bridge")
def bridge_hairpin_missing(host: Host) -> Verdicts:
    ports, others = container_ports(host)
    proxy = uses_proxy(host)
    if proxy.yes:
        yield NotApplicable("the userland proxy is on")
        return
    yield from others
    for port in ports:
        published = _published_over_ipv4(port)
        if not published or not port.enslaved or translates_addresses(port.attachment.bridge.network).no:
            continue
        found = port_of(host, port.outer)
        if found is None or found.hairpin is None:
            yield settings_unknown(f"whether container {port.container} reaches its own published ports")
        elif not found.hairpin:
            span = setting_span(found, "hairpin off")
            yield _fault(port, published, span) if proxy.no else unjudged(proxy)


def _published_over_ipv4(port: ContainerPort) -> PublishedPort | None:
    ports = port.attachment.container.ports
    return next((each for each in ports if each.host_address is None or each.host_address.version == 4), None)


def _fault(port: ContainerPort, published: PublishedPort, span: Span) -> Fault:
    veth = port.outer.name
    return Fault(
        message=f"container `{port.container}` cannot reach its own published ports: `{veth}` is set to `hairpin off`",
        subjects=port.subjects,
        evidence=(
            Evidence(span, "the bridge sends nothing back through this port"),
            related(published.span, f"published as {published.host_port}/{published.protocol}"),
            related(port.inner.span, f"its other end, in container {port.container}"),
        ),
        remedy=(sh("bridge link set dev {} hairpin on", veth),),
        verify=(sh("bridge -d link show dev {}", veth),),
    )
