"""How connections come in to a container by the rules of the host, and the commands that make a way by hand."""

from collections.abc import Iterator
from ipaddress import IPv4Address

from netdiag.checks._docker import sh
from netdiag.formats.records import Container, IpAddress, Rule
from netdiag.model import Host
from netdiag.model.firewall import matched, target_option


def goal(address: IpAddress, port: int) -> str:
    """An address with a port as DNAT rules write it."""
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def translating_rules(host: Host) -> Iterator[Rule]:
    """The rules of the host, of every chain and family, that give connections another destination."""
    for table in host.root.firewall:
        if table.name == "nat":
            yield from (rule for rule in table.rules() if rule.target in ("DNAT", "REDIRECT"))


def goals_of_host(host: Host) -> frozenset[tuple[str | None, str]]:
    """The protocols and goals of the host's DNAT rules, but of those for its loopback address alone."""
    return frozenset(
        (rule.protocol, target_option(rule, "to-destination"))
        for rule in translating_rules(host)
        if rule.target == "DNAT" and not (rule.destination and rule.destination.is_loopback)
    )


def translated_ports(host: Host) -> frozenset[tuple[str | None, str]]:
    """The protocols and ports of the host that a rule leads elsewhere."""
    return frozenset((rule.protocol, matched(rule, "dport")) for rule in translating_rules(host))


def lead_by_hand(address: IPv4Address, protocol: str, host_port: int, container_port: int) -> tuple[str, str]:
    """The rules by which an administrator leads a port of the host to a container, beside the engine's own chains."""
    there = f"-p {sh('{}', protocol)} --dport"
    return (
        f"iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL {there} {host_port}"
        f" -j DNAT --to-destination {address}:{container_port}",
        f"iptables -I DOCKER-USER -d {address}/32 {there} {container_port} -j ACCEPT",
    )


def address_of(host: Host, container: Container) -> IPv4Address | None:
    """The container's first IPv4 address."""
    return next(iter(host.addresses_of(container)), None)
