"""What of the firewall stands in the way of the flows that should pass, and what a check says of it.

A flow is put to every base chain on its way, of every backend, as it looks there. So a check never concludes from a
rule that is there or not there, but from what becomes of a packet.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial

from netdiag.checks._base import Fault, Unjudged
from netdiag.checks._docker import BridgeNetwork, deletion, related, sh, tool_of
from netdiag.checks._wanted import Stage, Wanted, wanted_flows
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import Chain, NftMatch, NftRule, Rule
from netdiag.model import FirewallTable, Host
from netdiag.model.alike import told_apart
from netdiag.model.expected import missing_rules
from netdiag.model.expected_nft import missing_pieces
from netdiag.model.flow import AnyRule, Fate, Flow, decide
from netdiag.model.hooks import BaseChain, Obstacle, base_chains, ingress_chains, obstacles
from netdiag.model.knowledge import once
from netdiag.model.movement import Grown
from netdiag.model.movement import owner_of as counter_owner
from netdiag.model.nftables import NativeTable

USER_CHAIN = "DOCKER-USER"

_MOST_NAMED = 4


@dataclass(frozen=True)
class Blocked:
    """Flows that should pass and are all alike to the rules, and something that drops them for sure, or may."""

    cases: tuple[Wanted, ...]
    stage: Stage
    obstacle: Obstacle
    meanwhile: Grown | None = None  # how its rule's counter grew while the bundle was collected

    @property
    def device(self) -> str:
        return self.cases[0].network.device


@once
def blocked_flows(host: Host) -> tuple[Blocked, ...]:
    """All that drops a wanted flow or may drop it."""
    return tuple(blocked(host, wanted_flows(host)))


def blocked_on(host: Host, bridges: Iterable[BridgeNetwork]) -> list[Blocked]:
    """The same of some networks only."""
    devices = {bridge.device for bridge in bridges}
    return [each for each in blocked_flows(host) if each.device in devices]


@once
def grown_rules(host: Host) -> Mapping[str, Grown]:
    """The counters of the host's rules that drop or reject and that grew between the two looks, by their owners."""
    counters = host.movement.counters if host.movement else ()
    return {each.owner: each for each in counters if each.scope == "host"}


def taken_by(host: Host, rule: AnyRule) -> int | None:
    """How many packets a rule took until the later look, None when it does not count them."""
    grown = _grown_of(host, rule)
    return grown.after if grown else packets_of(rule)


def _grown_of(host: Host, rule: AnyRule | None) -> Grown | None:
    return grown_rules(host).get(counter_owner(rule)) if isinstance(rule, Rule) else None


def blocked(host: Host, flows: Iterable[Wanted]) -> Iterator[Blocked]:
    """What drops these flows or may drop them, of each up to the first that does for sure.

    Flows that no rule tells apart are put to the rules once. That an outsider's address decides is found when the flow
    of any outsider need not be dropped, and, as rules that ban single ones may be many, with the first flow of a kind.
    """
    hooks = _hooks(host)
    groups: dict[Hashable, list[Wanted]] = defaultdict(list)
    for wanted in flows:
        groups[hooks.kind_of(wanted)].append(wanted)
    banned: set[Hashable] = set()
    for alike in groups.values():
        cases, first = tuple(alike), alike[0]
        for stage in first.stages:
            kind = stage.hook, stage.priorities, stage.flow.version, first.incoming, first.answer
            found = list(hooks.obstacles(stage, first.outside))
            if first.outside and kind not in banned:
                banned.add(kind)
                found = [*hooks.bans(stage, first.outside), *found]
            yield from (Blocked(cases, stage, each, _grown_of(host, each.rule)) for each in found)
            if found and found[-1].certain:
                break


@once
def _hooks(host: Host) -> "_Hooks":
    return _Hooks(host)


class _Hooks:
    """The base chains of a host, and what they do with kinds of flows."""

    def __init__(self, host: Host) -> None:
        self._netns = host.root
        self._chains: dict[Hashable, tuple[BaseChain, ...]] = {}
        self._kinds: dict[Hashable, Callable[[Flow], Hashable]] = {}
        self._policies: dict[int, Obstacle | None] = {}
        lost = (each.rule.span for each in missing_rules(host) if each.container)
        self._unserved = {*lost, *(each.place for each in missing_pieces(host) if each.container)}

    def kind_of(self, wanted: Wanted) -> Hashable:
        """The same for flows of one bridge that meet the same answers everywhere. The rules of the engine treat all
        containers of a network alike, but for a published port whose own rule is gone.
        """
        stages = tuple(self._kind(stage) for stage in wanted.stages)
        return wanted.network.device, wanted.incoming, wanted.answer, wanted.place in self._unserved, stages

    def _kind(self, stage: Stage) -> Hashable:
        place = self._place(stage)
        if place not in self._kinds:
            chains = ((chain.table, chain.name) for chain in self._chains[place])
            self._kinds[place] = told_apart(chains, self._netns.ground, is_of_engine)
        return self._kinds[place](stage.flow)

    def _place(self, stage: Stage) -> Hashable:
        device = stage.flow.in_interface or "" if stage.hook == "INGRESS" else ""
        place = stage.hook, device, stage.priorities, stage.flow.version
        if place not in self._chains:
            low, high = stage.priorities
            found = (
                ingress_chains(self._netns, device, stage.flow.version)
                if stage.hook == "INGRESS"
                else base_chains(self._netns, stage.hook, stage.flow.version)
            )
            self._chains[place] = tuple(
                chain for chain in found if chain.kind == "filter" and low <= chain.priority <= high
            )
        return place

    def obstacles(self, stage: Stage, outside: str) -> Iterator[Obstacle]:
        """What is in the way of somebody outside. What drops him for sure, and not everybody, is no certain obstacle:
        then it is a policy about addresses.
        """
        chains = self._chains[self._place(stage)]
        for obstacle in obstacles(chains, stage.flow, self._netns.ground):
            if obstacle.certain and outside:
                yield self._policy(stage, obstacle, outside) or obstacle
            else:
                yield obstacle

    def _policy(self, stage: Stage, obstacle: Obstacle, outside: str) -> Obstacle | None:
        key = id(obstacle.rule or obstacle.chain.head)
        if key not in self._policies:
            anybody = _of_anybody(stage.flow, outside)
            found = list(obstacles([obstacle.chain], anybody, self._netns.ground))
            certain = not found or found[-1].certain
            self._policies[key] = None if certain else replace(obstacle, depends_on=found[-1].depends_on)
        return self._policies[key]

    def bans(self, stage: Stage, outside: str) -> Iterator[Obstacle]:
        """What may be in the way of some outsiders, because of their addresses."""
        anybody = _of_anybody(stage.flow, outside)
        for obstacle in obstacles(self._chains[self._place(stage)], anybody, self._netns.ground):
            if obstacle.depends_on is not None and asks_for_addresses_only(obstacle.depends_on):
                yield obstacle


def _of_anybody(flow: Flow, outside: str) -> Flow:
    return replace(flow, source=None) if outside == "source" else replace(flow, destination=None)


#: Tables of nftables and chains of iptables that engines make.
_TABLES_OF_ENGINES = frozenset({"docker-bridges", "netavark"})
_CHAINS_OF_ENGINES = re.compile(
    r"DOCKER(-(FORWARD|CT|BRIDGE|INTERNAL|INGRESS|ISOLATION(-STAGE-[12])?))?|NETAVARK.*|CNI-.*"
)


class Owner(Enum):
    """Whose rule or policy drops a flow."""

    ENGINE = "a rule of the engine"
    USER_CHAIN = "a rule in DOCKER-USER, or where it leads to"
    OTHER_RULE = "another rule of iptables"
    POLICY = "the policy of a chain of iptables"
    NFTABLES = "a table of nftables that is not the engine's"


def owner_of(blocked: Blocked) -> Owner:
    chain, rule = blocked.obstacle.chain, blocked.obstacle.rule
    table = chain.table
    if isinstance(table, NativeTable):
        return Owner.ENGINE if table.name in _TABLES_OF_ENGINES else Owner.NFTABLES
    if rule is None:
        return Owner.POLICY
    if is_of_engine(rule):
        return Owner.ENGINE
    return Owner.USER_CHAIN if _is_of_user_chain(table, rule, blocked.stage.flow) else Owner.OTHER_RULE


def is_of_engine(rule: AnyRule) -> bool:
    """The rule stands in a table or chain that an engine makes, or is one that guards a container's address."""
    if isinstance(rule, NftRule):
        return rule.table in _TABLES_OF_ENGINES
    return _CHAINS_OF_ENGINES.fullmatch(rule.chain) is not None or _guards_a_container(rule)


def _guards_a_container(rule: AnyRule) -> bool:
    """The rule in raw PREROUTING by which Docker from 28 on keeps packets from outside from a container's address."""
    if not isinstance(rule, Rule) or (rule.table, rule.chain) != ("raw", "PREROUTING"):
        return False
    one = rule.destination is not None and rule.destination.num_addresses == 1 and not rule.destination_negated
    return one and rule.in_interface is not None and rule.in_interface_negated


def _is_of_user_chain(table: FirewallTable, rule: AnyRule, flow: Flow) -> bool:
    """The flow meets the rule by way of DOCKER-USER, which another chain may also lead to."""
    if USER_CHAIN not in table.chains:
        return False
    if rule.chain == USER_CHAIN:
        return True
    ways = decide(table, USER_CHAIN, flow)
    return any(way.fate is Fate.DROPPED and way.rule is rule for way in ways)


@dataclass(frozen=True)
class DefaultDrop:
    """Flows that are dropped because the engine's rules do not take them: by a policy, or by its rule for the rest."""

    chain: BaseChain
    cases: tuple[Wanted, ...]


def hit_by_default(host: Host, networks: Collection[str] | None, version: int = 4) -> DefaultDrop | None:
    """The flows of these networks (None: of all) that no rule lets pass."""
    hit = [
        each
        for each in blocked_flows(host)
        if each.obstacle.certain
        and each.stage.hook == "FORWARD"
        and each.stage.flow.version == version
        and owner_of(each) in (Owner.POLICY, Owner.ENGINE)
        and (networks is None or each.cases[0].network.network.name in networks)
    ]
    return DefaultDrop(hit[0].obstacle.chain, tuple(case for each in hit for case in each.cases)) if hit else None


# --- what a check says of it ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drop:
    """One rule or policy, and the flows that it drops. A `policy` drops those of some addresses only; `others` are
    other rules of that kind.
    """

    obstacle: Obstacle
    cases: tuple[Wanted, ...]
    others: tuple[AnyRule, ...] = ()
    policy: bool = False
    meanwhile: Grown | None = None

    @property
    def rule(self) -> AnyRule | None:
        return self.obstacle.rule


def drops(found: Iterable[Blocked]) -> tuple[list[Drop], list[Unjudged]]:
    """The rules that drop flows, with those flows; and what could not be judged."""
    dropped: dict[int, list[Blocked]] = defaultdict(list)
    sometimes: dict[int, list[Blocked]] = defaultdict(list)
    doubtful: dict[int, Blocked] = {}
    for each in found:
        place = id(each.obstacle.rule or each.obstacle.chain.head)
        if each.obstacle.certain:
            dropped[place].append(each)
        elif each.obstacle.depends_on is not None and asks_for_addresses_only(each.obstacle.depends_on):
            sometimes[place].append(each)
        else:
            doubtful.setdefault(place, each)
    certain = [_drop(hit) for hit in dropped.values()]
    rest = [each for place, hit in sometimes.items() if place not in dropped for each in hit]
    doubts = [_doubt(each) for place, each in doubtful.items() if place not in dropped and place not in sometimes]
    return [*certain, *([_policy(rest)] if rest else [])], doubts


def _drop(hit: Sequence[Blocked]) -> Drop:
    cases = {id(case): case for each in hit for case in each.cases}
    return Drop(hit[0].obstacle, tuple(cases.values()), meanwhile=hit[0].meanwhile)


def _policy(hit: Sequence[Blocked]) -> Drop:
    """All rules that drop some of the flows, in one, such as the thousands of a list of banned addresses."""
    rules = list({id(each.obstacle.rule): each.obstacle.rule for each in hit if each.obstacle.rule}.values())
    return replace(_drop(hit), others=tuple(rules[1:]), policy=True)


def _doubt(blocked: Blocked) -> Unjudged:
    obstacle = blocked.obstacle
    span = (obstacle.depends_on or obstacle.chain.head).span
    where = f"{span.source.path}:{span.line}"
    because = "its conditions cannot be judged"
    return Unjudged(f"whether the rule at {where} makes {blocked.cases[0].what} fail", because)


#: The conditions that a wanted flow tells all about.
_KNOWN = frozenset({"comment", "ctstate", "state", "dport", "dports", "ctorigdstport"})
_ADDRESSES = frozenset({"ip saddr", "ip daddr", "ip6 saddr", "ip6 daddr"})
_KNOWN_BY_NFT = frozenset(
    {"ct state", "ct status", "iifname", "oifname", "iif", "oif", "meta l4proto", "meta nfproto", "ip protocol"}
)


def asks_for_addresses_only(rule: AnyRule) -> bool:
    """The doubt is just about who the other side is: the rule asks for addresses, and for nothing that is not known."""
    if rule.not_understood:
        return False
    if isinstance(rule, NftRule):
        asked = [statement.left for statement in rule.statements if isinstance(statement, NftMatch)]
        known = (left in _KNOWN_BY_NFT or left.endswith(" dport") for left in asked if left not in _ADDRESSES)
        return any(left in _ADDRESSES for left in asked) and all(known)
    addresses = rule.source is not None or rule.destination is not None
    return addresses and all(match.option in _KNOWN for match in rule.matches)


def name_of(chain: BaseChain, rule: AnyRule | None) -> str:
    """A rule's chain, or one with a policy, as the user knows it: `FORWARD`, `forward of table inet corp`."""
    name = rule.chain if rule else chain.name
    table = chain.table
    if isinstance(table, NativeTable):
        return f"chain {name} of table {table.family} {table.name}"
    return name if table.name == "filter" else f"{name} of table {table.name}"


def subject_of_place(chain: BaseChain, rule: AnyRule | None) -> Subject:
    """A rule, or a chain whose policy is meant, by table, chain and position."""
    table = chain.table
    prefix = f"{table.family} {table.name}" if isinstance(table, NativeTable) else table.name
    if rule is None:
        return Subject("chain", f"{prefix} {chain.name}")
    return Subject("rule", f"{prefix} {rule.chain} {rule.position}")


def subjects_of(drop: Drop) -> tuple[Subject, ...]:
    """Whose flows are dropped, and by what."""
    own = subject_of_place(drop.obstacle.chain, drop.rule)
    return (*dict.fromkeys(case.subject for case in drop.cases), own)


def named(cases: Iterable[Wanted]) -> str:
    """What is dropped, in words."""
    names = list(dict.fromkeys(case.what for case in cases))
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def packets_of(rule: AnyRule) -> int | None:
    """How many packets a rule took, None when it does not count them."""
    if isinstance(rule, Rule):
        return rule.counters.packets if rule.counters else None
    counters = (each.details.get("packets", "") for each in rule.statements if not isinstance(each, NftMatch))
    return next((int(text) for text in counters if text.isdecimal() and len(text) < 20), None)


def _taken(drop: Drop) -> str:
    """How many packets the rule took; of two looks the later one counts, and what is between them."""
    if drop.meanwhile:
        grown = drop.meanwhile.after - drop.meanwhile.before
        return f"; {drop.meanwhile.after} packets so far, {grown} of them while the bundle was collected"
    taken = packets_of(drop.rule) if drop.rule else None
    return "" if taken is None else f"; {taken} packets so far"


def evidence_of(drop: Drop, label: str) -> tuple[Evidence, ...]:
    """The rule with its counter, others that do the same, and where the flows are wanted."""
    rule, chain = drop.rule, drop.obstacle.chain
    wanted = {case.place: case.what for case in reversed(drop.cases) if case.incoming}
    return (
        Evidence(rule.span if rule else chain.head.span, label + _taken(drop)),
        *(related(other.span, "so does this rule") for other in drop.others[:_MOST_NAMED]),
        *(related(span, what.removeprefix("connections to ")) for span, what in list(wanted.items())[:3]),
    )


def fault_of(drop: Drop, remedy: tuple[str, ...], verify: tuple[str, ...]) -> Fault:
    """A finding about one rule: an error, or a note for a policy that drops some addresses only."""
    rule, where = drop.rule, name_of(drop.obstacle.chain, drop.rule)
    make = partial(Fault, subjects=subjects_of(drop), remedy=remedy, verify=verify)
    if not drop.policy:
        what = f"a rule in {where}" if rule else f"the policy of {where}"
        label = "this rule drops them" if rule else "what no rule of this chain takes is dropped"
        return make(message=f"{what} drops {named(drop.cases)}", evidence=evidence_of(drop, label))
    who = f"{len(drop.others) + 1} rules in {where} drop" if drop.others else f"a rule in {where} drops"
    return make(
        message=f"{who} {named(drop.cases)} for some addresses",
        evidence=evidence_of(drop, "this rule drops some of them"),
        severity=Severity.NOTE,
        confidence=Confidence.MEDIUM,
    )


# --- commands that let it pass ----------------------------------------------------------------------------------------

_ANSWERS = "-m conntrack --ctstate RELATED,ESTABLISHED"

#: `-m multiport` takes 15 ports.
_MOST_PORTS = 15

#: What nft takes inside of quotes as it is.
_PLAIN = re.compile(r"[\w.@:+-]+")


def let_through(drop: Drop, interface: str) -> Iterator[str]:
    """Commands that let pass what was dropped: a rule about one of the bridges goes; before another rule or a policy,
    what was dropped is accepted. `interface` tells by which end the bridge is matched (`in` or `out`).
    """
    rule, devices = drop.rule, {case.network.device for case in drop.cases}
    if isinstance(rule, Rule):
        entered = (rule.in_interface, rule.in_interface_negated)
        device, negated = entered if interface == "in" else (rule.out_interface, rule.out_interface_negated)
        if device in devices and not negated:
            yield deletion(rule)
            return
    yield from _accept_at_top(drop, interface)


def _accept_at_top(drop: Drop, interface: str) -> Iterator[str]:
    """Commands that insert rules at the top of the base chain, which accept what was dropped there and no more:
    answers, and new connections by interface (`in` or `out`), protocol and port.
    """
    chain = drop.obstacle.chain
    answers = any(case.answer for case in drop.cases)
    by_device: dict[tuple[str, str], set[int]] = defaultdict(set)
    for case in drop.cases:
        flow = case.stages[0].flow
        if not case.answer:
            by_device[case.network.device, flow.protocol or "tcp"].add(flow.destination_port or 0)
    head = chain.head
    if not isinstance(head, Chain):
        if answers:
            yield nft_accepts(chain, "ct state { established, related }")
        for (device, protocol), ports in by_device.items():
            listed = ", ".join(str(port) for port in sorted(ports))
            if _PLAIN.fullmatch(device):
                yield nft_accepts(chain, f'{interface[0]}ifname "{device}" {protocol} dport {{ {listed} }}')
        return
    tool = tool_of(head)
    if answers:
        yield sh("{} -I {} ", tool, chain.name) + f"{_ANSWERS} -j ACCEPT"
    for (device, protocol), ports in by_device.items():
        listed = ",".join(str(port) for port in sorted(ports))
        which = f" --dport {listed}" if len(ports) == 1 else f" -m multiport --dports {listed}"
        condition = sh("-{} {} -p {}", interface[0], device, protocol) + (which if len(ports) <= _MOST_PORTS else "")
        yield sh("{} -I {} ", tool, chain.name) + f"{condition} -j ACCEPT"


def nft_accepts(chain: BaseChain, condition: str) -> str:
    """The command that inserts a rule at the top of a chain of nftables, which accepts what fits the condition."""
    table = chain.table
    family = table.family if isinstance(table, NativeTable) else "ip"
    return sh("nft {}", f"insert rule {family} {table.name} {chain.name} {condition} accept")


def nft_set(names: Iterable[str]) -> str:
    """Names of interfaces as a set of nft, empty when one of them is no plain name."""
    each = list(dict.fromkeys(names))
    if not each or not all(_PLAIN.fullmatch(name) for name in each):
        return ""
    return "{ " + ", ".join(f'"{name}"' for name in each) + " }"
