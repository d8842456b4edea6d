"""INPUT rules target published container ports but can never match.

## What it finds
A rule of INPUT (or of a chain that it leads to) that names a published port and drops it, while anybody outside reaches
the container.

## Why it matters
The rule looks like a closed port and is none. Docker translates the destination before the kernel decides whether a
packet is for the host, so that the port's traffic passes FORWARD.

## How it is decided
Gates: Docker manages this namespace; the filter and nat tables were collected; there is a default route. For each port
that is published on IPv4 and not on loopback, a new connection from a public address that comes in by the uplink is put
to the rules: the one that drops it at INPUT names the port (`--dport`), DNAT leads the connection to the container, and
FORWARD lets it pass. The rule's counter proves nothing: what the host and other containers ask of docker-proxy does
pass INPUT.

## Not a problem when
The container uses the host's network; the userland proxy serves the port instead of DNAT; DOCKER-USER closes it too.

## Repair
Say the same in DOCKER-USER. The port there is the container's by then, `--ctorigdstport` matches the published one.

## Verify
A client from elsewhere is not answered any more.

## References
docs.docker.com/engine/network/packet-filtering-firewalls; moby/moby#22054.
"""

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import related
from netdiag.checks._exposure import Bypass, bypasses, only_for_neighbours
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Rule
from netdiag.model import Host


@check(Severity.WARNING, layer="security")
def sec_input_rule_ineffective(host: Host) -> Verdicts:
    found, others = bypasses(host)
    yield from others
    by_rule: dict[Rule, list[Bypass]] = {}
    for bypass in found:
        if bypass.named_by:
            by_rule.setdefault(bypass.named_by, []).append(bypass)
    for rule, passed in by_rule.items():
        yield _fault(rule, passed)


def _fault(rule: Rule, passed: list[Bypass]) -> Fault:
    names = list(dict.fromkeys(bypass.port.name for bypass in passed))
    packets = f"; {rule.counters.packets} packets so far" if rule.counters else ""
    return Fault(
        message=f"a rule in {rule.chain} drops published port {', '.join(names)}, and anybody outside reaches it",
        subjects=(
            *dict.fromkeys(subject for bypass in passed for subject in bypass.port.subjects),
            Subject("rule", f"{rule.table} {rule.chain} {rule.position}"),
        ),
        evidence=(
            Evidence(rule.span, f"connections from outside never come here{packets}"),
            *dict.fromkeys(bypass.port.published for bypass in passed),
            related(passed[0].door.span, f"{passed[0].door.device} leads outside"),
        ),
        remedy=tuple(
            dict.fromkeys(only_for_neighbours(b.door, b.port.port.protocol, b.port.port.host_port) for b in passed)
        ),
        verify=("iptables -L DOCKER-USER -v -n -x",),
    )
