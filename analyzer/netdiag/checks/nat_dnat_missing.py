"""Published port without DNAT rule.

## What it finds
A port that a running container publishes, and no rule in nat chain DOCKER that leads it to the container.

## Why it matters
With the userland proxy the port still answers, but by the proxy: the container sees the bridge's gateway as the client.
Without it, the engine's own socket takes the connection and nothing ever answers.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace; the container runs, has its own namespace and publishes the
port on an IPv4 address; its networks are not all in gateway mode routed or internal, and it has IPv4. A DNAT rule fits
when protocol, host port and host address do, and when it leads to the container's port on one of the container's
addresses. The finding is a warning when docker-proxy runs for the port. When chain DOCKER is gone altogether,
nat-docker-jump-missing says so instead.

## Not a problem when
The network routes instead of translating (gateway mode routed); swarm publishes the port (chain DOCKER-INGRESS).

## Repair
Append the rule that the engine would have made, or restart the container.

## Verify
The rule is there, and the container sees the client's own address.

## References
moby integration/network/bridge/iptablesdoc/generated/usernet-portmap.md; moby/moby#10354; moby/moby#41795;
moby/moby#28589.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import IPv6Address

from netdiag.checks._base import Fault, NotApplicable, Unjudged, Verdicts, check, unjudged
from netdiag.checks._docker import chain_span, published_ports, related, sh
from netdiag.checks._ports import proxies
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import Container, Endpoint, IpNetwork, PublishedPort, Rule, Socket
from netdiag.model import FirewallTable, Host
from netdiag.model.firewall import matched, port_matches, target_option
from netdiag.model.gates import bridge_name, bridge_option, manages_iptables, table_known, unknown, uses_proxy
from netdiag.model.knowledge import all_of
from netdiag.model.proxies import PortProxy

#: Where rules stand that do not ask for one port by its number.
_SEVERAL_PORTS = ""


@check(
    Severity.ERROR,
    layer="nat",
    symptom_of=(
        "nat-docker-jump-missing",
        "filter-docker-chains-missing",
        "bundle-two-daemons",
        "bundle-live-restore-drift",
    ),
)
def nat_dnat_missing(host: Host) -> Verdicts:
    ports = [
        (container, port)
        for container, port in published_ports(host, "docker")
        if not isinstance(port.host_address, IPv6Address) and _wants_dnat(host, container)
    ]
    if host.engine.absent:
        yield NotApplicable(host.engine.absent)
        return
    if not ports:
        yield _nothing_published(host)
        return
    gate = all_of(table_known(host, "nat"), manages_iptables(host))
    if not gate.yes:
        yield NotApplicable(gate.why) if gate.no else unjudged(gate)
        return
    with_docker = [table for table in host.root.tables("nat") if "DOCKER" in table.chains]
    answering = proxies(host)
    translations = _by_port(rule for table in with_docker for rule in table.rules_after("DOCKER"))
    for container, port in ports if with_docker else ():
        candidates = (*translations[str(port.host_port)], *translations[_SEVERAL_PORTS])
        if not any(_leads_to(host, rule, container, port) for rule in candidates):
            yield _fault(host, with_docker[0], container, port, answering.get((port.host_port, port.protocol)))
    if not host.containers.whole:
        yield unjudged(unknown("which other ports are published", "docker_inspect", because=host.containers.why))


def _by_port(rules: Iterable[Rule]) -> Mapping[str, Sequence[Rule]]:
    """The DNAT rules by the one port that they ask for; those with a range or a service's name stand together."""
    found: dict[str, list[Rule]] = defaultdict(list)
    for rule in rules:
        if rule.target == "DNAT":
            port = matched(rule, "dport")
            found[port if port.isdecimal() else _SEVERAL_PORTS].append(rule)
    return found


def _nothing_published(host: Host) -> NotApplicable | Unjudged:
    if host.containers.whole:
        return NotApplicable("no running container publishes a port on IPv4")
    return unjudged(unknown("which ports are published", "docker_inspect", because=host.containers.why))


def _wants_dnat(host: Host, container: Container) -> bool:
    """Not when the container has only IPv6, or only networks that route instead of translating or are internal."""
    if not host.addresses_of(container) and any(endpoint.address6 for endpoint in container.endpoints):
        return False
    networks = [network for endpoint in container.endpoints if (network := host.network(endpoint.network_id))]
    without = (network.internal or bridge_option(network, "gateway_mode_ipv4") == "routed" for network in networks)
    return not networks or not all(without)


def _leads_to(host: Host, rule: Rule, container: Container, port: PublishedPort) -> bool:
    if rule.protocol != port.protocol or not port_matches(rule, port.host_port):
        return False
    if rule.destination is not None and not _is_bound_within(port, rule.destination):
        return False
    goal = target_option(rule, "to-destination")
    addresses = host.addresses_of(container)
    if not addresses or _is_on_overlay(host, container):  # then it has an address on docker_gwbridge as well
        return goal.rpartition(":")[2] == str(port.container_port)
    return goal in {f"{address}:{port.container_port}" for address in addresses}


def _is_on_overlay(host: Host, container: Container) -> bool:
    networks = (host.network(endpoint.network_id) for endpoint in container.endpoints)
    return any(network and network.driver == "overlay" for network in networks)


def _is_bound_within(port: PublishedPort, network: IpNetwork) -> bool:
    """The port is published on an address of the network; where the bundle does not tell the address it may be."""
    return port.host_address is None or (not port.host_address.is_unspecified and port.host_address in network)


def _fault(
    host: Host, table: FirewallTable, container: Container, port: PublishedPort, proxy: PortProxy | None
) -> Fault:
    name = f"{port.host_port}/{port.protocol}"
    evidence = [
        Evidence(chain_span(table.chains["DOCKER"]), f"no DNAT for host port {name} here"),
        related(port.span, f"container {container.name} publishes it for its port {port.container_port}"),
    ]
    if proxy:
        evidence.append(related(proxy.span, "docker-proxy still answers on the port"))
    elif placeholder := _placeholder_of(host, port):
        waiting = f", {placeholder.receive_queue} wait there" if placeholder.receive_queue else ""
        evidence.append(
            related(placeholder.span, f"the engine's own socket takes connections and answers none{waiting}")
        )
    return Fault(
        message=f"published port {name} of container `{container.name}` has no DNAT rule",
        subjects=(Subject("container", container.name), Subject("port", name)),
        evidence=tuple(evidence),
        remedy=_remedy(host, container, port),
        verify=("iptables -t nat -L DOCKER -v -n -x",),
        severity=Severity.WARNING if proxy else Severity.ERROR,
        confidence=Confidence.HIGH if host.root.firewall.whole else Confidence.MEDIUM,
    )


def _placeholder_of(host: Host, port: PublishedPort) -> Socket | None:
    """The socket by which the daemon keeps the port for itself when it runs without docker-proxy."""
    sockets = (s for s in host.root.sockets if s.port == port.host_port and s.protocol == port.protocol)
    return next((s for s in sockets if any(process.name == "dockerd" for process in s.processes)), None)


def _remedy(host: Host, container: Container, port: PublishedPort) -> tuple[str, ...]:
    """The engine's own rule, on the network that carries the container's default route as far as that is known."""
    endpoint = next(_endpoints_with_bridge(host, container), None)
    if endpoint is None or endpoint.address is None:
        return (sh("docker restart {}", container.name),)
    network = host.network(endpoint.network_id)
    not_from_bridge = sh("! -i {} ", bridge_name(host, network)) if network and not uses_proxy(host).no else ""
    address = port.host_address
    bound = f"-d {address}/32 " if address is not None and not address.is_unspecified else ""
    goal = f"{endpoint.address.ip}:{port.container_port}"
    protocol = sh("-p {0} -m {0} --dport {1}", port.protocol, port.host_port)
    return (f"iptables -t nat -A DOCKER {bound}{not_from_bridge}{protocol} -j DNAT --to-destination {goal}",)


def _endpoints_with_bridge(host: Host, container: Container) -> Iterator[Endpoint]:
    for endpoint in container.endpoints:
        network = host.network(endpoint.network_id)
        if network and endpoint.address and network.driver in ("bridge", None) and not network.internal:
            yield endpoint
