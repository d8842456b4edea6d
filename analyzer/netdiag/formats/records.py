"""The records that formats read: one type for one meaning, whichever tool printed it.

`ip address` and `ifconfig` give a `Link`, `ip route` and `route -n` a `Route`, an iptables listing and `iptables-save`
a `Rule`. What a poorer source cannot know is None, never a guess. Names are those of the tools' own manuals.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

from netdiag.formats._json import JsonPlace
from netdiag.spans import Place, Span

IpAddress = IPv4Address | IPv6Address
IpInterface = IPv4Interface | IPv6Interface
IpNetwork = IPv4Network | IPv6Network


@dataclass(frozen=True)
class Address:
    """An address on a link, with its prefix length. `peer` is the far end of a point-to-point address.

    `flags` are the words of `ip address` (`secondary`, `dynamic`, `tentative`, ...); `details` keeps every other
    attribute.
    """

    address: IpInterface
    span: Span
    scope: str | None = None
    label: str | None = None
    broadcast: IpAddress | None = None
    peer: IpInterface | None = None
    flags: tuple[str, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Link:
    """A network interface.

    `index` is its ifindex in its own netns. `peer_index` is the number in `eth0@if7` (iflink: the peer of a veth, the
    parent of a macvlan), `peer_name` the name in `veth0@veth1` (the same in this netns). `peer_netns` is `link-netnsid
    N` as `N`, or `link-netns NAME` as `NAME`. `kind` is the word of the details line (`veth`, `bridge`, ...), known
    only from `ip -d`. `flags` are upper case as printed, None where they are not (`ip -br addr`, `ip -o addr`). `mac`
    is an Ethernet address (of `link/ether`). `details` keeps every other attribute by the word that precedes it, those
    of a kind as `bridge.forward_delay` and `bridge_slave.state`, counters as `rx.bytes`.
    """

    name: str
    span: Span
    index: int | None = None
    peer_index: int | None = None
    peer_name: str | None = None
    peer_netns: str | None = None
    flags: tuple[str, ...] | None = ()
    mtu: int | None = None
    state: str | None = None
    master: str | None = None
    kind: str | None = None
    mac: str | None = None
    addresses: tuple[Address, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def up(self) -> bool | None:
        """Administratively up: the UP flag, not the word after `state` (a bridge without carrier is up and in state
        DOWN). None where no flags are told.
        """
        return None if self.flags is None else "UP" in self.flags


@dataclass(frozen=True)
class NextHop:
    """One way of a route: `gateway` is None when the destination is on the link itself.

    `details` keeps every other attribute of a `nexthop` line (`encap`, `realms`).
    """

    gateway: IpAddress | None
    device: str | None
    weight: int | None = None
    flags: tuple[str, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Route:
    """A route. `type` is `unicast` unless printed otherwise (`local`, `broadcast`, `blackhole`, `unreachable`, ...;
    `reject` is what `route -n` tells by `!` of all that is refused).

    `table` is None where the tool does not tell (`route -n` and `ip route` without `table all` show the table main).
    `source` is the preferred source address (`src`). `flags` are the letters of `route -n`; iproute2's words
    (`linkdown`, `onlink`) belong to a next hop and stand there. Where `route` without `-n` prints the name of a
    gateway, its address is not told: then `details` keeps `gateway` and `device`, and there are no next hops.
    """

    destination: IpNetwork
    next_hops: tuple[NextHop, ...]
    span: Span
    type: str = "unicast"
    table: str | None = None
    protocol: str | None = None
    scope: str | None = None
    source: IpAddress | None = None
    metric: int | None = None
    flags: tuple[str, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NextHopMember:
    """A next hop of a group, by its id. The share of traffic that it takes is `weight`, 1 unless printed."""

    id: int
    weight: int = 1


@dataclass(frozen=True)
class NextHopObject:
    """A next hop object of `ip nexthop`, which routes name by `nhid`: one way, a group of others, or a blackhole.

    `flags` are iproute2's words (`onlink`, `linkdown`, `fdb`, `blackhole`); `details` keeps every other attribute.
    """

    id: int
    span: Span
    gateway: IpAddress | None = None
    device: str | None = None
    group: tuple[NextHopMember, ...] = ()
    protocol: str | None = None
    scope: str | None = None
    flags: tuple[str, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PolicyRule:
    """A line of `ip rule`: `selector` is the text between the priority and the action, `action` e.g. `lookup main`.

    `family` is `ipv4` or `ipv6`: the kernel keeps a list of rules for each, and prints them alike.
    """

    priority: int
    selector: str
    action: str
    span: Span
    family: str = "ipv4"


@dataclass(frozen=True)
class Neighbour:
    """An entry of the neighbour (ARP or ND) table. `state` is iproute2's word; `mac` is None while unresolved.

    `protocol` is who made the entry, where somebody said so (`proto zebra`).
    """

    address: IpAddress
    device: str
    mac: str | None
    state: str | None
    span: Span
    flags: tuple[str, ...] = ()
    protocol: str | None = None


@dataclass(frozen=True)
class BridgePort:
    """A port of a bridge as `bridge link` prints it. `state` is the STP state (`forwarding`, `disabled`, ...).

    `peer_name` is what the peer's ifindex is called here; `bridge link` does not tell that the peer is in another
    netns, where that ifindex is another interface. `details` keeps the words of `bridge -d link`.
    """

    index: int
    name: str
    bridge: str | None
    span: Span
    peer_index: int | None = None
    peer_name: str | None = None
    flags: tuple[str, ...] = ()
    mtu: int | None = None
    state: str | None = None
    priority: int | None = None
    cost: int | None = None
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FdbEntry:
    """A forwarding entry of a bridge or vxlan device."""

    mac: str
    device: str
    span: Span
    bridge: str | None = None
    vlan: int | None = None
    flags: tuple[str, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MdbEntry:
    """A multicast group that a port of a bridge, or the bridge itself, wants; `bridge mdb` prints a line for each.

    `group` is a MAC address for what is no group of IP's. `source` is told when only what that sender sends is wanted.
    `flags` are `temp` (learned), `permanent`, `offload`, ...; `timer` is in seconds until a learned group is
    forgotten, with `-s`; `details` keeps the words of `-d`.
    """

    group: IpAddress | str
    device: str
    port: str
    span: Span
    source: IpAddress | None = None
    flags: tuple[str, ...] = ()
    timer: float | None = None
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class MulticastRouterPorts:
    """The ports of a bridge behind which multicast routers are, so that all groups are sent there.

    With `-s` there is a line for each, which tells whether it is `temp` or `permanent`, and its timer in seconds.
    """

    bridge: str
    ports: tuple[str, ...]
    span: Span
    flag: str | None = None
    timer: float | None = None


@dataclass(frozen=True)
class BridgeVlan:
    """A VLAN, or a range of them up to `last`, on a port of a bridge or on the bridge itself, of `bridge vlan`.

    `flags` are `PVID` (of untagged frames that come in) and `Egress Untagged`. `details` keeps the
    words of `-d`, counters as `rx.bytes`.
    """

    device: str
    vlan: int
    last: int
    span: Span
    flags: tuple[str, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BridgeLine:
    """A bridge with its ports, of `brctl show`. `id` is its priority and MAC address in hexadecimal."""

    name: str
    id: str
    stp: bool
    interfaces: tuple[str, ...]
    span: Span


@dataclass(frozen=True)
class NamedNamespace:
    """A network namespace of `ip netns`: `id` is what this namespace calls it (`link-netnsid`), None when it has none.

    `name` is None for a namespace that `ip netns list-id` knows by its number only.
    """

    name: str | None
    id: int | None
    span: Span


@dataclass(frozen=True)
class NamespaceInUse:
    """A namespace of `lsns`, with the process of the lowest number in it. None is what the table does not tell.

    `inode` is what `readlink /proc/PID/ns/net` shows. `netns_id` is the number of a network namespace, None when it
    has none here (`unassigned`). `files` are the places where it is mounted.
    """

    inode: int
    span: Span
    type: str | None = None
    processes: int | None = None
    pid: int | None = None
    user: str | None = None
    netns_id: int | None = None
    files: tuple[str, ...] = ()
    command: str | None = None


@dataclass(frozen=True)
class NamespaceNumber:
    """The number by which the kernel knows a network namespace: the inode of `/proc/PID/ns/net`."""

    inode: int
    span: Span


@dataclass(frozen=True)
class ProcessLine:
    """A row of `ps`: `command` is the command line, or the name where the row shows nothing else (`[kthreadd]`).

    `netns` is the number of the network namespace that the process is in. None is what the table does not tell.
    """

    pid: int
    command: str
    span: Span
    netns: int | None = None
    user: str | None = None
    parent: int | None = None


@dataclass(frozen=True)
class Counters:
    """Packets and bytes. A listing without `-x` rounds large numbers (`268K`): then `exact` is False."""

    packets: int
    bytes: int
    exact: bool = True


@dataclass(frozen=True)
class Chain:
    """The head of an iptables chain. `policy` is None for a chain that somebody made; `references` only a listing
    tells.
    """

    family: str
    table: str
    name: str
    span: Span
    policy: str | None = None
    counters: Counters | None = None
    references: int | None = None


@dataclass(frozen=True)
class RulesetHead:
    """The first line of `iptables-save`. `backend` is `nft` or `legacy`; before 1.8 it is not said, and empty."""

    version: str
    backend: str
    span: Span


@dataclass(frozen=True)
class Match:
    """One condition of a rule in `iptables-save` words: `option` without its dashes, e.g. `ctstate`, `dport`,
    `dst-type`.
    """

    option: str
    value: str
    negated: bool = False


@dataclass(frozen=True)
class Rule:
    """One iptables rule, the same from a listing and from `iptables-save`.

    `family` is `ipv4` or `ipv6`. `position` counts the rules of the chain from 1. `protocol` is a lower-case name
    (`tcp`) or a number as text, None for any. `source` and `destination` are None for any; a non-contiguous mask or a
    host name is kept in `not_understood`. Interfaces are as printed (`br+` is a prefix), None for any. The `*_negated`
    fields belong to the field before. `target` is None for a rule that only counts; `goto` is True for `-g`. `matches`
    and `target_options` are sorted by option so that two listings of one rule are equal. `not_understood` keeps each
    extension that no rule of the grammar knows, as printed, and what a listing without `-v` leaves out: a rule that has
    any must not be reasoned about as if it matched everything.
    """

    family: str
    table: str
    chain: str
    position: int
    span: Span
    counters: Counters | None = None
    protocol: str | None = None
    protocol_negated: bool = False
    source: IpNetwork | None = None
    source_negated: bool = False
    destination: IpNetwork | None = None
    destination_negated: bool = False
    in_interface: str | None = None
    in_interface_negated: bool = False
    out_interface: str | None = None
    out_interface_negated: bool = False
    fragment: bool | None = None
    matches: tuple[Match, ...] = ()
    target: str | None = None
    goto: bool = False
    target_options: tuple[Match, ...] = ()
    comment: str | None = None
    not_understood: tuple[str, ...] = ()


@dataclass(frozen=True)
class NftTable:
    """A table of `nft list ruleset`. `family` is nft's word (`ip`, `ip6`, `inet`, `arp`, `bridge`, `netdev`).

    `handle` is known of `nft -a` only; so it is of everything below.
    """

    family: str
    name: str
    span: Span
    handle: int | None = None
    flags: tuple[str, ...] = ()
    comment: str | None = None


@dataclass(frozen=True)
class NftChain:
    """A chain; one without a `hook` is reached by jumps only. `priority` is a number, whichever name was printed."""

    family: str
    table: str
    name: str
    span: Span
    handle: int | None = None
    chain_type: str | None = None
    hook: str | None = None
    devices: tuple[str, ...] = ()
    priority: int | None = None
    policy: str | None = None
    comment: str | None = None


@dataclass(frozen=True)
class NftElement:
    """An element of a set, or with a `value` of a map (`jump other` in a verdict map). Quotes are left out.

    `details` keeps what stands with the element: `timeout`, `expires`, `comment`, `counter`, `limit`, ...
    """

    key: str
    value: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NftSet:
    """A named set or map. `key_type` is the type of its keys (of `typeof` the expression), `value_type` that of a map's
    values (`verdict` of a verdict map), None of a set.

    `details` keeps `size`, `timeout`, `gc-interval`, `policy`, `auto-merge` and the statements of its elements.
    """

    family: str
    table: str
    name: str
    span: Span
    handle: int | None = None
    key_type: str | None = None
    value_type: str | None = None
    flags: tuple[str, ...] = ()
    elements: tuple[NftElement, ...] = ()
    comment: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NftObject:
    """A named object of a table: `kind` is `counter`, `quota`, `limit`, `ct helper`, `flowtable`, ..."""

    family: str
    table: str
    kind: str
    name: str
    span: Span
    handle: int | None = None
    comment: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class NftMatch:
    """A condition of an nft rule: what is looked at (`ip saddr`, `meta mark & 0x000000ff`), how, and the values.

    Any one of the `values` is enough; `@name` is a named set. Quotes are left out.
    """

    left: str
    operator: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class NftStatement:
    """What an nft rule does: a verdict (`accept`, `jump` with `target`), `counter`, `dnat`, `vmap`, `limit`, `log`, ...

    `elements` are those of an anonymous map, by which `vmap` decides.
    """

    name: str
    details: Mapping[str, str] = field(default_factory=dict)
    elements: tuple[NftElement, ...] = ()


@dataclass(frozen=True)
class NftRule:
    """A rule of nft: conditions and statements in the order in which the kernel runs them.

    `position` counts the rules of the chain from 1. `not_understood` keeps the words that no rule of the grammar knows;
    a rule that has any must not be reasoned about as if they were not there.
    """

    family: str
    table: str
    chain: str
    position: int
    span: Span
    handle: int | None = None
    statements: tuple[NftMatch | NftStatement, ...] = ()
    comment: str | None = None
    not_understood: tuple[str, ...] = ()


@dataclass(frozen=True)
class ConntrackTuple:
    """One direction of a tracked connection. `packets` and `bytes` are counted only with nf_conntrack_acct on;
    `details` keeps what has no ports (`type`, `code` and `id` of ICMP).
    """

    source: IpAddress
    destination: IpAddress
    source_port: int | None = None
    destination_port: int | None = None
    packets: int | None = None
    bytes: int | None = None
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ConntrackEntry:
    """A tracked connection. After NAT `reply` is not the mirror of `original`: it shows who really answers.

    `timeout` is in seconds, `state` that of TCP, SCTP and DCCP; `flags` are `UNREPLIED`, `ASSURED`, ...
    """

    protocol: str
    original: ConntrackTuple
    reply: ConntrackTuple
    span: Span
    timeout: int | None = None
    state: str | None = None
    flags: tuple[str, ...] = ()
    mark: int | None = None
    zone: int | None = None
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ConntrackStatistics:
    """The counters of connection tracking on one CPU, by the kernel's names."""

    cpu: int
    counters: Mapping[str, int]
    span: Span


@dataclass(frozen=True)
class EbtablesChain:
    """The head of an ebtables chain; user-defined ones have a policy too. `entries` is the number of its rules."""

    table: str
    name: str
    policy: str
    entries: int
    span: Span


@dataclass(frozen=True)
class EbtablesRule:
    """A rule of ebtables: its options without their dashes, in the order printed, those behind `-j` for the target."""

    table: str
    chain: str
    position: int
    span: Span
    matches: tuple[Match, ...] = ()
    target: str | None = None
    target_options: tuple[Match, ...] = ()
    counters: Counters | None = None


@dataclass(frozen=True)
class IpSetMember:
    """An element of an ipset; `details` keeps `timeout`, `comment`, `packets`, `nomatch`, ..."""

    element: str
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class IpSet:
    """A set of `ipset list`. `members` is None for a list without them (`-t`); `details` keeps the other lines."""

    name: str
    span: Span
    set_type: str | None = None
    members: tuple[IpSetMember, ...] | None = None
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Sysctl:
    """A kernel setting by its dotted key."""

    key: str
    value: str
    span: Span


@dataclass(frozen=True)
class Process:
    """A process that holds a socket. `fd` is None where the tool does not tell (netstat).

    `name` is the kernel's name of the process (`ss`) or the first words of its command line (netstat).
    """

    name: str
    pid: int
    fd: int | None


@dataclass(frozen=True)
class Socket:
    """A socket. `address` is None for any address (`*`, `0.0.0.0` and `[::]` are told apart by `family`).

    `family` is `ipv4`, `ipv6` or `any` (a dual-stack `*`), None where the tool does not tell whether a socket on `::`
    is dual-stack (netstat, and `ss` before it printed brackets). `state` is the word of `ss`. Both queues are in bytes,
    but of a listener: `receive_queue` is then its current backlog, `send_queue` the most it may be, in connections;
    None where the tool does not tell. `port` is None for any port, and where the tool prints the name of a service
    (`ss` and netstat without `-n`), which `details` keeps as `service`. `details` keeps the peer of a connected socket
    too, and the words of `ss -e`, `-m`, `-o`, `-i`, `netstat -e` and `-o`.
    """

    protocol: str
    state: str
    family: str | None
    address: IpAddress | None
    port: int | None
    span: Span
    device: str | None = None
    receive_queue: int | None = None
    send_queue: int | None = None
    processes: tuple[Process, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PortMapping:
    """A port of the PORTS column: published when `host_port` is set, else only exposed."""

    protocol: str
    container_port: int
    host_address: IpAddress | None = None
    host_port: int | None = None


@dataclass(frozen=True)
class ContainerLine:
    """A row of the `docker ps` table. `id` has 12 digits unless `--no-trunc` was given; ports ranges are spread out."""

    id: str
    image: str
    command: str
    created: str
    status: str
    ports: tuple[PortMapping, ...]
    names: tuple[str, ...]
    span: Span


@dataclass(frozen=True)
class Endpoint:
    """A container's attachment to a network, as `docker inspect` prints it under `NetworkSettings.Networks`.

    `address` and `address6` carry the prefix length of the network; they are None while the container does not run.
    `gateway` and `gateway6` are the ways out that the engine chose, None on a network that has none (`--internal`).
    """

    network: str
    network_id: str
    endpoint_id: str
    place: JsonPlace
    address: IPv4Interface | None = None
    gateway: IPv4Address | None = None
    address6: IPv6Interface | None = None
    mac: str | None = None
    aliases: tuple[str, ...] = ()
    gateway6: IPv6Address | None = None

    @property
    def span(self) -> Span:
        return self.place.span


@dataclass(frozen=True)
class PublishedPort:
    """A host port that leads to a container port. `host_address` is None where the tool does not tell."""

    protocol: str
    container_port: int
    host_address: IpAddress | None
    host_port: int
    place: Place

    @property
    def span(self) -> Span:
        return self.place.span


@dataclass(frozen=True)
class WantedPort:
    """A port as the user asked to publish it (`HostConfig.PortBindings`), whether or not it is published now.

    `host_address` is None for all addresses. `host_port` is None where the engine shall choose one, of a range the
    first, and `last_host_port` the last.
    """

    protocol: str
    container_port: int
    host_address: IpAddress | None
    host_port: int | None
    last_host_port: int | None
    place: Place

    @property
    def span(self) -> Span:
        return self.place.span


@dataclass(frozen=True)
class ExposedPort:
    """A port, or a range up to `last`, that the image or the user declares (`EXPOSE`)."""

    protocol: str
    port: int
    last: int
    place: Place

    @property
    def span(self) -> Span:
        return self.place.span


@dataclass(frozen=True)
class Mount:
    """A directory or file of the host (`source`), or a volume, in a container. `kind` is `bind`, `volume`, ..."""

    kind: str
    source: str
    destination: str
    writable: bool | None
    place: Place

    @property
    def span(self) -> Span:
        return self.place.span


@dataclass(frozen=True)
class Remark:
    """A text that an engine gives, and where it stands."""

    text: str
    place: Place

    @property
    def span(self) -> Span:
        return self.place.span


def _span_beside(place: Place, path: tuple[str | int, ...]) -> Span:
    """Where the object of a place has what these keys lead to; the place itself in other outputs than JSON."""
    if not isinstance(place, JsonPlace):
        return place.span
    return JsonPlace(place.source, place.offset, (*place.path[:-1], *path)).span


@dataclass(frozen=True)
class Container:
    """A container. None stands for "not told" in every field that may be None.

    `state` is the engine's word (`running`, `paused`, `exited`, `created`, ...); `network_mode` is
    `HostConfig.NetworkMode`; `set_mac` is the MAC address that the user asked for, empty when none was asked for;
    `error` is why its last start failed (`State.Error`), empty when it did not. `engine` is whose container it is,
    `docker` or `podman`, which is also the command that commands it. `health` is the word of its health check
    (`starting`, `healthy`, `unhealthy`). `powers` are what it may do beyond the engine's default: `privileged`, and the
    capabilities that were added. `arguments` are its command line and `variables` the names in its environment;
    `proxies` are those of its variables that name a proxy (`http_proxy`, `no_proxy`, ...), in lower case. `dns` are the
    name servers that were asked for it, `links` the names that it knows others by. `project` and `service` are those of
    docker compose. `restarts` counts how often the engine started it again.
    `ports_told` is false when the output does not say which ports are published.
    `runtime` is the program that runs it (`runc`).
    """

    id: str
    name: str
    place: Place
    state: str | None = None
    pid: int | None = None
    network_mode: str | None = None
    sandbox_key: str | None = None
    set_mac: str | None = None
    started: datetime | None = None
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    ports_told: bool = True
    error: str | None = None
    engine: str = "docker"
    error_place: Place | None = None
    wanted_ports: tuple[WantedPort, ...] | None = None
    exposed: tuple[ExposedPort, ...] = ()
    mounts: tuple[Mount, ...] = ()
    health: str | None = None
    powers: tuple[Remark, ...] = ()
    arguments: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    proxies: Mapping[str, str] = field(default_factory=dict)
    dns: tuple[IpAddress, ...] | None = None
    links: tuple[str, ...] = ()
    image: str | None = None
    project: str | None = None
    service: str | None = None
    finished: datetime | None = None
    exit_code: int | None = None
    restarts: int | None = None
    restart_policy: str | None = None
    out_of_memory: bool | None = None
    runtime: str | None = None

    @property
    def span(self) -> Span:
        return self.place.span

    def span_at(self, *path: str | int) -> Span:
        """Where `inspect` tells something of the container, by the keys that lead there; the place of its name in other
        outputs.
        """
        return _span_beside(self.place, path)


@dataclass(frozen=True)
class Subnet:
    """An address range of a network. `gateway` may be absent from the inspect output of a network that has one (Docker
    20.10).

    `range` is the part that containers get addresses of (`--ip-range`), None for all of it; `reserved` are those that
    they do not get (`--aux-address`).
    """

    subnet: IpNetwork
    gateway: IpAddress | None
    place: Place
    range: IpNetwork | None = None
    reserved: tuple[IpAddress, ...] = ()

    @property
    def span(self) -> Span:
        return self.place.span


@dataclass(frozen=True)
class NetworkMember:
    """A running container in the `Containers` list of a network."""

    container_id: str
    name: str
    address: IPv4Interface | None
    mac: str | None
    place: Place
    address6: IPv6Interface | None = None

    @property
    def span(self) -> Span:
        return self.place.span


@dataclass(frozen=True)
class NetworkPeer:
    """A node of a swarm that has endpoints on an overlay network."""

    name: str
    address: IpAddress
    place: Place

    @property
    def span(self) -> Span:
        return self.place.span


@dataclass(frozen=True)
class Network:
    """A network of an engine. None stands for "not told": a network that is known only from a container's endpoint has
    no driver. `peers` are the nodes of an overlay network, this one among them; `ingress` is whether it is the one that
    a swarm publishes ports by.
    """

    id: str
    name: str
    place: Place
    created: datetime | None = None
    driver: str | None = None
    scope: str | None = None
    internal: bool | None = None
    config_only: bool | None = None
    enable_ipv4: bool | None = None
    options: Mapping[str, str] | None = None
    subnets: tuple[Subnet, ...] = ()
    members: tuple[NetworkMember, ...] | None = None
    enable_ipv6: bool | None = None
    attachable: bool | None = None
    labels: Mapping[str, str] | None = None
    engine: str = "docker"
    ingress: bool | None = None
    peers: tuple[NetworkPeer, ...] = ()

    @property
    def span(self) -> Span:
        return self.place.span


@dataclass(frozen=True)
class EngineVersion:
    """What `docker version` says of the server. `version` is e.g. `20.10.24+dfsg1`."""

    version: str
    api_version: str | None
    place: Place

    @property
    def span(self) -> Span:
        return self.place.span


@dataclass(frozen=True)
class AddressPool:
    """A range that the engine takes the subnets of new networks from: blocks of `size` bits of prefix in `base`."""

    base: IpNetwork
    size: int


@dataclass(frozen=True)
class Swarm:
    """What `docker info` says of a swarm that the engine is part of. None stands for "not told".

    `node_address` is the address that the other nodes know this one by, `managers` are those of all managers; only a
    manager tells the number of `nodes` and the UDP port of overlay networks (`data_path_port`).
    """

    place: Place
    node_address: IpAddress | None = None
    is_manager: bool | None = None
    managers: tuple[IpAddress, ...] = ()
    nodes: int | None = None
    data_path_port: int | None = None

    @property
    def span(self) -> Span:
        return self.place.span


@dataclass(frozen=True)
class EngineInfo:
    """What `docker info` says of the engine's host. `security_options` are e.g. `name=rootless`; `address_pools` are
    those that somebody configured, empty for the engine's own; `warnings` are the engine's about its own settings;
    `swarm` is None while the engine is not in one.
    """

    host_name: str | None
    operating_system: str | None
    security_options: tuple[str, ...]
    swarm_state: str | None
    firewall_driver: str | None
    ipv4_forwarding: bool | None
    live_restore: bool | None
    place: Place
    address_pools: tuple[AddressPool, ...] | None = None
    warnings: tuple[Remark, ...] = ()
    kernel: str | None = None
    http_proxy: str | None = None
    https_proxy: str | None = None
    no_proxy: str | None = None
    swarm: Swarm | None = None

    @property
    def span(self) -> Span:
        return self.place.span

    def span_at(self, *path: str | int) -> Span:
        """Where `docker info` tells something, by the keys that lead there; the place of the version in its text."""
        return _span_beside(self.place, path)


@dataclass(frozen=True)
class NoAnswer:
    """The docker client got no answer of an engine. `message` is what it says of that, empty where that is only in what
    it wrote to stderr.
    """

    message: str
    place: Place

    @property
    def span(self) -> Span:
        return self.place.span


@dataclass(frozen=True)
class PodmanInfo:
    """What `podman info` says of itself and its host. None stands for "not told".

    `distribution` is e.g. `debian 12`; `network_backend` is `netavark` or `cni`, which podman 3 does not tell;
    `rootless_network` is the program that connects rootless containers (`pasta`, `slirp4netns`), told from podman 5;
    `remote` is whether this podman only talks to another one.
    """

    version: str
    place: Place
    api_version: str | None = None
    host_name: str | None = None
    distribution: str | None = None
    rootless: bool | None = None
    network_backend: str | None = None
    rootless_network: str | None = None
    remote: bool | None = None

    @property
    def span(self) -> Span:
        return self.place.span


@dataclass(frozen=True)
class NetavarkDriver:
    """By what netavark programs podman's rules: `iptables`, `nftables`, `firewalld`; `none` when there are none."""

    driver: str
    span: Span


@dataclass(frozen=True)
class DaemonSetting:
    """A setting of the engine's daemon by its name in daemon.json; `value` is JSON text (`false`, `"none"`)."""

    name: str
    value: str
    place: Place

    @property
    def span(self) -> Span:
        return self.place.span


@dataclass(frozen=True, slots=True)
class Frame:
    """One function of a call stack, innermost first. `symbol` is None where the tool prints `[unknown]`.

    `offset` is in bytes from the symbol's start; `module` is the kernel (`[kernel.kallsyms]`), a kernel module or a
    file, None when inlined or not printed.
    """

    symbol: str | None
    address: int | None = None
    offset: int | None = None
    module: str | None = None
    inlined: bool = False


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """An event of a trace: a tracepoint, a traced function (`function`), a system call or a sample of a counter.

    `time` is in nanoseconds of the trace's own clock (`perf trace` without `-T`: since its first event). `pid` is the
    number beside the task's name, which the kernel gives to each thread; `tgid` the process, where both are printed.
    `flags` is the latency column as printed (`d.h2.`). `fields` are the event's `key=value` or `key: value`, as text;
    `text` is what stands there besides. `duration` (ns) is the time that a system call took.
    """

    name: str
    span: Span
    time: int | None = None
    task: str | None = None
    pid: int | None = None
    tgid: int | None = None
    cpu: int | None = None
    system: str | None = None
    flags: str | None = None
    duration: int | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    stack: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """One line of the function_graph tracer: `phase` is `entry`, `exit`, or `leaf` (a call without traced calls in it).

    `depth` counts the calls around it in this task, from 0. `duration` is in nanoseconds, None at an entry. `mark` is
    the tool's sign for a long duration (`+` above 10 us, `!` 100 us, `#` 1 ms, `*` 10 ms, `@` 100 ms, `$` 1 s).
    `function` is None at an exit that does not name it; `returned` is the return value as printed.
    """

    phase: str
    function: str | None
    depth: int
    span: Span
    duration: int | None = None
    mark: str | None = None
    time: int | None = None
    task: str | None = None
    pid: int | None = None
    cpu: int | None = None
    flags: str | None = None
    arguments: str | None = None
    returned: str | None = None
    caller: str | None = None


@dataclass(frozen=True, slots=True)
class TraceLoss:
    """Events are missing here: `count` of them, None when the tool does not know how many."""

    count: int | None
    cpu: int | None
    span: Span
    time: int | None = None


@dataclass(frozen=True, slots=True)
class TaskSwitch:
    """From here on a CPU runs another task (function_graph in tracefs). Names are cut to seven characters there."""

    cpu: int | None
    task: str
    pid: int
    next_task: str
    next_pid: int
    span: Span


@dataclass(frozen=True, slots=True)
class InterruptSection:
    """Between an `enters` and the one that leaves, function_graph lines of this CPU belong to an interrupt."""

    enters: bool
    cpu: int | None
    span: Span
    time: int | None = None
    task: str | None = None
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class TraceHead:
    """What a trace's head says of the whole of it: its tracer, CPUs, entries kept in the buffer and written to it."""

    span: Span
    tracer: str | None = None
    cpus: int | None = None
    entries: int | None = None
    written: int | None = None


@dataclass(frozen=True)
class KernelCounter:
    """A counter of a namespace's network stack by its name in `nstat` (`IpInReceives`, `TcpExtListenDrops`).

    `value` counts packets or events since the namespace began, where the name says `Octets` bytes; a few are settings
    or numbers of the moment (`TcpRtoMin` in ms, `TcpCurrEstab`). `rate` is the average a second that `nstat` prints.
    """

    name: str
    value: int
    span: Span
    rate: float | None = None


@dataclass(frozen=True)
class SoftnetCounters:
    """What one CPU did with packets that came in, since the system began: a line of /proc/net/softnet_stat.

    `processed` and `dropped` (its backlog was full) count packets, `time_squeeze` how often the budget ran out with
    work left, `received_rps` how often another CPU woke this one, `flow_limit` packets dropped by the flow limit.
    `backlog` is the number of packets that wait. Older kernels do not tell the last four. CPUs that are offline have no
    line, so that a line's place does not tell its CPU; `cpu` is printed since 5.10.
    """

    processed: int
    dropped: int
    time_squeeze: int
    span: Span
    received_rps: int | None = None
    flow_limit: int | None = None
    backlog: int | None = None
    cpu: int | None = None


@dataclass(frozen=True)
class Qdisc:
    """A queueing discipline. `parent` is `root` or a class (`1:10`, `ffff:fff1`); `options` are its words as printed.

    `sent_bytes`, `sent_packets`, `dropped` and `overlimits` count since it was made; `requeues` too. `backlog_bytes`
    and `backlog_packets` wait now; `tc` rounds the bytes above a KiB. All of them are None without `-s`. `device` is
    None where the command was asked for one device. `details` keeps the further statistics of its kind by their names,
    what is no number under `more`.
    """

    kind: str
    handle: str
    device: str | None
    parent: str | None
    span: Span
    options: str = ""
    sent_bytes: int | None = None
    sent_packets: int | None = None
    dropped: int | None = None
    overlimits: int | None = None
    requeues: int | None = None
    backlog_bytes: int | None = None
    backlog_packets: int | None = None
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LinkSettings:
    """What `ethtool DEVICE` prints. `speed` is in Mbit/s, None when unknown, as is `duplex` (`full`, `half`).

    `details` keeps every other setting by its name, the lines of a longer one joined by blanks.
    """

    device: str
    span: Span
    speed: int | None = None
    duplex: str | None = None
    autonegotiation: bool | None = None
    port: str | None = None
    link_detected: bool | None = None
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DriverInfo:
    """What `ethtool -i` prints of a device, which it does not name. `details` keeps `supports-statistics` and so on."""

    driver: str
    span: Span
    version: str | None = None
    firmware_version: str | None = None
    bus_info: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DeviceFeature:
    """An offload of `ethtool -k`. `fixed` ones cannot be changed; `requested` is what was asked for, where it differs.

    The old `ethtool` does not tell whether a feature is fixed: then it prints none as fixed.
    """

    device: str
    name: str
    enabled: bool
    span: Span
    fixed: bool = False
    requested: bool | None = None


@dataclass(frozen=True)
class RingParameters:
    """The rings of `ethtool -g`: `maximum` and `current` sizes by the names of the tool.

    They are in descriptors, `RX Buf Len` and `CQE Size` in bytes. What the device has not (`n/a`) is left out;
    `details` keeps the words (`TX Push`: `off`).
    """

    device: str
    span: Span
    maximum: Mapping[str, int] = field(default_factory=dict)
    current: Mapping[str, int] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DeviceCounter:
    """A counter of a driver (`ethtool -S`), by the driver's own name; the tool does not name the device.

    Some are no counters: `peer_ifindex` is the ifindex of a veth's other end in its own netns.
    """

    name: str
    value: int
    span: Span


@dataclass(frozen=True)
class NameServer:
    """A `nameserver` line of resolv.conf. `device` is the zone of a link-local address."""

    address: IpAddress
    span: Span
    device: str | None = None


@dataclass(frozen=True)
class ResolverSetting:
    """Another line of resolv.conf: `keyword` is `search`, `domain`, `options` or `sortlist`."""

    keyword: str
    values: tuple[str, ...]
    span: Span


@dataclass(frozen=True)
class ResolverRemark:
    """What Docker (from 25 on) notes in a container's resolv.conf about how it made it.

    `topic` is `host file` (its path, then `legacy` or `internal resolver`), `external` (the servers that the engine's
    resolver asks; `host(...)` are asked from the host), `overrides` (what was asked for), `defaults` (the engine's own
    servers are used), or `no external` (there is no server to ask).
    """

    topic: str
    values: tuple[str, ...]
    span: Span


@dataclass(frozen=True)
class HostNames:
    """A line of /etc/hosts: the names of an address, the canonical one first."""

    address: IpAddress
    names: tuple[str, ...]
    span: Span


@dataclass(frozen=True)
class FileEntry:
    """A line of `ls -l`. `kind` is `file`, `directory`, `link`, `socket`, `pipe`, `block` or `character`.

    `mode` are its nine letters, `owner` and `group` names or with `-n` numbers; `written` is known with `--full-time`;
    `target` is where a symbolic link leads.
    """

    path: str
    kind: str
    mode: str
    owner: str
    group: str
    span: Span
    size: int | None = None
    written: datetime | None = None
    target: str | None = None


@dataclass(frozen=True)
class UnitProperty:
    """A property of a systemd unit, by its name in `systemctl show`."""

    name: str
    value: str
    span: Span


@dataclass(frozen=True)
class JournalLine:
    """A line of the journal: what `program` wrote. `time` is None where the year and the zone are not told."""

    program: str
    message: str
    span: Span
    pid: int | None = None
    time: datetime | None = None


@dataclass(frozen=True)
class EngineEvent:
    """Something that happened to a container, a network or the engine itself, of `docker events` or `podman events`.

    `kind` is what it happened to (`container`, `network`, `daemon`, ...), `action` the engine's word (`start`, `die`,
    `connect`, ...) and `id` whose. `attributes` are those that were printed: `name`, the `exitCode` of a container
    that died, the `container` that a network was connected to, and with the engine's own format the labels.
    """

    time: datetime
    kind: str
    action: str
    id: str
    span: Span
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FirewalldZone:
    """A zone of firewalld, or with `ingress_zones` and `egress_zones` a policy for what goes from zones to zones.

    `marks` are `active` and `default`. `target` is what becomes of a packet that nothing else takes (`default`,
    `ACCEPT`, `DROP`, `%%REJECT%%`, of a policy `CONTINUE`). `services`, `ports` (`8080/tcp`), `forward_ports` and
    `rich_rules` are as printed. `forward` is whether it passes between the interfaces of the zone (firewalld 0.9).
    `details` keeps the other settings.
    """

    name: str
    span: Span
    marks: tuple[str, ...] = ()
    target: str | None = None
    interfaces: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    forward: bool | None = None
    masquerade: bool | None = None
    forward_ports: tuple[str, ...] = ()
    rich_rules: tuple[str, ...] = ()
    ingress_zones: tuple[str, ...] = ()
    egress_zones: tuple[str, ...] = ()
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class UfwSetting:
    """A line of ufw's files of settings, without the shell's quotes."""

    name: str
    value: str
    span: Span


@dataclass(frozen=True)
class OsReleaseField:
    """A line of os-release without the shell's quotes."""

    name: str
    value: str
    span: Span


@dataclass(frozen=True)
class Tracepoint:
    """A tracepoint of the kernel; the fields and the text behind it are its own."""

    name: str
    span: Span


@dataclass(frozen=True)
class TracepointField:
    """A field of a tracepoint's record; `offset` and `size` are bytes."""

    name: str
    declaration: str
    offset: int
    size: int
    span: Span


@dataclass(frozen=True)
class NamedNumber:
    """A number of a field that the kernel prints as a name."""

    field: str
    number: int
    name: str


@dataclass(frozen=True)
class TracepointText:
    """How the kernel prints a tracepoint: the format of `printf`, and the numbers that have names."""

    text: str
    names: tuple[NamedNumber, ...]
    span: Span


@dataclass(frozen=True)
class KernelFunction:
    """The function of the kernel that an address is in, and how many bytes behind its begin; `module` is empty for what
    is no module's.
    """

    address: int
    name: str
    offset: int
    span: Span
    module: str = ""

    @property
    def place(self) -> str:
        """The place as younger kernels print it instead of its address: `icmp_rcv+0x1d2`."""
        return f"{self.name}+{self.offset:#x}"


@dataclass(frozen=True)
class LegacyTable:
    """An iptables table of the legacy backend that is loaded in a namespace."""

    name: str
    span: Span


@dataclass(frozen=True)
class IptablesVersion:
    """What `iptables -V` prints. `backend` is `nft` or `legacy`; before 1.8 it is not said."""

    program: str
    version: str
    span: Span
    backend: str | None = None


@dataclass(frozen=True)
class LogLine:
    """A line of the collector's log. `time` is in UTC, ISO 8601."""

    time: str
    message: str
    span: Span


@dataclass(frozen=True)
class KernelMessage:
    """A line of the kernel's log. `time` is as printed: seconds since the start of the system, or a date.

    `level` is the word of `dmesg -x` (`err`, `warn`, ...), None where it is not printed.
    """

    text: str
    span: Span
    time: str = ""
    level: str | None = None


@dataclass(frozen=True)
class ManagedLink:
    """An interface as a program that sets interfaces up sees it: `manager` is `systemd-networkd` or `NetworkManager`.

    `state` is the column SETUP of `networkctl` (`configured`, `unmanaged`, ...) or STATE of `nmcli device` (`connected
    (externally)`, `unmanaged`, ...). `operational` is networkctl's word for the carrier and the addresses, `connection`
    the name of NetworkManager's profile.
    """

    manager: str
    device: str
    state: str
    span: Span
    kind: str | None = None
    operational: str | None = None
    connection: str | None = None
