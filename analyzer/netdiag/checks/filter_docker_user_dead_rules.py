"""Rules in DOCKER-USER that no packet ever meets.

## What it finds
Rules in DOCKER-USER behind a rule that takes every packet, and rules there that drop what goes to a host port although
packets have the container's port by then.

## Why it matters
The administrator believes that something is closed, and it is open. Nothing says so: the rule is listed, it only never
counts a packet.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace; the filter table was collected; FORWARD leads to
DOCKER-USER. A rule is dead when it stands behind one that asks for nothing and ends the way through the chain (RETURN,
ACCEPT, DROP, REJECT). Up to 28.1 the engine ends the chain with a RETURN, so whatever is appended (`-A`) is dead. A
rule that drops `--dport N` is about a host port when N is the host port of a published port and no container's port:
translation comes before FORWARD, so packets have the container's port there, and the host's only in `--ctorigdstport`.
A rule with a condition that netdiag does not understand is not judged.

## Not a problem when
The rule behind is another RETURN. The port is the same on the host and in the container.

## Repair
Put the rule at its place with `-I`; ask for the host port with `-m conntrack --ctorigdstport`.

## Verify
The rule counts packets.

## References
docs.docker.com/engine/network/firewall-iptables; moby integration/network/bridge/iptablesdoc (28.1 and 28.2).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check
from netdiag.checks._docker import deletion, docker_networks, published_ports, related
from netdiag.checks._drops import USER_CHAIN
from netdiag.checks._wanted import wanted_flows
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Container, PublishedPort, Rule
from netdiag.model import FirewallChain, FirewallTable, Host
from netdiag.model.firewall import matched
from netdiag.model.flow import Fate, decide
from netdiag.model.gates import manages_iptables, table_known

_MOST_SHOWN = 8


@check(Severity.WARNING, layer="filter")
def filter_docker_user_dead_rules(host: Host) -> Verdicts:
    bridges, others = docker_networks(host, table_known(host, "filter"), manages_iptables(host))
    yield from others
    if not bridges:
        return
    tables = [table for table in host.root.firewall if table.name == "filter" and table.reaches("FORWARD", USER_CHAIN)]
    if not tables:
        yield NotApplicable(f"FORWARD does not lead to {USER_CHAIN}")
        return
    for table in tables:
        chain = table.chains.get(USER_CHAIN)
        if chain is None:
            continue
        end = next((rule for rule in chain.rules if _takes_everything(rule)), None)
        dead = [rule for rule in chain.rules if end and rule.position > end.position and not _is_return(rule)]
        if end and dead:
            yield _behind(host, table, chain, end, dead)
        alive = [rule for rule in chain.rules if end is None or rule.position < end.position]
        yield from _for_host_ports(host, alive)


def _takes_everything(rule: Rule) -> bool:
    """The rule asks for nothing, and ends the way of every packet through the chain."""
    return (rule.target in ("RETURN", "ACCEPT", "DROP", "REJECT") or rule.goto) and _asks_for_nothing(rule)


def _asks_for_nothing(rule: Rule) -> bool:
    asked = (rule.protocol, rule.source, rule.destination, rule.in_interface, rule.out_interface, rule.fragment)
    conditions = [match for match in rule.matches if match.option != "comment"]
    return all(each is None for each in asked) and not conditions and not rule.not_understood


def _is_return(rule: Rule) -> bool:
    return rule.target == "RETURN" and _asks_for_nothing(rule)


def _behind(host: Host, table: FirewallTable, chain: FirewallChain, end: Rule, dead: Sequence[Rule]) -> Fault:
    count = f"{len(dead)} rules" if len(dead) > 1 else f"rule {dead[0].position}"
    verb = "stand" if len(dead) > 1 else "stands"
    shown = dead[:_MOST_SHOWN]
    return Fault(
        message=f"{count} of {USER_CHAIN} {verb} behind a {end.target or 'jump'} that takes every packet",
        subjects=(
            Subject("chain", f"filter {USER_CHAIN}"),
            *(Subject("rule", f"filter {USER_CHAIN} {rule.position}") for rule in shown),
        ),
        evidence=(
            *(Evidence(rule.span, "no packet comes to this rule") for rule in shown),
            related(end.span, "every packet leaves here"),
        ),
        remedy=tuple(_moved(host, table, chain, end, shown)),
        verify=(f"iptables -L {USER_CHAIN} -v -n -x --line-numbers",),
    )


def _moved(host: Host, table: FirewallTable, chain: FirewallChain, end: Rule, dead: Sequence[Rule]) -> Iterator[str]:
    """Each rule deleted and, unless it would then drop what should pass, inserted before the end of the chain."""
    place = end.position
    for rule in dead:
        delete = deletion(rule)
        yield delete
        insert = delete.replace(f" -D {USER_CHAIN} ", f" -I {USER_CHAIN} {place} ", 1)
        if insert != delete and not _would_drop_all(host, table, chain, rule):
            yield insert
            place += 1


def _would_drop_all(host: Host, table: FirewallTable, chain: FirewallChain, rule: Rule) -> bool:
    """The rule by itself drops flows that should pass."""
    alone = replace(table, chains={**table.chains, USER_CHAIN: replace(chain, rules=(rule,))})
    version = 6 if table.family == "ipv6" else 4
    flows = {each.forwarded for each in wanted_flows(host) if each.forwarded.version == version}
    ways = (decide(alone, USER_CHAIN, flow, host.root.ground) for flow in flows)
    return any(all(way.fate is Fate.DROPPED for way in each) for each in ways)


def _for_host_ports(host: Host, rules: Sequence[Rule]) -> Iterator[Fault]:
    """Rules that drop what goes to a host port, by `--dport`."""
    by_host_port: dict[str, tuple[Container, PublishedPort]] = {}
    container_ports: set[str] = set()
    for container, port in published_ports(host, "docker"):
        by_host_port.setdefault(f"{port.host_port}/{port.protocol}", (container, port))
        container_ports.add(f"{port.container_port}/{port.protocol}")
    for rule in rules:
        asked = f"{matched(rule, 'dport')}/{rule.protocol}"
        if rule.target not in ("DROP", "REJECT") or rule.not_understood or matched(rule, "ctorigdstport"):
            continue
        if asked in by_host_port and asked not in container_ports and not rule.protocol_negated:
            yield _for_host_port(rule, *by_host_port[asked])


def _for_host_port(rule: Rule, container: Container, port: PublishedPort) -> Fault:
    name = f"{port.host_port}/{port.protocol}"
    delete = deletion(rule)
    asked = f"-m {port.protocol} --dport {port.host_port}"
    other = delete.replace(asked, f"-m conntrack --ctorigdstport {port.host_port}", 1)
    insert = other.replace(f" -D {USER_CHAIN} ", f" -I {USER_CHAIN} ", 1)
    has = f"packets to it have port {port.container_port} of container `{container.name}` there"
    return Fault(
        message=f"rule {rule.position} of {USER_CHAIN} never takes a packet: {name} is a port of the host, and {has}",
        subjects=(
            Subject("chain", f"filter {USER_CHAIN}"),
            Subject("rule", f"filter {USER_CHAIN} {rule.position}"),
            Subject("port", name),
        ),
        evidence=(
            Evidence(rule.span, "this rule asks for the port of the host"),
            related(port.span, f"published for port {port.container_port} of {container.name}"),
        ),
        remedy=(delete, insert) if other not in (delete, insert) else (delete,),
        verify=(f"iptables -L {USER_CHAIN} -v -n -x --line-numbers",),
    )
