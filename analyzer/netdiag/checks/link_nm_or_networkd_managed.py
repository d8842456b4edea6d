"""NetworkManager/systemd-networkd manages Docker interfaces.

## What it finds
A bridge of a Docker network, or a veth of a running container, that systemd-networkd or NetworkManager sets up as well.

## Why it matters
What these programs set up they make as their own configuration says: systemd-networkd takes veths off their bridges,
because no bridge is configured for them, and both may take addresses away. Containers lose their network when an
interface comes or goes, or when the program is started anew: at random, as it seems.

## How it is decided
Gates: the engine is here; the networks are local bridges; the processes of the host were collected, and what the
running one of the two programs says of its interfaces (`networkctl`, `nmcli device`). Interfaces of the engine that
systemd-networkd shows as `configured`, `configuring`, `pending` or `failed`, or NetworkManager in another state than
`unmanaged`, `unavailable` or `connected (externally)`, are managed. What it has done already is part of this finding:
veths that are on no bridge.

## Not a problem when
NetworkManager shows `connected (externally)`: it watches the interface and leaves it alone. networkctl shows the
operational state `degraded`: that is about addresses.

## Repair
Tell the program to leave the engine's interfaces alone, and put the veths back that it took off.

## Verify
`networkctl` and `nmcli device` show the interfaces as unmanaged.

## References
moby/moby#40217; moby/moby#26492; moby/moby#38942; systemd/systemd#979; systemd.network(5) Unmanaged=;
NetworkManager.conf(5) unmanaged-devices; docs.docker.com/engine/daemon/troubleshoot.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from netdiag.checks._addresses import Carried, bridges_with_subnets
from netdiag.checks._base import Fault, NotApplicable, Unjudged, Verdicts, check
from netdiag.checks._docker import addition, bridge_networks, related
from netdiag.checks._veths import ContainerPort, container_ports, enslave
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import ManagedLink, ProcessLine
from netdiag.model import Host
from netdiag.model.gates import collected, whole

_NETWORKD, _NETWORK_MANAGER = "systemd-networkd", "NetworkManager"

#: What the programs say of an interface that they leave alone.
_LEFT_ALONE = {
    _NETWORKD: frozenset({"unmanaged", "initialized", "linger", "n/a"}),
    _NETWORK_MANAGER: frozenset({"unmanaged", "unavailable", "unknown", "connected (externally)"}),
}
_ASK = {_NETWORKD: "networkctl --no-pager list", _NETWORK_MANAGER: "nmcli device"}
_ASK_PROCESSES = f"ps -ww -C {_NETWORKD},{_NETWORK_MANAGER} -o pid,netns,args"
_FORMAT = {_NETWORKD: "networkctl", _NETWORK_MANAGER: "nmcli-device"}
_MOST_SHOWN = 6

#: What networkctl prints of an interface that systemd-networkd has said nothing of.
_NOT_TOLD = "-"

_LEAVE_ALONE = {
    _NETWORKD: (
        r"printf '[Match]\nName=docker0 br-* veth*\n[Link]\nUnmanaged=yes\n' >/etc/systemd/network/00-docker.network",
        "networkctl reload",
    ),
    _NETWORK_MANAGER: (
        r"printf '[keyfile]\nunmanaged-devices=interface-name:docker0;interface-name:br-*;interface-name:veth*\n' "
        ">/etc/NetworkManager/conf.d/docker.conf",
        "nmcli general reload",
    ),
}


@check(Severity.WARNING, layer="link")
def link_nm_or_networkd_managed(host: Host) -> Verdicts:
    managers = host.network_managers
    gate = whole(managers, "whether NetworkManager or systemd-networkd runs")
    if gate.unknown:
        gate = replace(gate, missing=("network-managers",), ask=(_ASK_PROCESSES,))
    bridges, others = bridge_networks(host, collected(host.root.links, "the links of the host"), gate)
    yield from others
    if not bridges:
        return
    running = {name: line for line in managers if (name := _program(line)) in _LEFT_ALONE}
    if not running:
        yield NotApplicable("neither NetworkManager nor systemd-networkd runs")
        return
    ports, unseen = container_ports(host)
    yield from (each for each in unseen if isinstance(each, Unjudged))
    bare = [each for each in bridges_with_subnets(host)[0] if not each.addresses and host.root.links.whole]
    of_engine = {bridge.device for bridge in bridges} | {port.outer.name for port in ports}
    said: dict[str, list[ManagedLink]] = defaultdict(list)
    for link in host.managed_links:
        if link.operational != _NOT_TOLD:
            said[link.manager].append(link)
    for name, process in running.items():
        if not said[name]:
            what = f"which interfaces {name} sets up"
            yield Unjudged(what, "the bundle does not show it", (_FORMAT[name],), (_ASK[name],))
            continue
        taken = [each for each in said[name] if each.device in of_engine and each.state not in _LEFT_ALONE[name]]
        if taken:
            yield _fault(host, name, process, taken, {port.outer.name: port for port in ports}, bare)


def _program(line: ProcessLine) -> str:
    return line.command.split(" ", 1)[0].rpartition("/")[2]


def _fault(
    host: Host,
    name: str,
    process: ProcessLine,
    taken: Sequence[ManagedLink],
    ports: Mapping[str, ContainerPort],
    without_address: Sequence[Carried],
) -> Fault:
    devices = [each.device for each in taken]
    bare = [each for each in without_address if each.link.name in devices]
    lost = [ports[each] for each in devices if each in ports and ports[each].outer.master is None]
    named = ", ".join(f"`{each}`" for each in devices[:_MOST_SHOWN])
    more = f" and {len(devices) - _MOST_SHOWN} more" if len(devices) > _MOST_SHOWN else ""
    effects = [f"has taken {len(lost)} of them off their bridges"] if lost else []
    if bare:
        effects.append(f"has taken the address of {len({each.link.name for each in bare})} of them")
    effect = f", and {' and '.join(effects)}" if effects else ""
    return Fault(
        message=f"{name} sets up {named}{more}{effect}",
        subjects=tuple(Subject("bridge" if host.root.bridge(each) else "interface", each) for each in devices),
        evidence=(
            *(Evidence(each.span, f"{name} shows it as {each.state}") for each in taken[:_MOST_SHOWN]),
            related(process.span, f"{name} runs"),
            *(related(port.outer.span, f"the veth of container {port.container}") for port in lost[:_MOST_SHOWN]),
        ),
        remedy=(
            *_LEAVE_ALONE[name],
            *(command for port in lost for command in enslave(host, [port.outer.name], port.bridge)),
            *(command for each in bare for command in _address_back(host, each)),
        ),
        verify=(_ASK[name], "bridge link"),
        severity=Severity.ERROR if lost or bare else None,
        affects=tuple(Subject("container", port.container) for port in lost),
    )


def _address_back(host: Host, bare: Carried) -> Iterator[str]:
    gateway = host.gateway_of(bare.bridge.network, bare.subnet)
    if gateway:
        yield addition(gateway, bare.subnet.subnet.prefixlen, bare.link.name)
