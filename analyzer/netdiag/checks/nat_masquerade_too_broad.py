"""Blanket MASQUERADE hides client source IPs.

## What it finds
A rule of nat POSTROUTING that also gives the host's address to what comes from outside and goes to a published port.

## Why it matters
Every client looks like the bridge's gateway to the containers: logs show 172.17.0.1 only, and what counts or refuses by
address (rate limits, fail2ban, access lists) takes all clients for one.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace; a running container publishes a port on IPv4 to others than
the host itself; the nat table and the uplinks are known. The first packet of somebody far away, with the container's
address as its destination, is sent through every nat chain at the hook POSTROUTING: none may translate its source for
certain.

## Not a problem when
The rule is limited to an uplink (`-o eth0`), to local sources (`--src-type LOCAL`, which the engine itself writes
without the userland proxy) or to some clients that have no route back.

## Repair
Limit the rule to the uplink; delete it when it names the bridge.

## Verify
The container sees the addresses of its clients.

## References
moby/moby#15086; nginx-proxy/nginx-proxy#133; iptables-extensions(8) (MASQUERADE).
"""

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import deletion, related, sh
from netdiag.checks._flows import incoming, ports_for_outsiders
from netdiag.checks._nat import name_of
from netdiag.checks._ports import CarriedPort
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import NftRule
from netdiag.model import Host
from netdiag.model.flow import AnyRule, Fate
from netdiag.model.gates import uplinks
from netdiag.model.hooks import base_chains, translations_of
from netdiag.spans import Span

_MOST_NAMED = 4


@check(Severity.WARNING, layer="nat")
def nat_masquerade_too_broad(host: Host) -> Verdicts:
    ports, others = ports_for_outsiders(host)
    yield from others
    hidden: dict[Span, tuple[AnyRule, dict[tuple[str, str], CarriedPort]]] = {}
    chains = base_chains(host.root, "POSTROUTING")
    for packet in incoming(host, ports):
        way, *more = translations_of(chains, packet.translated, host.root.ground)
        if not more and way.certain and way.fate is Fate.TRANSLATED and way.rule:
            _, carried = hidden.setdefault(way.rule.span, (way.rule, {}))
            carried[packet.carried.container.id, packet.carried.name] = packet.carried
    for rule, carried in hidden.values():
        yield _fault(host, rule, list(carried.values()))


def _fault(host: Host, rule: AnyRule, ports: list[CarriedPort]) -> Fault:
    names = [f"{carried.name} of `{carried.container.name}`" for carried in ports]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return Fault(
        message=f"the clients of published ports look like the host itself: {', '.join(names[:_MOST_NAMED])}{more}",
        subjects=(
            Subject("rule", name_of(rule)),
            *dict.fromkeys(Subject("container", carried.container.name) for carried in ports),
        ),
        evidence=(
            Evidence(rule.span, "this rule also takes what comes from outside"),
            *(related(carried.port.span, f"published by {carried.container.name}") for carried in ports[:3]),
        ),
        remedy=_limited(rule, sorted(uplinks(host))),
        verify=("iptables -t nat -L POSTROUTING -v -n -x",),
        confidence=Confidence.HIGH if host.root.firewall.whole else Confidence.MEDIUM,
    )


def _limited(rule: AnyRule, outwards: list[str]) -> tuple[str, ...]:
    """The rule once more for the uplinks alone, and none of it when it asks for an interface already."""
    if isinstance(rule, NftRule):
        text, _, _ = rule.span.excerpt.strip().partition(" # handle ")
        if "oif" in text:
            return (deletion(rule),)
        place = sh("{} {} {} handle {}", rule.family, rule.table, rule.chain, rule.handle)
        links = ", ".join(f'"{name}"' for name in outwards)
        return (f"nft replace rule {place} " + sh("{}", f"oifname {{ {links} }} {text}"),)
    delete = deletion(rule)
    tool, _, words = delete.partition(f" -D {rule.chain} ")
    if rule.out_interface is not None or words.isdecimal():
        return (delete,)
    return (*(tool + sh(" -A {} -o {} ", rule.chain, name) + words for name in outwards), delete)
