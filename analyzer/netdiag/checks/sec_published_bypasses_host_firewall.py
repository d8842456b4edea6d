"""Port published on 0.0.0.0/[::] while host firewall (ufw/firewalld/INPUT DROP) claims it is closed.

## What it finds
Published ports that anybody outside reaches, on a host whose own firewall drops everything that it was not told to let
in.

## Why it matters
`ufw status` and the rules of INPUT say that the port is closed, and it is open. Published ports are translated before
the kernel decides whether a packet is for the host: they pass FORWARD, where Docker lets them in, and never INPUT.

## How it is decided
Gates: Docker manages this namespace; the filter and nat tables were collected; there is a default route. For each port
that is published on IPv4 and not on loopback, a new connection from a public address that comes in by the uplink is put
to the rules, those of nftables and of both iptables backends: INPUT would drop it at the host's port, DNAT leads it to
the container, and FORWARD lets it pass. A rule of INPUT that names the very port is a finding of
sec-input-rule-ineffective.

## Not a problem when
DOCKER-USER (ufw-docker) or firewalld's StrictForwardPorts keeps others out; a rule of INPUT allows the port, which says
that it shall be open; a firewall in front of the host closes it.

## Repair
Say who may come in: a rule in DOCKER-USER, which comes before Docker's own. The commands leave the port to the network
of the uplink. Or publish the port on 127.0.0.1, or allow it in INPUT when it shall be open.

## Verify
A client from elsewhere is not answered any more.

## References
docs.docker.com/engine/network/packet-filtering-firewalls; moby/moby#22054; moby/moby#4737; docker/for-linux#690.
"""

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import related
from netdiag.checks._exposure import Bypass, bypasses, only_for_neighbours
from netdiag.finding import Evidence, Severity
from netdiag.model import Host

_MOST_NAMED = 5


@check(Severity.WARNING, layer="security")
def sec_published_bypasses_host_firewall(host: Host) -> Verdicts:
    found, others = bypasses(host)
    yield from others
    general = [bypass for bypass in found if bypass.named_by is None]
    if general:
        yield _fault(general)


def _fault(found: list[Bypass]) -> Fault:
    names = list(dict.fromkeys(bypass.port.name for bypass in found))
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    door, closed = found[0].door, found[0].closed
    evidence = [related(door.span, f"{door.device} leads outside")]
    if closed.rule is not None:
        evidence.insert(0, Evidence(closed.rule.span, "this drops what is for the host itself"))
    elif closed.chain is not None:
        evidence.insert(0, Evidence(closed.chain.head.span, "this policy drops what is for the host itself"))
    evidence += [bypass.port.published for bypass in found[:_MOST_NAMED]]
    return Fault(
        message=f"the host's firewall closes published port {', '.join(names[:_MOST_NAMED])}{more}, and anybody outside"
        " reaches it",
        subjects=tuple(dict.fromkeys(subject for bypass in found for subject in bypass.port.subjects)),
        evidence=tuple(evidence),
        remedy=tuple(
            dict.fromkeys(only_for_neighbours(b.door, b.port.port.protocol, b.port.port.host_port) for b in found)
        ),
        verify=("iptables -L DOCKER-USER -v -n -x",),
    )
