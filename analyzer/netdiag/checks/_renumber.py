"""The commands that make a network anew, with another subnet or other options: its labels and containers are kept."""

import re
from collections.abc import Iterator, Mapping

from netdiag.checks._docker import restart, settings_written, sh
from netdiag.formats.records import Endpoint, IpNetwork, Network
from netdiag.model import Host
from netdiag.model.gates import is_running

_SHORT_ID = re.compile(r"[0-9a-f]{12}")
_LAN_DRIVERS = ("macvlan", "ipvlan")


def renumbered(host: Host, network: Network, subnet: IpNetwork | None) -> tuple[str, ...]:
    """Put a bridge network on another subnet; nothing when that cannot be done by commands, or there is none.

    The default network gets its subnet by the daemon's `bip`.
    """
    if (
        subnet is None
        or network.engine != "docker"
        or network.driver != "bridge"
        or network.scope not in (None, "local")
    ):
        return ()
    if network.name == "bridge":
        written = settings_written(host, bip=f"{subnet[1]}/{subnet.prefixlen}")
        return (*written, *restart(host)) if written else ()
    kept = (f"--subnet {other.subnet}" for other in network.subnets if other.subnet.version != subnet.version)
    return _made_anew(host, network, network.options or {}, [f"--subnet {subnet}", *kept])


def on_parent(host: Host, network: Network, parent: str) -> tuple[str, ...]:
    """Put a macvlan or ipvlan network on another parent."""
    if network.driver not in _LAN_DRIVERS:
        return ()
    words = []
    for each in network.subnets:
        words.append(f"--subnet {each.subnet}")
        words += [f"--gateway {each.gateway}"] if each.gateway else []
        words += [f"--ip-range {each.range}"] if each.range else []
    return _made_anew(host, network, {**(network.options or {}), "parent": parent}, words)


def _made_anew(host: Host, network: Network, options: Mapping[str, str], subnets: list[str]) -> tuple[str, ...]:
    """Containers that could not be started are started on the new network.

    A running container whose record has the network, but which the network does not list, is one that the engine failed
    to connect. A container that never ran knows its network by name only.
    """
    listed = None if network.members is None else {member.container_id for member in network.members}
    on_it = [
        (container, endpoint)
        for container in host.containers
        for endpoint in (container.endpoints if container.engine == network.engine else ())
        if endpoint.network_id == network.id or (endpoint.network_id, endpoint.network) == ("", network.name)
        if listed is None or container.id in listed or not is_running(container).yes
    ]
    words = [*_words(network), *(sh("-o {}", f"{key}={value}") for key, value in options.items()), *subnets]
    waiting = [container.name for container, _ in on_it if container.error and is_running(container).no]
    return (
        *(sh("docker network disconnect -f {} {}", network.name, container.name) for container, _ in on_it),
        sh("docker network rm {}", network.name),
        " ".join(["docker network create", *words, sh("{}", network.name)]),
        *(_connected(network, container.name, endpoint) for container, endpoint in on_it),
        *(sh("docker start {}", name) for name in waiting),
    )


def _words(network: Network) -> Iterator[str]:
    """The options that the network had beside those of its driver."""
    if network.driver != "bridge":
        yield sh("-d {}", network.driver)
    for word, wanted in (
        ("--internal", network.internal),
        ("--ipv6", network.enable_ipv6),
        ("--attachable", network.attachable),
    ):
        if wanted:
            yield word
    for key, value in (network.labels or {}).items():
        yield sh("--label {}", f"{key}={value}")


def _connected(network: Network, container: str, endpoint: Endpoint) -> str:
    aliases = [alias for alias in endpoint.aliases if not _SHORT_ID.fullmatch(alias)]
    return sh("docker network connect" + " --alias {}" * len(aliases) + " {} {}", *aliases, network.name, container)
