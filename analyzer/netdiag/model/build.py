"""Documents of one bundle joined into a `Host`.

Where two sources tell the same fact the richer one is taken: `ip address` before `ifconfig`, `ip route` before `route
-n`, `iptables-save` before a listing, `docker inspect` before `docker ps`. Nothing is judged here.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, partial
from typing import TypeVar

from netdiag.bundle import Bundle, NotCollected
from netdiag.formats import Document
from netdiag.formats.records import (
    BridgeLine,
    BridgePort,
    BridgeVlan,
    ConntrackEntry,
    ConntrackStatistics,
    Container,
    ContainerLine,
    DaemonSetting,
    Endpoint,
    EngineInfo,
    EngineVersion,
    FdbEntry,
    FileEntry,
    HostNames,
    IpSet,
    IptablesVersion,
    JournalLine,
    KernelCounter,
    KernelMessage,
    Link,
    LogLine,
    ManagedLink,
    NamedNamespace,
    NameServer,
    NamespaceInUse,
    NamespaceNumber,
    Neighbour,
    NetavarkDriver,
    Network,
    NextHopObject,
    NoAnswer,
    PodmanInfo,
    PolicyRule,
    ProcessLine,
    PublishedPort,
    Qdisc,
    ResolverRemark,
    ResolverSetting,
    Route,
    Socket,
    SoftnetCounters,
    Subnet,
    Sysctl,
    UnitProperty,
)
from netdiag.model.bridges import build_bridges
from netdiag.model.compat import checked_against_nft
from netdiag.model.ebtables import build_ebtables
from netdiag.model.engine import Engine, Podman, Silence, dialect_of
from netdiag.model.firewall import build_firewall
from netdiag.model.gaps import gaps
from netdiag.model.host import Host, Namespace, NamespaceKind, without_var
from netdiag.model.knowledge import Extent, Facts, not_whole
from netdiag.model.movement import is_extra_look, movement
from netdiag.model.nftables import build_nftables
from netdiag.model.nics import Nic, build_nics
from netdiag.model.peers import veth_pairs
from netdiag.model.proxies import build_proxies
from netdiag.model.traces import traces_of
from netdiag.spans import Source

T = TypeVar("T")

HOST_SCOPE = "host"
FILES_SCOPE = "files"
NETNS_SCOPE = "netns:"

#: The digits of an id as Docker shortens it.
_SHORT_ID = 12

#: The artifact that tells of docker.socket; others of its format tell of docker.service.
_SOCKET_UNIT = "docker-socket"

#: strerror(ENOENT), which ends the collector's reason for a file that does not exist on the host.
_NO_SUCH_FILE = "No such file or directory"


def build(bundle: Bundle, documents: Sequence[Document]) -> Host:
    """The host that the documents describe. Never raises on odd data: what does not fit together stays apart."""
    collected = _Collected(bundle, [document for document in documents if not is_extra_look(document.source.scope)])
    containers = _containers(collected)
    residents = _residents(containers)
    scopes = [
        HOST_SCOPE,
        *sorted({d.source.scope for d in collected.documents if d.source.scope.startswith(NETNS_SCOPE)}),
    ]
    in_use = collected.facts(NamespaceInUse, "lsns")
    rows: dict[int | str, NamespaceInUse] = {row.inode: row for row in in_use}
    rows |= {without_var(file): row for row in in_use for file in row.files}
    namespaces = tuple(_namespace(collected, scope, residents.get(scope, ()), rows) for scope in scopes)
    pairs, sandbox_pairs = veth_pairs(namespaces)
    engine = _engine(collected, namespaces[0])
    return Host(
        name=bundle.host,
        namespaces=namespaces,
        containers=containers,
        networks=_networks(collected, containers),
        engine=engine,
        podman=_podman(collected),
        veth_pairs=pairs,
        sandbox_pairs=sandbox_pairs,
        namespaces_in_use=in_use,
        named_namespaces=collected.facts(NamedNamespace, "ip_netns"),
        network_managers=_network_managers(collected, namespaces[0].number),
        managed_links=collected.facts(ManagedLink, "networkctl", "nmcli_device"),
        proxies=build_proxies(_processes(collected, "docker-proxy"), namespaces[0].sockets, namespaces[0].number),
        upstream_servers=_upstream_servers(collected),
        softnet=collected.facts(SoftnetCounters, "proc_net_softnet_stat"),
        conntrack=collected.facts(ConntrackStatistics, "conntrack_stats"),
        kernel_log=collected.facts(KernelMessage, "dmesg"),
        iptables=collected.facts(IptablesVersion, "iptables_version"),
        ipsec=collected.facts(KernelCounter, "proc_net_snmp", only=_tells_ipsec),
        kernel=(engine.info.kernel if engine.info else None) or str((bundle.manifest or {}).get("kernel") or ""),
        collected_from=_beginning(bundle),
        log=collected.facts(LogLine, "collector_log"),
        movement=movement(bundle, documents, containers, _beginning(bundle)),
        gaps=gaps(bundle, documents) if collected.by_collector else None,
        traces=traces_of(documents),
    )


@dataclass(frozen=True)
class _Collected:
    """What was collected, asked for by the kind of fact."""

    bundle: Bundle
    documents: Sequence[Document]

    @cached_property
    def _by_format(self) -> Mapping[tuple[str, str | None], list[Document]]:
        """The documents of a format, in one scope or, under None, in all."""
        found: dict[tuple[str, str | None], list[Document]] = defaultdict(list)
        for document in self.documents:
            found[document.format, document.source.scope].append(document)
            found[document.format, None].append(document)
        return found

    @cached_property
    def _by_scope(self) -> Mapping[str, list[Document]]:
        found: dict[str, list[Document]] = defaultdict(list)
        for document in self.documents:
            found[document.source.scope].append(document)
        return found

    @cached_property
    def _left_out(self) -> Mapping[tuple[str, str | None], list[NotCollected]]:
        """What was not collected of a format, likewise."""
        found: dict[tuple[str, str | None], list[NotCollected]] = defaultdict(list)
        for each in self.bundle.not_collected:
            if is_extra_look(each.scope):
                continue
            found[each.format, each.scope].append(each)
            found[each.format, None].append(each)
        return found

    @property
    def by_collector(self) -> bool:
        """The collector made the bundle, so each command was run as its manifest says, and for all objects."""
        return self.bundle.manifest is not None

    def of(self, *formats: str, scope: str | None = None) -> list[Document]:
        return [document for name in formats for document in self._by_format.get((name, scope), ())]

    def of_scope(self, scope: str) -> Sequence[Document]:
        return self._by_scope.get(scope, ())

    def left_out(self, *formats: str, scope: str | None = None) -> list[NotCollected]:
        return [each for name in formats for each in self._left_out.get((name, scope), ())]

    def facts(
        self,
        kind: type[T],
        *formats: str,
        scope: str | None = None,
        doubt: Callable[[Document], str] = lambda _: "",
        only: Callable[[Document], bool] = lambda _: True,
    ) -> Facts[T]:
        """The records of `kind` in the documents that `only` allows. `doubt` gives the reason why a document alone is
        not all there is, or nothing.
        """
        found = [document for document in self.of(*formats, scope=scope) if only(document)]
        if not found:
            return Facts((), Extent.NONE, self._why_nothing(formats, scope), formats[:1])
        items = tuple(record for document in found for record in document.records if isinstance(record, kind))
        doubts = [not_whole(document) or doubt(document) for document in found]
        if not all(doubts):
            return Facts(items, Extent.WHOLE)
        return Facts(items, Extent.PART, doubts[0], formats[:1])

    def first_of(self, *choices: Callable[[], Facts[T]]) -> Facts[T]:
        """The first choice of which anything was collected, else the first."""
        found = (facts for choice in choices if (facts := choice()).extent is not Extent.NONE)
        chosen = next(found, None)
        return choices[0]() if chosen is None else chosen  # an empty list is one that was collected

    def is_absent(self, artifact_format: str) -> bool:
        """The collector looked for the file, and there is none."""
        return any(each.reason.endswith(_NO_SUCH_FILE) for each in self.left_out(artifact_format))

    def _why_nothing(self, formats: tuple[str, ...], scope: str | None) -> str:
        reasons = (each.reason for each in self.left_out(*formats, scope=scope))
        return next(reasons, "") or f"the bundle has no output of {' or '.join(formats)}"


def _beginning(bundle: Bundle) -> datetime | None:
    """When the collection began, by the manifest's clock."""
    try:
        wall = datetime.fromisoformat(bundle.collected_at) if bundle.collected_at else None
    except ValueError:
        return None
    return wall if wall and wall.tzinfo else None


# --- namespaces -------------------------------------------------------------------------------------------------------


def _namespace(
    collected: _Collected, scope: str, residents: Sequence[Container], in_use: Mapping[int | str, NamespaceInUse]
) -> Namespace:
    """`in_use` are the rows of `lsns` by their number and by their files."""
    facts = partial(collected.facts, scope=scope)
    of_files = partial(_facts_of_file, collected, scope)
    routes = partial(facts, Route, doubt=_not_all_tables)
    links, addresses_known = _links(collected, scope)
    rulesets = collected.of("nft_ruleset", scope=scope)
    firewall = build_firewall(
        collected.of("iptables_save", scope=scope),
        collected.of("iptables_list", scope=scope),
        collected.left_out("iptables_save", "iptables_list", scope=scope),
        by_collector=collected.by_collector,
    )
    path = _entered_by(collected, scope)
    number = next((each.inode for each in facts(NamespaceNumber, "netns")), None)
    ports, vlans = facts(BridgePort, "bridge_link"), facts(BridgeVlan, "bridge_vlan")
    return Namespace(
        id=scope,
        name=", ".join(container.name for container in residents) or scope.removeprefix(NETNS_SCOPE),
        containers=tuple(container.id for container in residents),
        kind=_kind(scope, path, residents),
        path=path,
        number=number,
        in_use=in_use.get(path) if number is None else in_use.get(number),
        links=links,
        addresses_known=addresses_known,
        routes=_of_family(
            4, collected.first_of(lambda: routes("ip_route", only=_tells_ipv4), lambda: routes("route_n"))
        ),
        rules=facts(PolicyRule, "ip_rule", only=_tells_ipv4),
        ipv6_routes=_of_family(
            6,
            collected.first_of(
                lambda: routes("ip_route", only=_tells_ipv6), lambda: routes("ip_route", only=_tells_both)
            ),
        ),
        ipv6_rules=facts(PolicyRule, "ip_rule", only=_tells_ipv6),
        nexthops=collected.facts(NextHopObject, "ip_nexthop", scope=scope),
        neighbours=_with_proxy(facts(Neighbour, "ip_neigh", "arp_n", only=_is_no_proxy_list), proxied=False),
        proxied=_with_proxy(facts(Neighbour, "ip_neigh", only=_is_proxy_list), proxied=True),
        bridge_ports=ports,
        bridge_vlans=vlans,
        fdb=facts(FdbEntry, "bridge_fdb"),
        sockets=collected.first_of(lambda: facts(Socket, "ss"), lambda: facts(Socket, "netstat")),
        sysctls=_sysctls(collected, scope),
        qdiscs=facts(Qdisc, "tc_qdisc"),
        nics=_nics(collected, scope),
        counters=facts(KernelCounter, "nstat"),
        connections=_connections(collected, scope),
        name_servers=of_files(NameServer, "resolv_conf"),
        resolver=of_files(ResolverSetting, "resolv_conf"),
        resolver_remarks=of_files(ResolverRemark, "resolv_conf"),
        names=of_files(HostNames, "hosts"),
        firewall=checked_against_nft(firewall, rulesets),
        nftables=build_nftables(
            rulesets,
            collected.left_out("nft_ruleset", scope=scope),
            [(table.family, table.name) for table in firewall if table.backend != "legacy"],
        ),
        ipsets=facts(IpSet, "ipset"),
        ebtables=build_ebtables(collected.of("ebtables", scope=scope), collected.left_out("ebtables", scope=scope)),
        bridges=build_bridges(links, ports.items, vlans, facts(BridgeLine, "brctl_show").items),
    )


#: How the collector enters a namespace, also from a container where the host's files are in the root of its process 1.
_ENTERING = re.compile(r"nsenter (?:--mount=\S+ )?--net=(?:/proc/1/root)?(\S+) ")
_CONTAINER_ID = re.compile(r"[0-9a-f]{64}")


def _entered_by(collected: _Collected, scope: str) -> str:
    """The file by which the namespace was entered, as the commands of its outputs tell."""
    found = (_ENTERING.match(document.source.command) for document in collected.of_scope(scope))
    return next((without_var(match[1]) for match in found if match), "")


def _kind(scope: str, path: str, residents: Sequence[Container]) -> NamespaceKind:
    if scope == HOST_SCOPE:
        return NamespaceKind.HOST
    if residents or _CONTAINER_ID.fullmatch(scope.removeprefix(NETNS_SCOPE)):
        return NamespaceKind.CONTAINER
    if path.startswith("/proc/"):
        return NamespaceKind.PROCESS
    if path.startswith("/run/netns/"):
        return NamespaceKind.NAMED
    return NamespaceKind.ENGINE if path.rpartition("/")[0].endswith("/netns") else NamespaceKind.UNKNOWN


#: The lists of processes that the collector makes, each of one name.
_PROCESSES_OF = frozenset({"docker-proxy", "dockerd", "network-managers"})


def _processes(collected: _Collected, name: str) -> Facts[ProcessLine]:
    """The processes of a name, of any namespace. `ps -C` fails when there is none, which is an answer."""

    def wanted(document: Document) -> bool:
        return document.source.artifact not in _PROCESSES_OF - {name}

    found = collected.facts(ProcessLine, "ps", only=wanted)
    found = replace(found, items=tuple(each for each in found if _program(each.command) == name))
    failed = [document for document in collected.of("ps") if document.source.trouble and wanted(document)]
    return Facts(found.items, Extent.WHOLE) if failed and all(map(_found_none, failed)) else found


def _found_none(document: Document) -> bool:
    """`ps -C` ends like this when there is no process of the name."""
    return document.source.trouble == "exit code 1" and not document.records and not document.unread


def _program(command: str) -> str:
    return (command.split() or [""])[0].rpartition("/")[2]


def _nics(collected: _Collected, scope: str) -> Facts[Nic]:
    """The devices that ethtool was asked about: never said to be all there are."""
    found = build_nics(collected.of("ethtool", scope=scope))
    why = "ethtool was asked about some devices only" if found else "the bundle has no output of ethtool"
    return Facts(found, Extent.PART if found else Extent.NONE, why, ("ethtool",))


#: Programs that set up the interfaces of a host.
_MANAGERS = ("systemd-networkd", "NetworkManager")


def _network_managers(collected: _Collected, here: int | None) -> Facts[ProcessLine]:
    """Those of the host's own namespace, by an output of `ps` that lists all processes or asks for them."""
    documents = [each for each in collected.of("ps") if " -C " not in each.source.command or _asks_for_managers(each)]
    if not documents:
        return Facts((), Extent.NONE, "the bundle has no list of processes", ("ps",))
    doubt = next((doubt for each in documents if not _found_none(each) and (doubt := not_whole(each))), "")
    found = (line for document in documents for line in document.records if isinstance(line, ProcessLine))
    names = {line: line.command.split(" ", 1)[0].rpartition("/")[2] for line in found}
    ours = [line for line in names if here is None or line.netns in (here, None)]
    running = tuple(line for line in ours if names[line] in _MANAGERS)
    if doubt:
        return Facts(running, Extent.PART, doubt, ("ps",))
    return Facts(running, Extent.WHOLE)


def _asks_for_managers(document: Document) -> bool:
    return all(name in document.source.command for name in _MANAGERS)


def _tells_ipsec(document: Document) -> bool:
    """/proc/net/xfrm_stat, which has the shape of /proc/net/snmp6."""
    return any(isinstance(record, KernelCounter) and record.name.startswith("Xfrm") for record in document.records)


def _connections(collected: _Collected, scope: str) -> Facts[ConntrackEntry]:
    """The tracked connections: of a collection all of them, where that was asked for, else those without an answer."""
    facts = partial(collected.facts, ConntrackEntry, "conntrack", scope=scope)
    return collected.first_of(
        lambda: facts(only=lambda document: document.source.artifact != "conntrack-udp"),
        lambda: facts(doubt=lambda document: f"{document.source.path} has UDP flows without an answer only"),
    )


def _sysctls(collected: _Collected, scope: str) -> Facts[Sysctl]:
    """The settings of a namespace. sysctl of procps 4 ends with 1 when it may not read a single one of them, such as
    `stable_secret` of IPv6, and lists all others. A loose file may be the answer to a question about a few.
    """

    def doubt(document: Document) -> str:
        keys = {record.key.rpartition(".")[0] for record in document.records if isinstance(record, Sysctl)}
        all_listed = collected.by_collector or {"net.core", "net.ipv4.conf.all"} <= keys
        return "" if all_listed else f"{document.source.path} may not list all settings"

    found = collected.facts(Sysctl, "sysctl", scope=scope, doubt=doubt)
    documents = collected.of("sysctl", scope=scope)
    only_refused = all(each.source.trouble in ("", "exit code 1") and not each.unread for each in documents)
    if found.items and only_refused and not any(map(doubt, documents)):
        return Facts(found.items, Extent.WHOLE)
    return found


def _facts_of_file(collected: _Collected, scope: str, kind: type[T], artifact_format: str) -> Facts[T]:
    """The records of a file that the processes of a namespace read. The collector keeps the host's files apart; one
    that does not exist there holds nothing.
    """
    of_scope = partial(collected.facts, kind, artifact_format)
    if scope != HOST_SCOPE:
        return of_scope(scope=scope)
    left_out = [each for each in collected.left_out(artifact_format, scope=FILES_SCOPE) if not _is_upstream(each)]
    if any(each.reason.endswith(_NO_SUCH_FILE) for each in left_out):
        return Facts((), Extent.WHOLE)
    of_files = partial(of_scope, scope=FILES_SCOPE, only=lambda document: not _is_upstream(document.source))
    return collected.first_of(of_files, lambda: of_scope(scope=HOST_SCOPE))


#: The files in which resolvers of the host keep the servers that they ask.
_UPSTREAM = frozenset({"resolved-servers", "nm-servers", "dnsmasq-servers"})


def _is_upstream(collected: Source | NotCollected) -> bool:
    return collected.artifact in _UPSTREAM


def _upstream_servers(collected: _Collected) -> Facts[NameServer]:
    """The servers in these files; none when the host has none of the files."""
    left_out = [each for each in collected.left_out("resolv_conf", scope=FILES_SCOPE) if _is_upstream(each)]
    absent = {each.artifact for each in left_out if each.reason.endswith(_NO_SUCH_FILE)}
    if absent >= _UPSTREAM:
        return Facts((), Extent.WHOLE)
    only_upstream = partial(collected.facts, only=lambda document: _is_upstream(document.source))
    return only_upstream(NameServer, "resolv_conf", scope=FILES_SCOPE)


def _is_proxy_list(document: Document) -> bool:
    """`ip neigh show proxy`, by its command or by what it tells."""
    if document.source.command:
        return document.source.command.endswith(" proxy")
    return any(isinstance(record, Neighbour) and "proxy" in record.flags for record in document.records)


def _is_no_proxy_list(document: Document) -> bool:
    return not _is_proxy_list(document)


def _with_proxy(neighbours: Facts[Neighbour], *, proxied: bool) -> Facts[Neighbour]:
    """The entries for machines that the host answers for, or those for its neighbours."""
    return replace(neighbours, items=tuple(entry for entry in neighbours if ("proxy" in entry.flags) is proxied))


def _tells_ipv6(document: Document) -> bool:
    """An output about IPv6 alone, by its command or by all that it tells."""
    if document.source.command:
        return " -6 " in document.source.command
    families = {_family_of(record) for record in document.records}
    return families == {6}


def _tells_ipv4(document: Document) -> bool:
    return not _tells_ipv6(document)


def _tells_both(document: Document) -> bool:
    """`ip route show table all` lists the routes of both families."""
    return any(_family_of(record) == 6 for record in document.records)


def _family_of(record: object) -> int | None:
    if isinstance(record, Route):
        return record.destination.version
    return (6 if record.family == "ipv6" else 4) if isinstance(record, PolicyRule) else None


def _of_family(version: int, routes: Facts[Route]) -> Facts[Route]:
    return replace(routes, items=tuple(route for route in routes if route.destination.version == version))


def _not_all_tables(document: Document) -> str:
    named = any(isinstance(record, Route) and record.table is not None for record in document.records)
    if named or "table all" in document.source.command:
        return ""
    return f"{document.source.path} shows the table main only"


def _residents(containers: Facts[Container]) -> Mapping[str, Sequence[Container]]:
    """The containers that live in each namespace: the one it is named for and those that share its network
    (`container:<id>`).
    """
    found: dict[str, list[Container]] = defaultdict(list)
    for container in containers:
        mode = container.network_mode or ""
        owner = mode.removeprefix("container:") if mode.startswith("container:") else container.id
        names = {NETNS_SCOPE + owner, NETNS_SCOPE + owner[:_SHORT_ID]}
        for scope in (HOST_SCOPE,) if mode == "host" else names:
            found[scope].append(container)
    return found


def _links(collected: _Collected, scope: str) -> tuple[Facts[Link], bool]:
    """The links, each from its richest source, and whether the addresses of all of them are known as well."""
    found = collected.first_of(
        lambda: collected.facts(Link, "ip_addr", scope=scope, doubt=_not_all_links),
        lambda: collected.facts(Link, "ifconfig", scope=scope, doubt=_not_all_of_ifconfig),
    )
    best: dict[str, Link] = {}
    for link in found:
        known = best.get(link.name)
        best[link.name] = _richer(known, link) if known else link
    missing = () if found.whole else ("ip_addr",)
    documents = collected.of("ip_addr", scope=scope) or collected.of("ifconfig", scope=scope)
    told = {name for document in documents for name in _addressed(document)}
    return replace(found, items=tuple(best.values()), missing=missing), bool(told) and told >= best.keys()


def _addressed(document: Document) -> set[str]:
    """The links whose addresses a document tells: `ip link` and `ifconfig -s` list links without theirs."""
    links = [record for record in document.records if isinstance(record, Link)]
    return {link.name for link in links} if any(link.addresses for link in links) else set()


# what `ip -br` and `ip -o address` leave out
_NOT_IN_BRIEF = ("index", "peer_index", "peer_name", "peer_netns", "flags", "mtu", "state", "master", "kind", "mac")


def _richer(one: Link, other: Link) -> Link:
    """Both describe one link: `ip address` has the addresses, `ip -d link` may have the kind."""
    base, extra = (one, other) if len(one.addresses) >= len(other.addresses) else (other, one)
    untold = {name: getattr(extra, name) for name in _NOT_IN_BRIEF if getattr(base, name) is None}
    return replace(base, **untold, details={**extra.details, **base.details})


def _not_all_links(document: Document) -> str:
    links = [record for record in document.records if isinstance(record, Link)]
    if any(link.flags is None and link.index is not None for link in links):
        return f"{document.source.path} was made with -o, which leaves out links without an address"
    if any(link.name == "lo" for link in links):
        return ""
    return f"{document.source.path} has no lo, so it is not the list of all links"


def _not_all_of_ifconfig(document: Document) -> str:
    if "-a" in document.source.command.split():
        return ""
    return f"{document.source.path}: ifconfig without -a shows only links that are up, and it may be an excerpt"


# --- containers and networks ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Formats:
    """The formats that tell an engine's objects. `everyone` are networks that every such engine has."""

    inspect: str
    ps: str
    network_inspect: str
    everyone: frozenset[str]


#: Docker makes the networks bridge, host and none itself, podman the network podman.
_ENGINES = {
    "docker": _Formats("docker_inspect", "docker_ps", "docker_network_inspect", frozenset({"bridge", "host", "none"})),
    "podman": _Formats("podman_inspect", "podman_ps", "podman_network_inspect", frozenset({"podman"})),
}

#: How the collector's reasons end for an engine that is not on the host.
_NOT_HERE = ("is not installed (not found in PATH)", "has not been used on this host", "is podman here")


def _absence(collected: _Collected, engine: str) -> str:
    """Why an engine is not on this host, empty when it is or may be. An engine that neither a bundle of the collector
    nor loose files speak of is taken for absent when it is not Docker.
    """
    of_engine = f"{engine}_"
    spoken_of = any(document.format.startswith((of_engine, f"{engine}d_")) for document in collected.documents)
    left_out = [each for each in collected.bundle.not_collected if each.format.startswith(of_engine)]
    if spoken_of:
        return ""
    gone = next((each.reason for each in left_out if each.reason.endswith(_NOT_HERE)), "")
    if not gone and engine != "docker" and not left_out:
        gone = f"the bundle does not speak of {engine}"
    return gone


def _of_engines(collected: _Collected, facts_of: Callable[[_Collected, str], Facts[T]]) -> Facts[T]:
    """Facts of every engine on the host, whole only when those of each are; Docker's when there is none."""
    present = [engine for engine in _ENGINES if not _absence(collected, engine)] or ["docker"]
    found = [facts_of(collected, engine) for engine in present]
    items = tuple(item for facts in found for item in facts)
    lacking = [facts for facts in found if not facts.whole]
    if not lacking:
        return Facts(items, Extent.WHOLE)
    extent = Extent.NONE if all(facts.extent is Extent.NONE for facts in found) else Extent.PART
    return Facts(items, extent, lacking[0].why, lacking[0].missing)


def _containers(collected: _Collected) -> Facts[Container]:
    """The containers of every engine. Podman 4 tells of an endpoint its network's name only, in the place of the id."""
    found = _of_engines(collected, _containers_of)
    networks = collected.facts(Network, _ENGINES["podman"].network_inspect)
    ids = {network.name: network.id for network in networks if network.id}
    items = (
        replace(each, endpoints=_by_id(each.endpoints, ids)) if each.engine == "podman" else each for each in found
    )
    return replace(found, items=tuple(items))


def _by_id(endpoints: tuple[Endpoint, ...], ids: Mapping[str, str]) -> tuple[Endpoint, ...]:
    return tuple(replace(each, network_id=ids.get(each.network_id, each.network_id)) for each in endpoints)


def _containers_of(collected: _Collected, engine: str) -> Facts[Container]:
    """Containers of `inspect`, and those that only the table of `ps` shows."""
    formats = _ENGINES[engine]

    def doubt(document: Document) -> str:
        return "" if collected.by_collector else f"{document.source.path} may not be the whole list"

    inspected = collected.facts(Container, formats.inspect, doubt=doubt)
    known = {container.id[:length] for container in inspected for length in (_SHORT_ID, len(container.id))}
    rows = (r for document in collected.of(formats.ps) for r in document.records if isinstance(r, ContainerLine))
    extra = [_container_of(row, engine) for row in rows if row.id not in known]
    if not extra:
        return inspected
    why = f"{engine} inspect of {', '.join(container.name for container in extra)} is missing"
    return Facts((*inspected.items, *extra), Extent.PART, why, (formats.inspect,))


def _container_of(row: ContainerLine, engine: str) -> Container:
    ports = tuple(
        PublishedPort(port.protocol, port.container_port, port.host_address, port.host_port, row.span)
        for port in row.ports
        if port.host_port is not None
    )
    state = "running" if row.status.startswith("Up") else None
    name = row.names[0] if row.names else row.id
    return Container(id=row.id, name=name, place=row.span, state=state, ports=ports, engine=engine)


def _networks(collected: _Collected, containers: Facts[Container]) -> Facts[Network]:
    """Networks of `network inspect` of every engine, and those that only an endpoint of a container names."""
    inspected = _of_engines(collected, _networks_of)
    known = {network.id for network in inspected}
    extra = {
        endpoint.network_id: Network(
            id=endpoint.network_id,
            name=endpoint.network,
            place=endpoint.place,
            subnets=tuple(_subnets_of(endpoint)),
            engine=container.engine,
        )
        for container in containers
        for endpoint in container.endpoints
        if endpoint.network_id and endpoint.network_id not in known
        # the engine makes these anew, with other ids, each time that it starts
        if not (inspected.whole and endpoint.network in _ENGINES[container.engine].everyone)
    }
    if not extra:
        return inspected
    extent = Extent.WHOLE if inspected.whole else Extent.PART
    engine = next(iter(extra.values())).engine
    why = inspected.why or f"{engine} network inspect does not list every network that a container names"
    return Facts((*inspected.items, *extra.values()), extent, why, (_ENGINES[engine].network_inspect,))


def _networks_of(collected: _Collected, engine: str) -> Facts[Network]:
    formats = _ENGINES[engine]

    def doubt(document: Document) -> str:
        names = {record.name for record in document.records if isinstance(record, Network)}
        whole = collected.by_collector or names >= formats.everyone
        return "" if whole else f"{document.source.path} may not list all networks"

    return collected.facts(Network, formats.network_inspect, doubt=doubt)


def _subnets_of(endpoint: Endpoint) -> Iterator[Subnet]:
    if endpoint.address:
        yield Subnet(endpoint.address.network, endpoint.gateway, endpoint.place)
    if endpoint.address6:
        yield Subnet(endpoint.address6.network, endpoint.gateway6, endpoint.place)


# --- engine -----------------------------------------------------------------------------------------------------------


def _engine(collected: _Collected, root: Namespace) -> Engine:
    version = next(iter(collected.facts(EngineVersion, "docker_version", "docker_version_text")), None)
    info = next(iter(collected.facts(EngineInfo, "docker_info", "docker_info_text")), None)
    settings = _settings(collected)
    dialect, proof = dialect_of(version, root.firewall, root.nftables, info, settings)
    absent = _absence(collected, "docker")
    return Engine(
        version=version,
        info=info,
        settings=settings,
        dialect=dialect,
        dialect_proof=proof,
        absent=f"Docker is not on this host ({absent})" if absent else "",
        silence=_silence(collected) if info is None and version is None else None,
        processes=_processes(collected, "dockerd"),
        files=collected.facts(FileEntry, "ls_l"),
        unit=collected.facts(UnitProperty, "systemctl_show", only=lambda document: not _is_of_socket(document)),
        journal=collected.facts(JournalLine, "journal"),
    )


def _is_of_socket(document: Document) -> bool:
    return document.source.artifact == _SOCKET_UNIT


def _silence(collected: _Collected) -> Silence | None:
    """What the client said when it got no answer; from Docker 23 on it is only in what it writes to stderr.

    The collector does not ask an engine that systemd would start for that.
    """
    for told in collected.facts(UnitProperty, "systemctl_show", only=_is_of_socket):
        if (told.name, told.value) == ("SubState", "listening"):
            return Silence("systemd listens on its socket, and starts it for the first client", told.span, asleep=True)
    for document in collected.of("docker_info", "docker_info_text", "docker_version", "docker_version_text"):
        said = next((record for record in document.records if isinstance(record, NoAnswer)), None)
        trouble = document.source.trouble
        message = (said.message if said else "") or trouble.partition(": ")[2] or trouble
        if message:
            return Silence(message, said.span if said else None, hangs=trouble.startswith("timed out"))
    return None


def _podman(collected: _Collected) -> Podman:
    version = next(iter(collected.facts(EngineVersion, "podman_version", "podman_version_text")), None)
    info = next(iter(collected.facts(PodmanInfo, "podman_info", "podman_info_text")), None)
    driver = next(iter(collected.facts(NetavarkDriver, "netavark_driver")), None)
    absent = _absence(collected, "podman") if collected.by_collector else ""
    return Podman(version, info, driver, absent)


def _settings(collected: _Collected) -> Facts[DaemonSetting]:
    """Whole only when both places for settings were seen: the command line, and daemon.json or word that there is
    none.
    """
    command_line = collected.facts(DaemonSetting, "dockerd_cmdline")
    file = collected.facts(DaemonSetting, "daemon_json")
    file_seen = file.whole or collected.is_absent("daemon_json")
    items = (*command_line.items, *file.items)
    if command_line.whole and file_seen:
        return Facts(items, Extent.WHOLE)
    seen = {"dockerd_cmdline": command_line.whole, "daemon_json": file_seen}
    missing = tuple(name for name, was_seen in seen.items() if not was_seen)
    extent = Extent.PART if items else Extent.NONE
    return Facts(items, extent, "not all of the daemon's settings are in the bundle", missing)
