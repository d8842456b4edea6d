"""Podman's firewall rules are gone while its containers run.

## What it finds
Published ports that no rule leads to their container, networks whose packets keep their private address, and networks
whose packets the policy of FORWARD drops, on a host with running containers of podman.

## Why it matters
Podman has no daemon that would put its rules back. After a reload of firewalld, `nft flush ruleset`, `iptables -F` or a
restart of a firewall service the containers run on, but nobody reaches them and they reach nobody. A connection to a
published port hangs, because conmon keeps the port and never answers.

## How it is decided
Gates: podman is root's and of this host, its network backend is netavark and programs rules; the network is a bridge on
which a container runs and is not internal. A first packet of each network on its way out, and one to each published
port, is put to all nat chains of every backend; firewalld's own rules count as well.

## Not a problem when
Podman is rootless (pasta and slirp4netns need no rules of the host); the firewall driver is `none`; the network is
internal or its bridge unmanaged; somebody else's rule does the same.

## Repair
Let podman program its rules anew; what is left of its nftables table has to go first, or podman leaves it as it is.
With firewalld, enable `netavark-firewalld-reload.service` (netavark 1.9), which does
that after every reload.

## Verify
The rules are back, and the port answers.

## References
podman-network-reload(1); containers/podman#5431; containers/netavark#723; containers/netavark#230.
"""

from collections.abc import Iterator, Sequence

from netdiag.checks._base import Fault, NotApplicable, Unjudged, Verdicts, check, unjudged
from netdiag.checks._docker import related
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Container
from netdiag.model import Gate, Host
from netdiag.model.gates import has_own_namespace, is_running, is_settled, no, podman_is_here, unknown, whole
from netdiag.model.knowledge import YES, all_of
from netdiag.model.netavark import Lost, Service, lost_services

_MOST_SHOWN = 10


@check(Severity.ERROR, layer="filter")
def podman_firewalld_reload(host: Host) -> Verdicts:
    if host.podman.absent:
        yield NotApplicable(f"podman is not on this host ({host.podman.absent})")
        return
    gate = all_of(
        podman_is_here(host),
        _programs_rules(host),
        whole(host.root.firewall, "the rules of iptables"),
        whole(host.root.nftables, "the rules of nftables"),
    )
    if not gate.yes:
        yield NotApplicable(gate.why) if gate.no else unjudged(gate)
        return
    running = [container for container in host.containers if _is_on_a_network(container)]
    if not running:
        yield _nothing_runs(host)
        return
    unsettled = [gate for each in running if not (gate := is_settled(host, f"container {each.name}", each.started)).yes]
    if unsettled:
        yield unjudged(all_of(*unsettled))
        return
    lost = list(lost_services(host))
    surely = [each for each in lost if each.surely]
    if surely:
        yield _fault(host, surely)
    for each in lost:
        if not each.surely:
            yield Unjudged(f"whether network {each.network.name} has {each.service.value}", "a rule cannot be judged")
    if not host.containers.whole:
        yield unjudged(whole(host.containers, "which other containers there are"))


def _programs_rules(host: Host) -> Gate:
    info, driver = host.podman.info, host.podman.driver
    if driver and driver.driver == "none":
        return no("podman was told not to program a firewall (firewall_driver none)")
    if info and info.network_backend not in (None, "netavark"):
        return no(f"the network backend of podman is {info.network_backend}")
    if info and info.network_backend is None and info.version.startswith("3."):
        return no("the network backend of podman 3 is CNI")
    return YES


def _is_on_a_network(container: Container) -> bool:
    ours = container.engine == "podman" and bool(container.endpoints)
    return ours and all_of(is_running(container), has_own_namespace(container)).yes


def _nothing_runs(host: Host) -> NotApplicable | Unjudged:
    if host.containers.whole:
        return NotApplicable("no container of podman runs on a network")
    return unjudged(unknown("which containers run", "podman_inspect", because=host.containers.why))


def _fault(host: Host, lost: Sequence[Lost]) -> Fault:
    networks = list(dict.fromkeys(each.network.name for each in lost if each.service is not Service.TRANSLATION))
    ports = [each for each in lost if each.port]
    parts = [f"published port {_port(each)} of `{each.container.name}`" for each in ports if each.container]
    parts += [f"network `{name}`" for name in networks]
    shown = ", ".join(parts[:_MOST_SHOWN]) + (f" and {len(parts) - _MOST_SHOWN} more" * (len(parts) > _MOST_SHOWN))
    return Fault(
        message=f"podman's firewall rules are gone for {shown}",
        subjects=tuple(
            dict.fromkeys(
                [
                    *(Subject("port", _port(each)) for each in ports),
                    *(Subject("container", each.container.name) for each in ports if each.container),
                    *(Subject("network", each.network.name) for each in lost),
                ]
            )
        ),
        evidence=tuple(_evidence(host, lost)),
        remedy=(*_without_remains(host), "podman network reload --all"),
        verify=("podman port --all", "nft list ruleset | grep -i netavark"),
    )


def _without_remains(host: Host) -> tuple[str, ...]:
    """Netavark puts no rule into a table of its own that it finds: what is left of it has to go first."""
    remains = any((table.family, table.name) == ("inet", "netavark") for table in host.root.nftables)
    return ("nft delete table inet netavark",) if remains else ()


def _port(lost: Lost) -> str:
    return f"{lost.port.host_port}/{lost.port.protocol}" if lost.port else ""


def _evidence(host: Host, lost: Sequence[Lost]) -> Iterator[Evidence]:
    for each in lost[:_MOST_SHOWN]:
        if each.port:
            yield Evidence(each.port.span, f"no rule leads host port {_port(each)} to the container")
        elif each.service is Service.MASQUERADE:
            span = each.network.subnets[0].span
            yield Evidence(span, "no rule gives packets of this subnet the host's address")
        elif each.dropped_by:
            yield Evidence(each.dropped_by.head.span, f"this policy drops what network {each.network.name} sends out")
    kept = {each.port.host_port for each in lost if each.port}
    for socket in host.root.sockets:
        if socket.port in kept and any(process.name == "conmon" for process in socket.processes):
            yield related(socket.span, "conmon keeps the port, and does not answer on it")
    if host.podman.version:
        yield related(host.podman.version.span, "podman has no daemon that puts rules back")
    if host.podman.driver:
        yield related(host.podman.driver.span, "by what podman's rules are programmed")
