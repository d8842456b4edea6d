"""Whether frames that a bridge passes from port to port meet the IPv4 firewall (br_netfilter)."""

from collections.abc import Iterator
from dataclasses import dataclass

from netdiag.checks._docker import BridgeNetwork
from netdiag.checks._ports import CarriedPort, carried_ports
from netdiag.formats.records import Sysctl
from netdiag.model import Host, Truth
from netdiag.model.gates import bridge_option, uses_proxy
from netdiag.spans import Span

KEY = "net.bridge.bridge-nf-call-iptables"


def module_loaded(host: Host) -> Truth:
    """Whether br_netfilter is there: without it the host has no setting of its name."""
    if any(setting.key.startswith("net.bridge.") for setting in host.root.sysctls):
        return Truth.YES
    return Truth.NO if host.root.sysctls.whole else Truth.UNKNOWN


def meets_firewall(host: Host, bridge: str) -> tuple[Truth, Span | None]:
    """Whether frames on a bridge meet the firewall, and the line that says so.

    They do when the host's setting or the bridge's own is on (net/bridge/br_netfilter_hooks.c joins them with "or").
    """
    setting, device = host.root.sysctl(KEY), host.root.bridge(bridge)
    own = device.nf_call_iptables if device else None
    if setting and is_on(setting):
        return Truth.YES, setting.span
    if device and own:
        return Truth.YES, device.span
    if setting:
        return (Truth.UNKNOWN if own is None else Truth.NO), setting.span
    return module_loaded(host) if module_loaded(host) is not Truth.YES else Truth.UNKNOWN, None


def is_on(setting: Sysctl) -> bool:
    return setting.value.strip() != "0"


@dataclass(frozen=True)
class Needing:
    """A network that only works as it is meant to when frames on its bridge meet the firewall.

    `reason` is where that is asked for; `breaks` tells whether traffic fails without, else only the isolation does.
    """

    bridge: BridgeNetwork
    reason: Span
    label: str
    consequence: str
    breaks: bool


def needing_netfilter(host: Host, bridges: list[BridgeNetwork]) -> Iterator[Needing]:
    """The networks whose containers are kept apart, and those with published ports when the userland proxy is off."""
    for bridge in bridges:
        if bridge_option(bridge.network, "enable_icc") == "false":
            name = bridge.network.name
            consequence = f"containers of network `{name}` reach each other in spite of enable_icc=false"
            yield Needing(
                bridge, bridge.network.span, f"network {name} has enable_icc=false", consequence, breaks=False
            )
    if not uses_proxy(host).no:
        return
    published: dict[str, CarriedPort] = {}
    for carried in carried_ports(host, bridges):
        if not (carried.host_address and carried.host_address.is_loopback):  # which no container can ask for
            published.setdefault(carried.bridge.device, carried)
    for carried in published.values():
        name = carried.bridge.network.name
        consequence = f"containers of network `{name}` do not reach each other's published ports"
        label = f"{carried.container.name} publishes {carried.name} without the userland proxy"
        yield Needing(carried.bridge, carried.port.span, label, consequence, breaks=True)
