"""What the kernel does with a flow at a hook of netfilter: every base chain there, of every backend, in order.

A packet passes a hook only if each base chain lets it pass: an ACCEPT in one chain never overrides the DROP of another,
and each has a policy of its own. Priorities: linux/netfilter_ipv4.h; chains of one priority stand in the order of
legacy, iptables-nft, nftables, which the kernel does not promise and on which no verdict depends.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from netdiag.formats.records import Chain, NftChain
from netdiag.model.ebtables import as_nftables
from netdiag.model.flow import AnyRule, AnyTable, Decision, Flow, Ground, decide
from netdiag.model.host import Namespace
from netdiag.model.knowledge import Truth, once
from netdiag.model.nftables import NativeTable
from netdiag.model.turns import Fate

_RAW, _MANGLE, _DESTINATION_NAT, _FILTER, _SECURITY, _SOURCE_NAT = -300, -150, -100, 0, 50, 100

#: The tables of iptables at each hook, with their priorities there.
_TABLES_AT = {
    "PREROUTING": {"raw": _RAW, "mangle": _MANGLE, "nat": _DESTINATION_NAT},
    "INPUT": {"mangle": _MANGLE, "filter": _FILTER, "security": _SECURITY, "nat": _SOURCE_NAT},
    "FORWARD": {"mangle": _MANGLE, "filter": _FILTER, "security": _SECURITY},
    "OUTPUT": {
        "raw": _RAW,
        "mangle": _MANGLE,
        "nat": _DESTINATION_NAT,
        "filter": _FILTER,
        "security": _SECURITY,
    },
    "POSTROUTING": {"mangle": _MANGLE, "nat": _SOURCE_NAT},
}

#: The interface that packets do not have at a hook; it is compared as the empty name.
_WITHOUT_IN = frozenset({"OUTPUT"})
_WITHOUT_OUT = frozenset({"INGRESS", "PREROUTING", "INPUT"})

_BACKENDS = ("legacy", "nft", "")


@dataclass(frozen=True)
class BaseChain:
    """A chain at a hook. `backend` is `legacy`, `nft` (of iptables-nft), `nftables`, `ebtables`, or empty where the
    bundle does not tell; `kind` is `nat` or `filter` (of all other chains); `drops` is its policy.
    """

    table: AnyTable
    name: str
    hook: str
    priority: int
    kind: str
    drops: bool
    backend: str
    head: Chain | NftChain

    @property
    def comes_before_dnat(self) -> bool:
        """It sees packets by the destination that they were sent to, and what it drops reaches nobody."""
        return self.hook == "PREROUTING" and self.priority < _DESTINATION_NAT


@dataclass(frozen=True)
class Passage:
    """Whether a flow passes a hook. When it does not, or may not, `chain` is where and `rule` by which rule; without a
    rule it is the chain's policy. `depends_on` is the first rule that could not be judged.
    """

    truth: Truth
    chain: BaseChain | None = None
    rule: AnyRule | None = None
    depends_on: AnyRule | None = None


def base_chains(netns: Namespace, hook: str, version: int = 4) -> tuple[BaseChain, ...]:
    """The chains that packets of IPv4 (4) or IPv6 (6) meet at a hook (`PREROUTING`, ..., `POSTROUTING`), in order."""
    known = _known_chains(netns)
    if (hook, version) not in known:
        found = [*_of_iptables(netns, hook, version), *_of_nftables(netns, hook, lambda table: table.sees(version))]
        known[hook, version] = tuple(sorted(found, key=lambda chain: chain.priority))
    return known[hook, version]


@once
def _known_chains(_netns: Namespace) -> dict[tuple[str, int], tuple[BaseChain, ...]]:
    """Those of the hooks that were asked for before: thousands of flows meet the same ones."""
    return {}


def ingress_chains(netns: Namespace, device: str, version: int = 4) -> tuple[BaseChain, ...]:
    """The chains that a device's packets of IPv4 (4) or IPv6 (6) meet as they come in, before all else."""
    found = _of_nftables(netns, "INGRESS", lambda table: table.family == "netdev" or table.sees(version))
    on_device = (chain for chain in found if isinstance(chain.head, NftChain) and device in chain.head.devices)
    return tuple(sorted(on_device, key=lambda chain: chain.priority))


def bridge_chains(netns: Namespace, hook: str) -> tuple[BaseChain, ...]:
    """The chains of nftables' bridge family, ebtables-nft's too, and of ebtables that frames meet at a hook."""
    found = [*_of_nftables(netns, hook, lambda table: table.family == "bridge"), *_of_ebtables(netns, hook)]
    return tuple(sorted(found, key=lambda chain: chain.priority))


def _of_ebtables(netns: Namespace, hook: str) -> Iterator[BaseChain]:
    for table in netns.ebtables if netns.ebtables.whole else ():
        native = as_nftables(table)
        for chain in native.chains.values():
            head = chain.head
            if head.hook == hook.lower() and head.priority is not None:
                drops = head.policy == "drop"
                yield BaseChain(native, chain.name, hook, head.priority, "filter", drops, "ebtables", head)


def _of_iptables(netns: Namespace, hook: str, version: int) -> Iterator[BaseChain]:
    priorities = _TABLES_AT[hook]
    family = "ipv6" if version == 6 else "ipv4"
    for backend in _BACKENDS:
        for table in netns.firewall:
            if table.family != family or table.backend != backend or table.name not in priorities:
                continue
            if hook in table.chains:
                head = table.chains[hook].head
                kind = "nat" if table.name == "nat" else "filter"
                drops = head.policy in ("DROP", "REJECT")
                yield BaseChain(table, hook, hook, priorities[table.name], kind, drops, backend, head)


def _of_nftables(netns: Namespace, hook: str, wanted: Callable[[NativeTable], bool]) -> Iterator[BaseChain]:
    for table in netns.nftables:
        if table.dormant or not wanted(table):
            continue
        for chain in table.chains.values():
            head = chain.head
            if head.hook == hook.lower() and head.priority is not None:
                kind = "nat" if head.chain_type == "nat" else "filter"
                yield BaseChain(table, chain.name, hook, head.priority, kind, head.policy == "drop", "nftables", head)


def ways_through(chain: BaseChain, flow: Flow, ground: Ground) -> tuple[Decision[AnyRule], ...]:
    """The ways of a flow through a base chain, its policy included: none of them `PASSES`."""
    ways = decide(chain.table, chain.name, _at_hook(chain.hook, flow), ground)
    fate = _by_policy(chain)
    return tuple([replace(way, fate=fate, rule=None) if way.fate is Fate.PASSES else way for way in ways])


def _by_policy(chain: BaseChain) -> Fate:
    return Fate.DROPPED if chain.drops else Fate.ACCEPTED


def _at_hook(hook: str, flow: Flow) -> Flow:
    if hook in _WITHOUT_IN and flow.in_interface != "":
        return replace(flow, in_interface="")
    return replace(flow, out_interface="") if hook in _WITHOUT_OUT and flow.out_interface != "" else flow


def passage(netns: Namespace, hook: str, flow: Flow) -> Passage:
    """Whether the flow passes the hook: no as soon as one chain drops it for sure, unknown when one may."""
    return passage_of(base_chains(netns, hook, flow.version), flow, netns.ground)


def passage_of(chains: tuple[BaseChain, ...], flow: Flow, ground: Ground) -> Passage:
    """Likewise through these base chains."""
    doubtful: Passage | None = None
    for chain in chains:
        flow = _at_hook(chain.hook, flow)
        ways = ways_through(chain, flow, ground)
        drops = [way for way in ways if way.fate is Fate.DROPPED]
        certain = len(drops) == len(ways)
        if drops and certain:
            return Passage(Truth.NO, chain, drops[0].rule, drops[0].depends_on)
        if drops or any(not way.certain for way in ways):
            first = drops[0] if drops else ways[0]
            doubtful = doubtful or Passage(Truth.UNKNOWN, chain, first.rule, first.depends_on)
    return doubtful or Passage(Truth.YES)


@dataclass(frozen=True)
class Obstacle:
    """Where a flow is dropped for sure, or may be. Without a `rule` it is the chain's policy.

    `depends_on` is the first rule that could not be judged: without one the drop is certain.
    """

    chain: BaseChain
    rule: AnyRule | None = None
    depends_on: AnyRule | None = None

    @property
    def certain(self) -> bool:
        return self.depends_on is None


def obstacles(chains: Iterable[BaseChain], flow: Flow, ground: Ground) -> Iterator[Obstacle]:
    """What stands in the way of a flow through these base chains: up to the first chain that drops it for sure.

    Where all ways end in a drop, the last one is what remains when no doubtful rule takes the flow: it is the one that
    drops it, and is certain.
    """
    for chain in chains:
        flow = _at_hook(chain.hook, flow)
        ways = ways_through(chain, flow, ground)
        drops = [way for way in ways if way.fate is Fate.DROPPED]
        if drops and len(drops) == len(ways):
            yield Obstacle(chain, drops[-1].rule)
            return
        yield from (Obstacle(chain, way.rule, way.depends_on or way.rule or ways[0].rule) for way in drops)


def translations(netns: Namespace, hook: str, flow: Flow) -> tuple[Decision[AnyRule], ...]:
    """What the nat chains of a hook do with the first packet of a flow: `TRANSLATED` by a rule or `ACCEPTED` as it is,
    then with the rule that accepts it or returns, if there is one.

    The first chain that translates decides; several ways when a rule could not be judged.
    """
    return translations_of(base_chains(netns, hook, flow.version), flow, netns.ground)


def translations_of(chains: tuple[BaseChain, ...], flow: Flow, ground: Ground) -> tuple[Decision[AnyRule], ...]:
    """Likewise by these base chains."""
    found: list[Decision[AnyRule]] = []
    untouched: Decision[AnyRule] = Decision(Fate.ACCEPTED)
    for chain in chains:
        if chain.kind != "nat":
            continue
        flow = _at_hook(chain.hook, flow)
        doubt = untouched.depends_on
        ways = [
            replace(
                way,  # of one by the policy with the `RETURN` that left it to that, if one did
                fate=_by_policy(chain) if way.fate is Fate.PASSES else way.fate,
                depends_on=doubt or way.depends_on,
            )
            if doubt or way.fate is Fate.PASSES
            else way
            for way in decide(chain.table, chain.name, flow, ground)
        ]
        found += [way for way in ways if way.fate is Fate.TRANSLATED]
        others = [way for way in ways if way.fate is not Fate.TRANSLATED]
        if not others:
            return tuple(found)
        # the rule that let it be, of the first chain that has one
        untouched = untouched if untouched.rule and untouched.certain else others[0]
    return (*found, untouched)
