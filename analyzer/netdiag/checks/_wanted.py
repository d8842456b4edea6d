"""The flows that should pass on a host with bridge networks, as each hook of the firewall on their way sees them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address

from netdiag.checks._docker import Attachment, BridgeNetwork, attachments, published_ports
from netdiag.finding import Subject
from netdiag.formats.records import Container, IpAddress, PublishedPort, Route
from netdiag.model import Host
from netdiag.model.flow import Flow
from netdiag.model.gates import bridge_name, bridge_option, is_local_bridge, is_managed_here, reaches_outside
from netdiag.model.knowledge import all_of, once
from netdiag.spans import Span

#: What nearly every container asks outside: a name, and something by HTTPS; the answer comes to a port like the last
#: one.
_ASKED_OUTSIDE = (("udp", 53), ("tcp", 443))
_EPHEMERAL = 50000

#: Somebody far away, in no range that rules usually name.
SOMEBODY: Mapping[int, IpAddress] = {4: IPv4Address("23.145.67.89"), 6: IPv6Address("2a0e:fd45:1:2::9")}

#: A port that no rule names, so that only rules for all ports take what goes to it.
_SOME_SERVICE = 9999

#: Priorities of the hooks: what comes before the translation of destinations, and what after it.
_DNAT = -100
_BEFORE_DNAT = (-1000000, _DNAT - 1)
_AFTER_DNAT = (_DNAT + 1, 1000000)
_ALL = (-1000000, 1000000)


@dataclass(frozen=True)
class Stage:
    """A flow as the chains of a hook within a range of priorities see it."""

    hook: str
    flow: Flow
    priorities: tuple[int, int] = _ALL


@dataclass(frozen=True)
class Wanted:
    """A flow that should pass, whose it is, and where the bundle says that it is wanted.

    `incoming` flows are connections from outside to a published port; `answer` is one to what was asked before.
    `outside` is the end of the flow that is somebody outside, `source` or `destination`, empty when none is.
    """

    what: str
    subject: Subject
    place: Span
    network: BridgeNetwork
    stages: tuple[Stage, ...]
    outside: str = ""
    incoming: bool = False
    answer: bool = False

    @property
    def forwarded(self) -> Flow:
        """The flow as chain FORWARD sees it."""
        return next(stage.flow for stage in self.stages if stage.hook == "FORWARD")


# --- which flows should pass ------------------------------------------------------------------------------------------


@once
def wanted_flows(host: Host) -> tuple[Wanted, ...]:
    """New connections to each published port, from each container to the outside with the answers to them, and between
    the containers of a network where they meet the rules of IP.
    """
    networks = [n for n in host.networks if all_of(is_managed_here(host, n), is_local_bridge(host, n)).yes]
    attached = list(attachments(host, [BridgeNetwork(n, bridge_name(host, n)) for n in networks]))
    outside = [each for each in attached if reaches_outside(each.bridge.network).yes]
    return (
        *_published(host, outside),
        *(flow for each in outside for version in (4, 6) for flow in _ways_out(host, each, version)),
        *_between(host, attached),
    )


def uplink(host: Host, version: int = 4) -> str | None:
    """The device of the default route."""
    routes: Iterable[Route] = host.root.routes if version == 4 else host.root.ipv6_routes
    for route in routes:
        default = route.destination.version == version and route.destination.prefixlen == 0
        if default and route.type == "unicast" and route.table in (None, "main") and route.next_hops:
            return route.next_hops[0].device
    return None


def address_of(attachment: Attachment, version: int) -> IpAddress | None:
    """The container's address on the network."""
    endpoint = attachment.endpoint
    found = endpoint.address if version == 4 else endpoint.address6
    return found.ip if found else None


def own_address(host: Host, device: str | None, version: int) -> IpAddress | None:
    """An address of the host on a device, which is what packets from outside ask for."""
    link = host.root.link(device) if device else None
    found = (each.address.ip for each in (link.addresses if link else ()) if each.address.version == version)
    return next((address for address in found if not address.is_link_local), None)


def _published(host: Host, attached: Sequence[Attachment]) -> Iterator[Wanted]:
    by_container: dict[str, list[Attachment]] = defaultdict(list)
    for attachment in attached:
        by_container[attachment.container.id].append(attachment)
    for container, port in published_ports(host):
        version = port.host_address.version if port.host_address else 4
        if port.host_address is not None and port.host_address.is_loopback:
            continue
        carriers = (each for each in by_container[container.id] if address_of(each, version))
        for attachment in carriers:
            yield _to_port(host, attachment, container, port, version)
            break


def _to_port(host: Host, attachment: Attachment, container: Container, port: PublishedPort, version: int) -> Wanted:
    device = uplink(host, version)
    bound = port.host_address if port.host_address and not port.host_address.is_unspecified else None
    asked = Flow(
        protocol=port.protocol,
        in_interface=device,
        destination=bound or own_address(host, device, version),
        destination_port=port.host_port,
        source=SOMEBODY[version],
        source_port=_EPHEMERAL,
    )
    translated = replace(
        asked,
        out_interface=attachment.bridge.device,
        destination=address_of(attachment, version),
        destination_port=port.container_port,
        original_destination_port=port.host_port,
        original_destination=asked.destination,
    )
    stages = (
        Stage("INGRESS", asked),
        Stage("PREROUTING", asked, _BEFORE_DNAT),
        Stage("PREROUTING", translated, _AFTER_DNAT),
        Stage("FORWARD", translated),
        Stage("POSTROUTING", translated),
    )
    return Wanted(
        f"connections to published port {port.host_port}/{port.protocol}",
        Subject("container", container.name),
        port.span,
        attachment.bridge,
        stages,
        outside="source",
        incoming=True,
    )


def _ways_out(host: Host, attachment: Attachment, version: int) -> Iterator[Wanted]:
    address = address_of(attachment, version)
    if address is None:
        return
    bridge, device = attachment.bridge, uplink(host, version)
    subject, name = Subject("network", bridge.network.name), bridge.network.name
    place = attachment.container.span
    for protocol, port in _ASKED_OUTSIDE:
        out = Flow(protocol, bridge.device, device, address, SOMEBODY[version], port, source_port=_EPHEMERAL)
        stages = tuple(Stage(hook, out) for hook in ("INGRESS", "PREROUTING", "FORWARD", "POSTROUTING"))
        what = f"connections of network {name} to the outside"
        yield Wanted(what, subject, place, bridge, stages, outside="destination")
        returned = Flow(
            protocol,
            device,
            bridge.device,
            SOMEBODY[version],
            address,
            _EPHEMERAL,
            state="ESTABLISHED",
            source_port=port,
        )
        own = own_address(host, device, version)
        stages = (
            Stage("INGRESS", replace(returned, destination=own)),
            Stage("PREROUTING", replace(returned, destination=own), _BEFORE_DNAT),
            Stage("PREROUTING", returned, _AFTER_DNAT),
            Stage("FORWARD", returned),
            Stage("POSTROUTING", returned),
        )
        what = f"answers to what network {name} asks outside"
        yield Wanted(what, subject, place, bridge, stages, outside="source", answer=True)


def _between(host: Host, attached: Sequence[Attachment]) -> Iterator[Wanted]:
    """Between the first two containers of each network, where br_netfilter shows what a bridge carries to iptables."""
    by_bridge: dict[str, list[Attachment]] = defaultdict(list)
    for attachment in attached:
        if attachment.endpoint.address and bridge_option(attachment.bridge.network, "enable_icc") != "false":
            by_bridge[attachment.bridge.device].append(attachment)
    for device, members in by_bridge.items():
        if len(members) < 2 or not filters_bridged(host, device):
            continue
        one, other, network = members[0], members[1], members[0].bridge.network
        flow = Flow(
            "tcp",
            device,
            device,
            source=address_of(one, 4),
            destination=address_of(other, 4),
            destination_port=_SOME_SERVICE,
            bridged=True,
        )
        stages = tuple(Stage(hook, flow) for hook in ("PREROUTING", "FORWARD", "POSTROUTING"))
        what = f"connections between the containers of network {network.name}"
        yield Wanted(what, Subject("network", network.name), one.container.span, members[0].bridge, stages)


def filters_bridged(host: Host, device: str) -> bool:
    """Whether iptables sees IPv4 packets that stay on this bridge: the sysctl or the bridge's own setting says so."""
    sysctl, link = host.root.sysctl("net.bridge.bridge-nf-call-iptables"), host.root.link(device)
    own = link.details.get("bridge.nf_call_iptables") if link else None
    return (sysctl is not None and sysctl.value == "1") or own == "1"
