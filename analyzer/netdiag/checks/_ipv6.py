"""What several checks ask of IPv6: the networks that have it, and whether the host does."""

from dataclasses import dataclass
from ipaddress import IPv6Network

from netdiag.checks._base import NotApplicable, Unjudged
from netdiag.checks._docker import BridgeNetwork, bridge_networks, docker_networks
from netdiag.formats.records import Subnet, Sysctl
from netdiag.model import Gate, Host, Namespace
from netdiag.model.gates import reaches_outside

#: Addresses that nobody routes on the internet (RFC 4193).
UNIQUE_LOCAL = IPv6Network("fc00::/7")


@dataclass(frozen=True)
class Ipv6Subnet:
    """An IPv6 subnet of a bridge network."""

    bridge: BridgeNetwork
    subnet: Subnet
    prefix: IPv6Network

    @property
    def is_unique_local(self) -> bool:
        return self.prefix.subnet_of(UNIQUE_LOCAL)


def ipv6_subnets(host: Host, *gates: Gate) -> tuple[list[Ipv6Subnet], list[Unjudged | NotApplicable]]:
    """The IPv6 subnets of the bridge networks, when `gates` allow to judge them; and what to say of the others."""
    return _of(*bridge_networks(host, *gates))


def ipv6_subnets_of_docker(host: Host, *gates: Gate) -> tuple[list[Ipv6Subnet], list[Unjudged | NotApplicable]]:
    """The same of Docker alone: for what hangs on its rules and settings."""
    return _of(*docker_networks(host, *gates))


def _of(
    bridges: list[BridgeNetwork], others: list[Unjudged | NotApplicable]
) -> tuple[list[Ipv6Subnet], list[Unjudged | NotApplicable]]:
    found = [
        Ipv6Subnet(bridge, subnet, subnet.subnet)
        for bridge in bridges
        if bridge.network.enable_ipv6 is not False
        for subnet in bridge.network.subnets
        if isinstance(subnet.subnet, IPv6Network) and not subnet.subnet.is_link_local
    ]
    if not found and not others:
        others.append(NotApplicable("no bridge network has IPv6"))
    return found, others


def outward(subnets: list[Ipv6Subnet]) -> tuple[list[Ipv6Subnet], list[NotApplicable]]:
    """Those of networks that are meant to reach the outside; and what to say when there is none."""
    found = [each for each in subnets if reaches_outside(each.bridge.network, 6).yes]
    inner = [NotApplicable("every network with IPv6 is internal")] if subnets and not found else []
    return found, inner


def ipv6_setting(netns: Namespace, device: str, name: str) -> Sysctl | None:
    return netns.sysctl(f"net.ipv6.conf.{device}.{name}")


def has_no_ipv6(netns: Namespace) -> bool:
    """The kernel runs without IPv6 (`ipv6.disable=1`): it has no settings for it, though others were collected."""
    return netns.sysctls.whole and not any(setting.key.startswith("net.ipv6.conf.") for setting in netns.sysctls)
