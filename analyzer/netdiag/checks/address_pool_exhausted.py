"""No address pool is left for another network.

## What it finds
An engine whose pools have no block left for a new network: each overlaps a network, a route of the host or a name
server.

## Why it matters
`docker network create` and `docker compose up` fail: "could not find an available, non-overlapping IPv4 address pool
among the defaults" (up to 26), "all predefined address pools have been fully subnetted" (from 27).

## How it is decided
Gates: the engine is here, its networks and the routes of the host were collected. The pools are those of
`default-address-pools`, else the engine's own: 172.17.0.0/16 to 172.31.0.0/16 and 192.168.0.0/16 in blocks of 20 bits,
31 in all. A block is taken by a network's subnet, by a name server of the host, and by a route: up to 22.x by any but
the default, from 23.0 by those to what is on the link.

## Not a problem when
No further network will be made, or each names its own `--subnet`.

## Repair
Remove networks that no container is on; or give the engine more and smaller pools (`default-address-pools` in
daemon.json).

## Verify
A new network can be made.

## References
docker/for-linux#599; docker/compose#6153; docker/for-linux#418; moby libnetwork/ipamutils;
moby libnetwork/netutils (InferReservedNetworks); docs.docker.com/engine/daemon (default-address-pools).
"""

import json
from collections.abc import Iterator
from ipaddress import ip_network
from itertools import islice
from typing import Any

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import no_networks, related, restart, settings_written, sh
from netdiag.checks._subnets import Taken, free_blocks, is_on_link, main_routes, overlap, spare_block, taken_by_networks
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import AddressPool, Network
from netdiag.model import Gate, Host
from netdiag.model.gates import collected, engine_is_here, unknown, whole
from netdiag.model.knowledge import all_of

_OWN = (
    *(AddressPool(ip_network(f"172.{number}.0.0/16"), 16) for number in range(17, 32)),
    AddressPool(ip_network("192.168.0.0/16"), 20),
)
_ABOUT_OWN = "172.17.0.0/16 to 172.31.0.0/16 and 192.168.0.0/16"
_PREDEFINED = {"bridge", "host", "none"}

#: Before 23.0 the routes to what is behind a gateway took their blocks as well.
_FIRST_WITH_ON_LINK_ONLY = 23
#: resolv.conf names at most three servers.
_MOST_NAME_SERVERS = 3
_MOST_SHOWN = 6


@check(Severity.ERROR, layer="address")
def address_pool_exhausted(host: Host) -> Verdicts:
    if host.engine.absent or not host.networks.items:
        yield NotApplicable(host.engine.absent) if host.engine.absent else no_networks(host)
        return
    pools = _pools(host)
    here = all_of(
        engine_is_here(host),
        whole(host.networks, "which networks there are"),
        collected(host.root.routes, "which ranges the host has routes to"),
        _pools_known(host, pools),
    )
    if not here.yes:
        yield unjudged(here) if here.unknown else NotApplicable(here.why)
        return
    taken = [*taken_by_networks(host), *_reserved(host)]
    free = len(list(islice(_free(pools or _OWN, taken), _MOST_NAME_SERVERS + 1)))
    if not free:
        yield _fault(host, pools or _OWN, taken)
    elif free <= _MOST_NAME_SERVERS and not host.root.name_servers.whole:
        yield unjudged(unknown("whether name servers take the last free address pools", "resolv_conf"))


def _pools(host: Host) -> tuple[AddressPool, ...]:
    """The pools that somebody configured, for IPv4."""
    info = host.engine.info
    told = (info.address_pools if info else None) or tuple(_settings(host))
    return tuple(pool for pool in told if pool.base.version == 4)


def _pools_known(host: Host, pools: tuple[AddressPool, ...]) -> Gate:
    info = host.engine.info
    if pools or host.engine.settings.whole or (info and info.address_pools is not None):
        return engine_is_here(host)
    return unknown("which address pools the engine has", "docker_info")


def _settings(host: Host) -> Iterator[AddressPool]:
    """Of daemon.json a list of objects, of the command line one text a pool."""
    for setting in host.engine.settings:
        value: Any = json.loads(setting.value)
        if setting.name == "default-address-pool" and isinstance(value, str):
            yield from _pool(dict(part.partition("=")[::2] for part in value.split(",")))
        elif setting.name == "default-address-pools" and isinstance(value, list):
            for item in value:
                yield from _pool(item if isinstance(item, dict) else {})


def _pool(words: dict[str, Any]) -> Iterator[AddressPool]:
    try:
        base, size = ip_network(str(words.get("base")), strict=False), int(str(words.get("size")))
    except ValueError:
        return
    if base.prefixlen <= size <= base.max_prefixlen:
        yield AddressPool(base, size)


def _reserved(host: Host) -> Iterator[Taken]:
    """What the engine leaves alone although no network has it."""
    version = host.engine.version
    major = version.version.partition(".")[0] if version else ""
    all_routes = major.isdecimal() and int(major) < _FIRST_WITH_ON_LINK_ONLY
    own = {subnet.subnet for network in host.networks for subnet in network.subnets}
    for route in main_routes(host):
        if route.destination not in own and (all_routes or is_on_link(route)):
            yield Taken(route.destination, "a route of the host", route.span)
    for server in host.root.name_servers:
        if server.address.version == 4:
            yield Taken(ip_network(server.address), "a name server", server.span)


def _free(pools: tuple[AddressPool, ...], taken: list[Taken]) -> Iterator[object]:
    for pool in pools:
        yield from free_blocks(pool, [each.range for each in taken])


def _fault(host: Host, pools: tuple[AddressPool, ...], taken: list[Taken]) -> Fault:
    inside = [each for each in taken if any(overlap(each.range, pool.base) for pool in pools)]
    networks = [each for each in inside if each.who.startswith("network ")]
    others = [each for each in inside if each not in networks]
    shown = [*networks[:_MOST_SHOWN], *others[:_MOST_SHOWN]]
    unused = _unused(host)
    ranges = ", ".join(dict.fromkeys(str(pool.base) for pool in pools)) if pools != _OWN else _ABOUT_OWN
    besides = f" and {len(others)} other ranges" if others else ""
    return Fault(
        message=(
            f"no block of the engine's address pools is free for another network: "
            f"{len(networks)} subnets of networks{besides} take {ranges}"
        ),
        subjects=(Subject("host", "host"), *(Subject("network", network.name) for network in unused)),
        evidence=(
            Evidence(shown[0].span, f"{shown[0].who} takes {shown[0].range}"),
            *(related(each.span, f"{each.who} takes {each.range}") for each in shown[1:]),
            *(related(network.span, "no container is on this network") for network in unused[:1]),
        ),
        remedy=_remedy(host, unused),
        verify=("docker network create pooltest", "docker network rm pooltest", "docker network ls"),
    )


def _unused(host: Host) -> list[Network]:
    """Networks that no container is on, running or not."""
    used = {endpoint.network_id for container in host.containers for endpoint in container.endpoints}
    by_name = {endpoint.network for container in host.containers for endpoint in container.endpoints}
    by_name |= {container.network_mode or "" for container in host.containers}
    return [
        network
        for network in host.networks
        if host.containers.whole
        and (network.engine, network.driver) == ("docker", "bridge")
        and network.name not in _PREDEFINED
        and not (network.members or network.id in used or network.name in by_name)
    ]


def _remedy(host: Host, unused: list[Network]) -> tuple[str, ...]:
    if unused:
        return (sh("docker network rm" + " {}" * len(unused), *(network.name for network in unused)),)
    spare = spare_block(host, 16)
    if spare is None:
        return ()
    written = settings_written(host, default_address_pools=[{"base": str(spare), "size": 24}])
    return (*written, *restart(host)) if written else ()
