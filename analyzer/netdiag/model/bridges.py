"""The bridges of a namespace and their ports, each joined from what `ip -d link`, `bridge -d link`, `bridge vlan` and
`brctl show` tell of it.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from netdiag.formats.records import BridgeLine, BridgePort, BridgeVlan, Link
from netdiag.model.knowledge import Facts
from netdiag.spans import Span

#: A switch as iproute2's tools print it.
_SWITCH = {"on": True, "off": False, "1": True, "0": False}


@dataclass(frozen=True)
class Port:
    """A port of a bridge. `state` is the STP state (`forwarding`, `disabled`, ...); None is what nothing tells.

    `span` is the line that tells that it is a port of this bridge, `settings` are the first lines of the records that
    tell how it is set. `vlans` is empty when `bridge vlan` was not
    collected, and `vlans_known` then False.
    """

    name: str
    span: Span
    state: str | None = None
    hairpin: bool | None = None
    isolated: bool | None = None
    learning: bool | None = None
    flood: bool | None = None
    bcast_flood: bool | None = None
    locked: bool | None = None
    neigh_suppress: bool | None = None
    vlans: tuple[BridgeVlan, ...] = ()
    vlans_known: bool = False
    settings: tuple[Span, ...] = ()

    @property
    def settings_known(self) -> bool:
        """Its settings were collected, all those that its kernel has, and not just its state."""
        return self.learning is not None


@dataclass(frozen=True)
class Bridge:
    """A bridge. `stp` and `vlan_filtering` are its switches, `nf_call_iptables` whether it hands the frames that it
    forwards to iptables by itself, without net.bridge.bridge-nf-call-iptables. None is what nothing tells.
    """

    name: str
    span: Span
    ports: tuple[Port, ...] = ()
    stp: bool | None = None
    vlan_filtering: bool | None = None
    nf_call_iptables: bool | None = None
    vlans: tuple[BridgeVlan, ...] = ()

    @cached_property
    def _port_by_name(self) -> Mapping[str, Port]:
        return {port.name: port for port in self.ports}

    def port(self, name: str) -> Port | None:
        return self._port_by_name.get(name)


def build_bridges(
    links: Facts[Link], told: Sequence[BridgePort], vlans: Facts[BridgeVlan], tables: Sequence[BridgeLine]
) -> tuple[Bridge, ...]:
    """The bridges, in the order of the links. Ports that only `bridge link` or `brctl show` tells are there too."""
    by_port = {port.name: port for port in reversed(told)}
    of_device: dict[str, list[BridgeVlan]] = defaultdict(list)
    for vlan in vlans:
        of_device[vlan.device].append(vlan)
    ports: dict[str, dict[str, Span]] = defaultdict(dict)
    for link in links:
        if link.master:
            ports[link.master][link.name] = link.span
    for port in told:
        if port.bridge and port.bridge != port.name:
            ports[port.bridge].setdefault(port.name, port.span)
    for table in tables:
        for name in table.interfaces:
            ports[table.name].setdefault(name, table.span)
    by_name = {link.name: link for link in reversed(links.items)}
    by_table = {table.name: table for table in reversed(tables)}
    known = {link.name: link.span for link in links if _is_bridge(link, ports, by_table)}
    found = {**{table.name: table.span for table in tables}, **known}
    return tuple(
        _bridge(
            name,
            span,
            by_name.get(name),
            by_table.get(name),
            tuple(
                _port(port, at, by_name.get(port), by_port.get(port), of_device.get(port, ()), known=bool(vlans.items))
                for port, at in ports[name].items()
            ),
            tuple(of_device.get(name, ())),
        )
        for name, span in found.items()
    )


def _is_bridge(link: Link, ports: Mapping[str, object], tables: Mapping[str, object]) -> bool:
    """By its kind; where that is not told by a port that it has (a bond, a team and a VRF have a kind of their own)."""
    return link.kind == "bridge" or (link.kind is None and (link.name in ports or link.name in tables))


def _bridge(
    name: str,
    span: Span,
    link: Link | None,
    table: BridgeLine | None,
    ports: tuple[Port, ...],
    vlans: tuple[BridgeVlan, ...],
) -> Bridge:
    details = link.details if link else {}
    stp = _switch(details.get("bridge.stp_state"))
    return Bridge(
        name=name,
        span=span,
        ports=ports,
        stp=table.stp if stp is None and table else stp,
        vlan_filtering=_switch(details.get("bridge.vlan_filtering")),
        nf_call_iptables=_switch(details.get("bridge.nf_call_iptables")),
        vlans=vlans,
    )


def _port(
    name: str, span: Span, link: Link | None, told: BridgePort | None, vlans: Sequence[BridgeVlan], *, known: bool
) -> Port:
    slave = {
        key.partition(".")[2]: value
        for key, value in (link.details if link else {}).items()
        if key.startswith("bridge_slave.")
    }
    details = {**slave, **(told.details if told else {})}
    return Port(
        name=name,
        span=span,
        state=(told.state if told else None) or slave.get("state"),
        hairpin=_switch(details.get("hairpin")),
        isolated=_switch(details.get("isolated")),
        learning=_switch(details.get("learning")),
        flood=_switch(details.get("flood")),
        bcast_flood=_switch(details.get("bcast_flood")),
        locked=_switch(details.get("locked")),
        neigh_suppress=_switch(details.get("neigh_suppress")),
        vlans=tuple(vlans),
        vlans_known=known,
        settings=tuple(each.span for each in (told, link) if each),
    )


def _switch(word: str | None) -> bool | None:
    return _SWITCH.get(word or "")
