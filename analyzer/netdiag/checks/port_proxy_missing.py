"""docker-proxy absent for a published port.

## What it finds
A published port for which the userland proxy should listen on the host, and does not.

## Why it matters
DNAT rules serve clients from outside. Who asks 127.0.0.1, a container that asks the host's address, and an IPv6 client
of a container without IPv6 need the proxy: they are refused. The port is not reserved either, so that another program
can take it.

## How it is decided
Gates: Docker manages this namespace, with the userland proxy on; the sockets of the host are all in the bundle. Each
published TCP and UDP port of a running container needs a socket on its address; a dual-stack socket counts for both
versions of IP. Which program holds it does not matter.

## Not a problem when
The userland proxy is switched off; the engine is rootless; the network is in gateway mode routed, where no port of the
host is bound.

## Repair
Restart the container: that starts its proxies.

## Verify
`ss` shows docker-proxy on the port.

## References
moby cmd/docker-proxy; moby/moby#11185.
"""

from collections import defaultdict

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import no_containers, other_containers, published_ports, sh
from netdiag.checks._listeners import Listeners, is_for
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Container, PublishedPort
from netdiag.model import Host
from netdiag.model.gates import engine_is_here, is_settled, uses_proxy, whole
from netdiag.model.knowledge import all_of

_MOST_NAMED = 5


@check(Severity.WARNING, layer="port")
def port_proxy_missing(host: Host) -> Verdicts:
    ports = [(c, p) for c, p in published_ports(host, "docker") if p.protocol in ("tcp", "udp")]
    if not ports:
        nothing = host.engine.absent or "no running container publishes a port"
        yield no_containers(host, nothing, "which ports are published")
        return
    gate = all_of(engine_is_here(host), uses_proxy(host), whole(host.root.sockets, "who listens on the host"))
    if not gate.yes:
        yield NotApplicable(gate.why) if gate.no else unjudged(gate)
        return
    listeners = Listeners(host.root.sockets)
    missing: dict[str, list[PublishedPort]] = defaultdict(list)
    owners: dict[str, Container] = {}
    for container, port in ports:
        if any(is_for(socket, port) for socket in listeners.on(port.protocol, port.host_port)):
            continue
        owners[container.id] = container
        missing[container.id].append(port)
    for identity, lost in missing.items():
        settled = is_settled(host, f"the ports of container {owners[identity].name}", owners[identity].started)
        yield _fault(owners[identity], lost) if settled.yes else unjudged(settled)
    yield from other_containers(host, "which other ports are published")


def _fault(container: Container, lost: list[PublishedPort]) -> Fault:
    names = list(dict.fromkeys(f"{port.host_port}/{port.protocol}" for port in lost))
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return Fault(
        message=f"nothing on the host listens on published port {', '.join(names[:_MOST_NAMED])}{more} of container"
        f" `{container.name}`, although the userland proxy is on",
        subjects=(Subject("container", container.name), *(Subject("port", name) for name in names)),
        evidence=tuple(
            Evidence(port.span, f"published on {port.host_address or 'the host'}, and no socket there")
            for port in lost[:_MOST_NAMED]
        ),
        remedy=(sh("docker restart {}", container.name),),
        verify=(sh("ss -tulpn 'sport = :{}'", lost[0].host_port),),
    )
