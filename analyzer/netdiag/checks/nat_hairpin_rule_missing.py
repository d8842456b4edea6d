"""userland-proxy=false without own-port MASQUERADE / LOCAL MASQUERADE.

## What it finds
On a host without userland proxy, a published port that its own container cannot use, or that does not answer on
127.0.0.1, because the rule is gone that gives such connections the bridge's address.

## Why it matters
Without the proxy the kernel leads these connections to the container itself. A container that asks for its own
published port would get a packet with its own address as the source, and the host's 127.0.0.1 means itself to the
container: in both cases the answer never finds back. Clients from elsewhere notice nothing.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace; the userland proxy is off; the nat table is known. For each
published port whose rules the engine's version writes, the connection as it leaves for the container is sent through
every nat chain at the hook POSTROUTING; something must translate its source. Any rule will do.

## Not a problem when
The userland proxy is on: up to 27 the rules for own ports are there all the same, from 28 on they are not, and the
proxy answers. The network has no masquerading; the port is not published on 127.0.0.1.

## Repair
Put the engine's rule back.

## Verify
The container reaches its own port by the host's address; the port answers on 127.0.0.1.

## References
moby integration/network/bridge/iptablesdoc/generated/usernet-portmap-noproxy.md; moby commit bf251c33d0.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import chain_span, docker_networks, related
from netdiag.checks._ports import CarriedPort, carried_ports, why_no_ports
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import Rule
from netdiag.model import Host
from netdiag.model.expected import Expected, Purpose, missing_rules, specification
from netdiag.model.flow import Fate, Flow
from netdiag.model.gates import manages_iptables, table_known, uses_proxy
from netdiag.model.hooks import translations

_LOOPBACK = IPv4Address("127.0.0.1")


@check(
    Severity.ERROR,
    layer="nat",
    symptom_of=(
        "filter-docker-chains-missing",
        "nat-docker-jump-missing",
        "bundle-two-daemons",
        "bundle-live-restore-drift",
    ),
)
def nat_hairpin_rule_missing(host: Host) -> Verdicts:
    proxy = uses_proxy(host)
    if proxy.yes:
        yield NotApplicable("the userland proxy leads a container to its own ports")
        return
    bridges, others = docker_networks(host, table_known(host, "nat"), manages_iptables(host))
    yield from others
    if not bridges:
        return
    if proxy.unknown:
        yield unjudged(proxy)
        return
    ports = carried_ports(host, bridges)
    if not ports:
        yield why_no_ports(host, "no running container publishes a port on IPv4")
        return
    missing = [each for each in missing_rules(host) if each.rule.family == "ipv4" and each.rule.table == "nat"]
    own_ports = {_key(each.rule): each for each in missing if each.purpose is Purpose.OWN_PORT}
    from_host = {each.rule.out_interface: each for each in missing if each.purpose is Purpose.FROM_HOST}
    for carried in ports:
        own = own_ports.get((str(carried.address), carried.port.protocol, str(carried.port.container_port)))
        if own and not _translated(host, carried, carried.address):
            yield _fault(host, own, [carried], f"container `{carried.container.name}` does not reach its own port")
    for device, expected in from_host.items():
        here = [each for each in ports if each.bridge.device == device and each.answers_on_loopback]
        if here and not _translated(host, here[0], _LOOPBACK):
            yield _fault(host, expected, here, "the host does not reach on 127.0.0.1 the port")


def _key(rule: Rule) -> tuple[str, str | None, str]:
    """What an own-port rule is for: its container's address, the protocol and the port."""
    address = str(rule.destination.network_address) if rule.destination else ""
    return address, rule.protocol, next((match.value for match in rule.matches if match.option == "dport"), "")


def _translated(host: Host, carried: CarriedPort, source: IPv4Address | None) -> bool:
    """Whether a connection to the container from this source gets another one, or may."""
    flow = Flow(
        protocol=carried.port.protocol,
        in_interface=None,
        out_interface=carried.bridge.device,
        source=source,
        destination=carried.address,
        destination_port=carried.port.container_port,
        original_destination_port=carried.port.host_port,
    )
    return any(way.fate is Fate.TRANSLATED for way in translations(host.root, "POSTROUTING", flow))


def _fault(host: Host, expected: Expected, ports: list[CarriedPort], what: str) -> Fault:
    names = ", ".join(carried.name for carried in ports[:4]) + (" and more" if len(ports) > 4 else "")
    rule = f"POSTROUTING {specification(expected.rule)}"
    return Fault(
        message=f"{what} {names}: the rule that {expected.purpose.value} is gone",
        subjects=(
            *dict.fromkeys(Subject("container", carried.container.name) for carried in ports),
            *ports[0].bridge.subjects,
        ),
        evidence=(
            *_chains(host),
            *(related(each.port.span, f"{each.container.name} publishes it") for each in ports[:3]),
        ),
        remedy=(f"iptables -t nat -A {rule}",),
        verify=(f"iptables -t nat -C {rule}",),
        confidence=Confidence.HIGH if host.root.firewall.whole else Confidence.MEDIUM,
    )


def _chains(host: Host) -> Iterator[Evidence]:
    for table in host.root.tables("nat"):
        if "POSTROUTING" in table.chains:
            yield Evidence(chain_span(table.chains["POSTROUTING"]), "no rule here does it")
