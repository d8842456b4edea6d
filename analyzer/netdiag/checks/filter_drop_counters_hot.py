"""Rules that are about containers have dropped many packets.

## What it finds
The rules and policies, other than the engine's own, that have dropped a thousand packets or more, where they are about
the engine's bridges or containers or stand where all forwarded packets pass.

## Why it matters
When something does not get through, the rule with the large counter is where to look first.

## How it is decided
Counters of `iptables-save -c`, and of nft rules that count: rules that drop or reject in the chains that packets of
containers pass, and policies of FORWARD. A rule is about containers when it names a bridge of the engine, an address in
one of its subnets, or neither interface nor address but stands at the hook forward. The five largest are one note.

## Not a problem when
The packets are unwanted. Counters run since the rule was made; what they count may be long past.

## Repair
Find out what the packets are: the command below logs some of them.

## Verify
Two looks at the counter, a minute apart, tell whether it still grows.

## References
iptables(8), `--list --verbose`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import BridgeNetwork, bridge_networks, sh, tool_of
from netdiag.checks._drops import is_of_engine, name_of, subject_of_place, taken_by
from netdiag.finding import Evidence, Severity
from netdiag.formats.records import Chain, IpNetwork, NftMatch, NftRule, Rule
from netdiag.model import FirewallTable, Host
from netdiag.model.flow import AnyRule
from netdiag.model.gates import table_known
from netdiag.model.hooks import BaseChain, base_chains
from netdiag.model.nftables import NativeTable
from netdiag.model.packets import interface_fits

_MANY = 1000
_MOST_SHOWN = 5
_HOOKS = ("PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING")
_DROPS = frozenset({"DROP", "REJECT", "drop", "reject"})


@dataclass(frozen=True)
class _Hot:
    packets: int
    chain: BaseChain
    rule: AnyRule | None


@check(
    Severity.NOTE,
    layer="filter",
    symptom_of=(
        "filter-docker-user-drop",
        "filter-user-drop-before-docker",
        "filter-foreign-nft-drop",
        "filter-input-blocks-container-to-host",
        "filter-output-blocks-host-to-container",
    ),
)
def filter_drop_counters_hot(host: Host) -> Verdicts:
    bridges, others = bridge_networks(host, table_known(host, "filter"))
    yield from others
    if not bridges:
        return
    about = _About(bridges)
    hot = [each for each in _counted(host, about) if each.packets >= _MANY]
    if hot:
        yield _note(sorted(hot, key=lambda each: -each.packets)[:_MOST_SHOWN])


class _About:
    """Whether a rule is about containers."""

    def __init__(self, bridges: Sequence[BridgeNetwork]) -> None:
        self._devices = frozenset(bridge.device for bridge in bridges)
        self._subnets = [subnet.subnet for bridge in bridges for subnet in bridge.network.subnets]

    def holds(self, rule: AnyRule, hook: str) -> bool:
        if isinstance(rule, NftRule):
            asked = [each for each in rule.statements if isinstance(each, NftMatch)]
            links = [
                value for each in asked if each.left in ("iifname", "oifname", "iif", "oif") for value in each.values
            ]
            return any(name in self._devices for name in links) or (hook == "FORWARD" and not links)
        names = [name for name in (rule.in_interface, rule.out_interface) if name]
        ends = [end for end in (rule.source, rule.destination) if end is not None and end.prefixlen]
        if any(name in self._devices or _is_pattern_of(name, self._devices) for name in names):
            return True
        if any(self._is_inside(end) for end in ends):
            return True
        return hook == "FORWARD" and not names and not ends

    def _is_inside(self, end: IpNetwork) -> bool:
        return any(end.version == subnet.version and end.network_address in subnet for subnet in self._subnets)


def _is_pattern_of(name: str, devices: frozenset[str]) -> bool:
    return name.endswith("+") and any(interface_fits(name, device) for device in devices)


def _counted(host: Host, about: _About) -> Iterator[_Hot]:
    seen: set[int] = set()
    for hook in _HOOKS:
        for version in (4, 6):
            for chain in base_chains(host.root, hook, version):
                if hook == "FORWARD" and chain.drops and isinstance(chain.head, Chain) and chain.head.counters:
                    yield _Hot(chain.head.counters.packets, chain, None)
                for rule in _rules_after(chain):
                    if id(rule) not in seen and _drops(rule) and not is_of_engine(rule) and about.holds(rule, hook):
                        seen.add(id(rule))
                        yield _Hot(taken_by(host, rule) or 0, chain, rule)


def _rules_after(chain: BaseChain) -> Iterator[AnyRule]:
    table = chain.table
    if isinstance(table, FirewallTable):
        yield from table.rules_after(chain.name)
    elif isinstance(table, NativeTable) and table.name != "docker-bridges":
        for each in table.chains.values():
            if each.head.hook is None or each.name == chain.name:
                yield from each.rules


def _drops(rule: AnyRule) -> bool:
    if isinstance(rule, Rule):
        return rule.target in _DROPS
    return any(each.name in _DROPS for each in rule.statements if not isinstance(each, NftMatch))


def _note(hot: Sequence[_Hot]) -> Fault:
    first = hot[0]
    what = f"rule {first.rule.position}" if first.rule else "the policy"
    more = f", and {len(hot) - 1} more dropped {_MANY} or more" if len(hot) > 1 else ""
    return Fault(
        message=f"{what} of {name_of(first.chain, first.rule)} has dropped {first.packets} packets{more}",
        subjects=tuple(subject_of_place(each.chain, each.rule) for each in hot),
        evidence=tuple(
            Evidence((each.rule or each.chain.head).span, f"{each.packets} packets dropped") for each in hot
        ),
        remedy=tuple(_remedy(first)),
        verify=tuple(_verify(first)),
    )


def _remedy(hot: _Hot) -> Iterator[str]:
    """Log some of what comes to the place."""
    limit = '-m limit --limit 5/min -j LOG --log-prefix "dropped: "'
    head, rule = hot.chain.head, hot.rule
    if isinstance(rule, Rule):
        yield sh("{} -t {} -I {} {} ", tool_of(rule), rule.table, rule.chain, rule.position) + limit
    elif isinstance(head, Chain):
        yield sh("{} -t {} -A {} ", tool_of(head), head.table, head.name) + limit
    elif isinstance(rule, NftRule):
        yield sh("nft -a list chain {} {} {}", rule.family, rule.table, rule.chain)


def _verify(hot: _Hot) -> Iterator[str]:
    head = hot.chain.head
    if isinstance(head, Chain):
        chain = hot.rule.chain if hot.rule else head.name
        yield sh("{} -t {} -L {} -v -n -x", tool_of(head), head.table, chain)
    else:
        yield sh("nft -a list table {} {}", head.family, head.table)
