"""The rules that the engine must have programmed and that are gone: which they are, what proves it, and the commands
that put them back.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from netdiag.checks._base import Unjudged, unjudged
from netdiag.checks._docker import chain_span, related, restart, sh
from netdiag.finding import Evidence, Subject
from netdiag.formats.records import Network, Rule
from netdiag.model import FirewallChain, Gate, Host
from netdiag.model.expected import Expected, Purpose, expected_rules, meaning, missing_rules, specification
from netdiag.model.gates import is_settled, table_known
from netdiag.model.knowledge import once
from netdiag.spans import Span

#: Rules that are put back one by one; when more are gone a restart of the engine is the shorter way.
_MOST_PUT_BACK = 16

_MOST_SHOWN = 10


@dataclass(frozen=True)
class Gone:
    """The rules that are surely gone, and what could not be judged, by the tables that this is about."""

    rules: tuple[Expected, ...]
    doubts: Mapping[str, Sequence[Unjudged]]

    def of(self, *purposes: Purpose) -> tuple[Expected, ...]:
        return tuple(each for each in self.rules if each.purpose in purposes)

    def doubts_about(self, table: str) -> Sequence[Unjudged]:
        return self.doubts.get(table, ())


@once
def gone(host: Host) -> Gone:
    """The expected rules that are in no backend, where the bundle shows all rules of their tables."""
    rules: list[Expected] = []
    doubts: dict[str, dict[Unjudged, None]] = defaultdict(dict)
    gates: dict[Hashable, Gate] = {}
    for each in missing_rules(host):
        if _led_to_otherwise(host, each):
            continue
        table = each.rule.family, each.rule.table
        if table not in gates:
            gates[table] = table_known(host, each.rule.table, each.rule.family)
        gate, container = gates[table], each.container
        if gate.yes and container:
            gate = is_settled(host, f"the rules of container {container.name}", container.started)
        if gate.yes:
            rules.append(each)
        else:
            doubts[each.rule.table][unjudged(gate)] = None
    return Gone(tuple(rules), {name: tuple(found) for name, found in doubts.items()})


def gone_from_forward(host: Host, network: Network | None = None) -> tuple[Expected, ...]:
    """The rules that are gone from the chain FORWARD itself, without the jump to DOCKER-USER; of one network or of
    all.
    """
    of_network = _gone_from_forward(host)
    if network is None:
        return tuple(each for rules in of_network.values() for each in rules)
    return tuple(of_network.get(network.id, ()))


@once
def _gone_from_forward(host: Host) -> Mapping[str, Sequence[Expected]]:
    """By the network that they are for; those for all have the empty id."""
    found: dict[str, list[Expected]] = defaultdict(list)
    for each in gone(host).rules:
        if (each.rule.chain, each.rule.table) == ("FORWARD", "filter") and each.purpose is not Purpose.USER_JUMP:
            found[each.network.id if each.network else ""].append(each)
    return found


def forward_unless_open(host: Host) -> tuple[Subject, ...]:
    """FORWARD of the filter table, which lets too much pass by a rule alone: its policy is DROP."""
    forward = (table.chains["FORWARD"] for table in host.root.tables("filter") if "FORWARD" in table.chains)
    closed = any(chain.head.policy == "DROP" for chain in forward)
    return (subject_of_chain("ipv4", "filter", "FORWARD"),) if closed else ()


def _led_to_otherwise(host: Host, each: Expected) -> bool:
    """The jump is not there, but a chain of somebody's own leads on to the same chain."""
    rule = each.rule
    if each.purpose not in (Purpose.ENTRY, Purpose.USER_JUMP, Purpose.NAT_JUMP) or rule.target is None:
        return False
    return any(table.reaches(rule.chain, rule.target) for table in host.root.tables(rule.table, rule.family))


@once
def _expected_by_chain(host: Host) -> Mapping[tuple[str, str, str], Sequence[Expected]]:
    found: dict[tuple[str, str, str], list[Expected]] = defaultdict(list)
    for each in expected_rules(host):
        found[chain_of(each.rule)].append(each)
    return found


def chain_of(rule: Rule) -> tuple[str, str, str]:
    """The family, table and chain of a rule."""
    return rule.family, rule.table, rule.chain


def chains(host: Host, family: str, table: str, name: str) -> list[FirewallChain]:
    """The chain in every backend that has it."""
    return [each.chains[name] for each in host.root.tables(table, family) if name in each.chains]


def emptied(host: Host) -> list[tuple[str, str, str]]:
    """The chains that must have rules, and have none in any backend although they are there. The only rule of a chain
    may be that of one port, and then it is that port that is not served.
    """
    lost: dict[tuple[str, str, str], list[Expected]] = defaultdict(list)
    for each in gone(host).rules:
        lost[chain_of(each.rule)].append(each)
    return [
        place
        for place, rules in lost.items()
        if (found := chains(host, *place))
        and not any(chain.rules for chain in found)
        and (len(rules) > 1 or rules[0].purpose is not Purpose.PORT)
    ]


def subject_of_chain(family: str, table: str, name: str) -> Subject:
    return Subject("chain", f"{table} {name}" + (" of ip6tables" if family == "ipv6" else ""))


def text_of(rule: Rule) -> str:
    """A rule as `iptables-save` prints it."""
    return f"-A {rule.chain} {specification(rule)}"


def subjects_of(rules: Iterable[Expected]) -> Iterator[Subject]:
    """What the rules are for: their chains, networks, containers and ports."""
    for each in rules:
        yield subject_of_chain(*chain_of(each.rule))
        if each.network:
            yield Subject("network", each.network.name)
        if each.container:
            yield Subject("container", each.container.name)
            yield from _ports_of(each)


def _ports_of(each: Expected) -> Iterator[Subject]:
    container = each.container
    for port in container.ports if container else ():
        if port.span == each.rule.span:
            yield Subject("port", f"{port.host_port}/{port.protocol}")


def evidence_of(host: Host, rules: Sequence[Expected]) -> tuple[Evidence, ...]:
    """Where each rule should stand, or the head of the rules when there is no such chain, and who needs it."""
    first_head = next((chain.head.span for table in host.root.firewall for chain in table.chains.values()), None)
    found: list[Evidence] = []
    for each in rules[:_MOST_SHOWN]:
        there = chains(host, *chain_of(each.rule))
        span = chain_span(there[0]) if there else first_head
        if span:
            found.append(Evidence(span, f"gone: {text_of(each.rule)}"))
    left = len(rules) - _MOST_SHOWN
    if found and left > 0:
        found.append(Evidence(found[-1].span, f"gone as well: {left} more rules"))
    needs: dict[Span, str] = {}
    for each in rules:
        if each.container:
            needs.setdefault(each.rule.span, f"container {each.container.name} needs it")
        elif each.network:
            needs.setdefault(each.network.span, f"network {each.network.name} needs it")
    shown = list(needs.items())[:3]
    if not found:
        first = shown[0] if shown else (rules[0].rule.span, "the engine's networks need rules")
        return (Evidence(first[0], f"{first[1]}, and there are no iptables rules at all"),)
    return (*found, *(related(span, label) for span, label in shown))


def remedy_of(host: Host, rules: Sequence[Expected]) -> tuple[str, ...]:
    """The commands that put the rules back where they were; a restart of the engine when their chains are gone too, or
    when there are many.
    """
    whole = all(chains(host, *chain_of(each.rule)) for each in rules)
    if whole and len(rules) <= _MOST_PUT_BACK:
        return tuple(put_back(host, rules))
    user_jump = next((each for each in rules if each.purpose is Purpose.USER_JUMP), None)
    if user_jump is None or not (host.engine.info and host.engine.info.live_restore):
        return restart(host)
    return (*restart(host), *user_chain_joined(host))  # which a restart with running containers may leave out


def user_chain_joined(host: Host) -> tuple[str, ...]:
    """The commands after which FORWARD leads to DOCKER-USER first."""
    made = () if chains(host, "ipv4", "filter", "DOCKER-USER") else ("iptables -N DOCKER-USER",)
    return (*made, "iptables -C FORWARD -j DOCKER-USER || iptables -I FORWARD -j DOCKER-USER")


def put_back(host: Host, rules: Iterable[Expected]) -> Iterator[str]:
    """A command for each rule that inserts it behind those that the engine keeps before it: those for all networks, and
    those of the same one.
    """
    places = _places(host)
    found = {meaning(each.rule): None for each in rules}
    wanted = sorted((place for key in found for place in places.get(key, ())), key=lambda place: place.order)
    taken: dict[tuple[str, str, str], list[tuple[str, int]]] = defaultdict(list)  # networks, and where, in order
    for each in wanted:
        family, table, name = chain = chain_of(each.expected.rule)
        at = each.behind
        for network, earlier in taken[chain]:
            at += earlier <= at
            if network in ("", each.network):
                at = max(at, earlier)
        taken[chain].append((each.network, at + 1))
        tool = "ip6tables" if family == "ipv6" else "iptables"
        where = f"-t {table} -I {name} {at + 1}" if table != "filter" else f"-I {name} {at + 1}"
        yield f"{tool} {where} {quoted(each.expected.rule)}"


@dataclass(frozen=True)
class _Place:
    """Where an expected rule belongs: `order` among all expected ones, `behind` which position of its chain as it is
    now. `network` is the id of its network, empty for a rule for all.
    """

    expected: Expected
    network: str
    order: int
    behind: int


@once
def _places(host: Host) -> Mapping[tuple[object, ...], Sequence[_Place]]:
    """The places of all expected rules, by their meaning."""
    found: dict[tuple[object, ...], list[_Place]] = defaultdict(list)
    order = count()
    for place, all_of_chain in _expected_by_chain(host).items():
        holder = max(chains(host, *place), key=lambda chain: len(chain.rules), default=None)
        there = [meaning(rule) for rule in holder.rules] if holder else []
        positions = {each: number for number, each in reversed(list(enumerate(there, start=1)))}
        last: dict[str, int] = defaultdict(int)  # the last position of each network's rules, and of those for all
        # ports before what drops the rest
        for each in sorted(all_of_chain, key=lambda each: each.purpose is not Purpose.PORT):
            key, network = meaning(each.rule), each.network.id if each.network else ""
            found[key].append(_Place(each, network, next(order), max(last[""], last[network])))
            last[network] = max(last[network], positions.get(key, 0))
    return found


def quoted(rule: Rule) -> str:
    """The rule's specification as a shell takes it: a name from the bundle may hold anything."""
    return " ".join(word if word == "!" else sh("{}", word) for word in specification(rule).split(" "))
