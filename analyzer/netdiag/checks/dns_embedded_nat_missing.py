"""Embedded DNS 127.0.0.11 has no NAT rules or no listener in the container netns.

## What it finds
Running containers that ask Docker's resolver at 127.0.0.11, whose own namespace lacks the rules that lead there, or the
socket at which dockerd takes the look-ups.

## Why it matters
`connection refused` or a time-out for every name, those of other containers too. A VPN client or an entrypoint that
runs `iptables -F` in the container is enough, and so is a dockerd that was started anew without taking up the
containers again.

## How it is decided
Gates: 127.0.0.11 is in the file that the container reads and no file is mounted in its place; the rules of its
namespace were collected, of every backend. A look-up by UDP and one by TCP are put to the nat rules of the namespace's
OUTPUT; where they lead, a socket of the namespace must listen.

## Not a problem when
The container uses the default bridge, the host's network or another container's; the runtime is kata or gVisor, whose
namespace is empty.

## Repair
Start the container anew: the engine then makes both anew.

## Verify
A name resolves in the container.

## References
moby libnetwork/resolver_unix.go; moby/moby#42197.
"""

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._dns import DNS_PORT, known_resolvers
from netdiag.checks._docker import related, sh
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import NftRule, Rule
from netdiag.model import Host, Namespace
from netdiag.model.firewall import target_option
from netdiag.model.flow import AnyRule, Decision, Fate, Flow
from netdiag.model.gates import is_settled, whole
from netdiag.model.hooks import translations
from netdiag.model.knowledge import all_of
from netdiag.model.resolvers import EMBEDDED, Origin, Resolver
from netdiag.spans import Span


@check(Severity.ERROR, layer="dns", symptom_of=("bundle-docker-down",))
def dns_embedded_nat_missing(host: Host) -> Verdicts:
    found, others = known_resolvers(host)
    yield from others
    asking = [each for each in found if each.embedded and each.origin is not Origin.MOUNTED]
    if not asking and not others:
        yield NotApplicable("no running container asks Docker's resolver")
    for each in asking:
        netns, container = each.netns, each.container
        gate = all_of(
            whole(netns.firewall, f"the iptables rules of {container.name}"),
            whole(netns.nftables, f"the nftables rules of {container.name}"),
            is_settled(host, f"container {container.name}", container.started),
        )
        if not gate.yes:
            yield unjudged(gate)
        elif not _is_empty(netns):
            yield from _judge(each)


def _is_empty(netns: Namespace) -> bool:
    """A sandboxed runtime has its own network stack, and nothing but a loopback device here."""
    return all(link.name == "lo" for link in netns.links)


def _judge(resolver: Resolver) -> Verdicts:
    ways = [(protocol, _ways(resolver.netns, protocol)) for protocol in ("udp", "tcp")]
    missing = [protocol for protocol, found in ways if not any(way.fate is Fate.TRANSLATED for way in found)]
    undecided = [way for _, found in ways for way in found if not way.certain]
    if missing and undecided:
        yield unjudged(whole(resolver.netns.firewall, f"where look-ups of {resolver.container.name} go"))
    elif missing:
        yield _fault(resolver, f"no rule leads look-ups by {' and '.join(missing)} to Docker's resolver", None)
    else:
        rule = next(way.rule for way in ways[0][1] if way.fate is Fate.TRANSLATED)
        port = _goal(rule)
        sockets = resolver.netns.sockets
        if not sockets.whole:
            yield unjudged(whole(sockets, f"who listens in container {resolver.container.name}"))
        elif port and not any(s.port == port and s.protocol == "udp" and s.address == EMBEDDED for s in sockets):
            yield _fault(resolver, f"nothing listens on 127.0.0.11:{port}, where look-ups are led", rule)


def _ways(netns: Namespace, protocol: str) -> tuple[Decision[AnyRule], ...]:
    source = next((a.address.ip for link in netns.links for a in link.addresses if a.address.version == 4), None)
    flow = Flow(protocol, "", "lo", source, EMBEDDED, DNS_PORT, source_port=40000)
    return translations(netns, "OUTPUT", flow)


def _goal(rule: AnyRule | None) -> int | None:
    """The port that a rule leads to."""
    if isinstance(rule, Rule):
        text = target_option(rule, "to-destination")
    elif isinstance(rule, NftRule):
        texts = (str(v) for s in rule.statements if getattr(s, "name", "") == "dnat" for v in _values(s))
        text = next((text for text in texts if ":" in text), "")
    else:
        text = ""
    port = text.rpartition(":")[2]
    return int(port) if port.isdecimal() else None


def _values(statement: object) -> tuple[object, ...]:
    return tuple(getattr(statement, "details", {}).values())


def _fault(resolver: Resolver, why: str, rule: AnyRule | None) -> Fault:
    container, netns = resolver.container, resolver.netns
    listed = next(each for each in resolver.listed if each.address == EMBEDDED)
    evidence = [Evidence(listed.span, "the container asks Docker's resolver")]
    if rule:
        evidence.append(related(rule.span, "this rule leads look-ups there"))
    else:
        evidence += [related(span, "the nat rules of the container begin here") for span in _nat_heads(netns)[:1]]
    return Fault(
        message=f"container `{container.name}` cannot resolve names: {why}",
        subjects=(Subject("container", container.name), Subject("address", f"{EMBEDDED}")),
        evidence=tuple(evidence),
        remedy=(sh("docker restart {}", container.name),),
        verify=(sh("docker exec {} nslookup {}", container.name, container.name),),
    )


def _nat_heads(netns: Namespace) -> list[Span]:
    return [chain.head.span for table in netns.tables("nat") for chain in table.chains.values()]
