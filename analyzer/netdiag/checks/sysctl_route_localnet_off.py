"""route_localnet=0 with userland-proxy=false.

## What it finds
A published port of a host without userland proxy, on a bridge whose `route_localnet` is off.

## Why it matters
Without the proxy, the kernel itself has to route connections from 127.0.0.1 to the container. It refuses to send
anything from a loopback address out of an interface unless `route_localnet` is on there: the port answers on every
address of the host but 127.0.0.1.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace; the userland proxy is off; the network is a local bridge
that is masqueraded (without that, no answer finds back to 127.0.0.1 anyway). A port counts when it is published on all
addresses or on a loopback address. The kernel takes the greater of `net.ipv4.conf.all.route_localnet` and the bridge's
own, which the engine switches on when it makes the bridge.

## Not a problem when
The userland proxy is on: then 0 is right, and the proxy answers on 127.0.0.1.

## Repair
Switch it on for the bridge, and find the hardening script that switches it off.

## Verify
The setting reads 1, and the port answers on 127.0.0.1.

## References
kernel Documentation/networking/ip-sysctl.rst (route_localnet); moby libnetwork/drivers/bridge
(setupLoopbackAddressesRouting).
"""

from collections import defaultdict

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import BridgeNetwork, docker_networks, related, sh
from netdiag.checks._ports import CarriedPort, carried_ports, why_no_ports
from netdiag.checks._sysctl import greater, interface_key, number, settings_known
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Sysctl
from netdiag.model import Host
from netdiag.model.gates import manages_iptables, translates_addresses, unknown, uses_proxy


@check(Severity.ERROR, layer="sysctl")
def sysctl_route_localnet_off(host: Host) -> Verdicts:
    proxy = uses_proxy(host)
    if proxy.yes:
        yield NotApplicable("the userland proxy answers on 127.0.0.1")
        return
    known = settings_known(host, "whether bridges route 127.0.0.0/8")
    bridges, others = docker_networks(host, manages_iptables(host), known)
    yield from others
    if not bridges:
        return
    if proxy.unknown:
        yield unjudged(proxy)
        return
    ports = [
        carried
        for carried in carried_ports(host, bridges)
        if carried.answers_on_loopback and not translates_addresses(carried.bridge.network).no
    ]
    if not ports:
        yield why_no_ports(host, "no port is published on 127.0.0.1")
        return
    by_bridge: dict[str, list[CarriedPort]] = defaultdict(list)
    for carried in ports:
        by_bridge[carried.bridge.device].append(carried)
    for device, on_bridge in by_bridge.items():
        setting = greater(host.root, device, "route_localnet")
        if setting is None:
            yield unjudged(unknown(f"whether {device} routes 127.0.0.0/8", "sysctl"))
        elif not number(setting):
            own = host.root.sysctl(interface_key(device, "route_localnet"))
            yield _fault(on_bridge[0].bridge, own or setting, on_bridge)


def _fault(bridge: BridgeNetwork, setting: Sysctl, ports: list[CarriedPort]) -> Fault:
    names = ", ".join(carried.name for carried in ports[:4]) + (" and more" if len(ports) > 4 else "")
    key = interface_key(bridge.device, "route_localnet")
    return Fault(
        message=f"published ports of network `{bridge.network.name}` do not answer on 127.0.0.1: {names}",
        subjects=(Subject("sysctl", key), *bridge.subjects),
        evidence=(
            Evidence(setting.span, "the kernel sends nothing from 127.0.0.1 out of this bridge"),
            *(related(carried.port.span, f"published by {carried.container.name}") for carried in ports[:3]),
        ),
        remedy=(sh("sysctl -w {}=1", key),),
        verify=(sh("sysctl {}", key),),
    )
