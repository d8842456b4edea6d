"""Whether something may be judged: the preconditions that several checks share. Each answer is yes, no or unknown, with
its reason.

Sources: the rules that moby programs per release (libnetwork/drivers/bridge) and the documents of the `docker network`
options.
"""

import json
import re
from datetime import datetime
from typing import TypeVar

from netdiag.formats import get as get_format
from netdiag.formats.records import Container, Link, Network, ProcessLine
from netdiag.model.engine import Dialect
from netdiag.model.host import Host, Namespace, NamespaceKind
from netdiag.model.knowledge import YES, Extent, Facts, Gate, Truth, all_of, once

T = TypeVar("T")

_OPTION = "com.docker.network.bridge."
_WITHOUT_BRIDGE = {"host", "none"}
_UNTRANSLATED_MODES = {"routed", "isolated"}


def no(why: str) -> Gate:
    return Gate(Truth.NO, why)


def unknown(why: str, *formats: str, because: str = "") -> Gate:
    """Unknown for lack of the output of `formats`; what to ask for is the first command of each."""
    artifacts = tuple(name.replace("_", "-") for name in formats)
    return Gate(Truth.UNKNOWN, why, because, artifacts, tuple(get_format(name).commands[0] for name in formats))


def collected(facts: Facts[T], what: str) -> Gate:
    """Whether anything of a list was collected."""
    return unknown(what, *facts.missing, because=facts.why) if facts.extent is Extent.NONE else YES


def whole(facts: Facts[T], what: str) -> Gate:
    """Whether a list is complete, so that what is not in it does not exist."""
    return YES if facts.whole else unknown(what, *facts.missing, because=facts.why)


def table_known(host: Host, name: str, family: str = "ipv4") -> Gate:
    """All rules of a table, in every backend, so that a rule that is not there does not exist."""
    firewall, tables = host.root.firewall, host.root.tables(name, family)
    if firewall.extent is Extent.NONE:
        return unknown(f"the {name} rules", *firewall.missing, because=firewall.why)
    doubt = next((table.doubt for table in tables if table.doubt), "")
    if doubt or (not tables and not firewall.whole):
        return unknown(f"the {name} table", "iptables_save", because=doubt or firewall.why)
    return YES


def uplinks(host: Host, version: int = 4) -> frozenset[str]:
    """The links that lead outside: those of default routes in any table, also of one in two halves as VPNs make it.
    Empty when the bundle does not tell.
    """
    return frozenset(
        hop.device
        for route in (host.root.routes if version == 4 else host.root.ipv6_routes)
        if route.destination.prefixlen <= 1 and route.type == "unicast"
        for hop in route.next_hops
        if hop.device
    )


def engine_is_here(host: Host) -> Gate:
    """Docker manages the namespace that the bundle calls `host`: it is not rootless and not in another machine."""
    if host.engine.absent:
        return no(host.engine.absent)
    info = host.engine.info
    if info is None:
        if _docker_chain(host):
            return YES
        return unknown("whether the engine runs in this network namespace", "docker_info")
    if "name=rootless" in info.security_options:
        return no("the engine is rootless: its networks are in a namespace of its own")
    if info.operating_system == "Docker Desktop":
        return no("the engine runs in Docker Desktop's virtual machine")
    if host.name and info.host_name and not same_host(host.name, info.host_name):
        return no(f"the docker client talks to the engine of another host ({info.host_name})")
    return _is_in_this_namespace(host)


def daemons_here(host: Host) -> list[ProcessLine]:
    """The dockerd processes of the host's own network namespace, those of which it is not told included."""
    here = host.root.number
    return [each for each in _daemons(host) if here is None or each.netns in (here, None)]


def daemons_elsewhere(host: Host) -> list[ProcessLine]:
    """Those of another network namespace."""
    here = host.root.number
    return [each for each in _daemons(host) if here is not None and each.netns not in (here, None)]


def _daemons(host: Host) -> list[ProcessLine]:
    """All of them, without what one of them has just forked: such a child has its name and command line still."""
    pids = {each.pid for each in host.engine.processes}
    return [each for each in host.engine.processes if each.parent not in pids]


@once
def _is_in_this_namespace(host: Host) -> Gate:
    """No, when none of the engine's bridges is among the links, and its process is in another network namespace; or
    when there is no trace of it at all although containers run on several of them.
    """
    bridges = [each for each in host.networks if each.engine == "docker" and each.driver == "bridge"]
    if not host.root.links.whole or any(host.root.link(bridge_name(host, each)) for each in bridges):
        return YES
    elsewhere = daemons_elsewhere(host)
    if elsewhere and not daemons_here(host):
        return no(f"dockerd (process {elsewhere[0].pid}) works in another network namespace")
    used = any(each.id in host.networks_in_use for each in bridges)
    traces = daemons_here(host) or _docker_chain(host) or any(link.kind == "veth" for link in host.root.links)
    if used and len(bridges) > 1 and not traces:
        return no(f"none of the {len(bridges)} bridges of the engine's networks is here, nor any rule of it")
    return YES


def podman_is_here(host: Host) -> Gate:
    """The same of podman: it is root's, and it is not the client of another one."""
    info = host.podman.info
    if info is None:
        return unknown("whether podman runs in this network namespace", "podman_info")
    if info.rootless:
        return no("podman is rootless: its networks are in namespaces of their own")
    if info.remote or (host.name and info.host_name and not same_host(host.name, info.host_name)):
        return no(f"podman talks to another one ({info.host_name})")
    return YES


def is_managed_here(host: Host, network: Network) -> Gate:
    """The engine of a network manages the namespace that the bundle calls `host`."""
    return podman_is_here(host) if network.engine == "podman" else engine_is_here(host)


def same_host(one: str, other: str) -> bool:
    """Whether two names are of one host, with or without its domain."""
    return one.partition(".")[0] == other.partition(".")[0]


def _docker_chain(host: Host) -> bool:
    return any("DOCKER" in table.chains for table in host.root.firewall)


def is_run_here(host: Host, container: Container) -> Gate:
    """The engine of a container manages the namespace that the bundle calls `host`."""
    return podman_is_here(host) if container.engine == "podman" else engine_is_here(host)


def manages_iptables(host: Host) -> Gate:
    """The engine programs the IPv4 rules of iptables: not `iptables: false`, not the nftables backend, not rootless
    elsewhere.
    """
    return all_of(engine_is_here(host), _iptables_setting(host))


def _iptables_setting(host: Host) -> Gate:
    setting = host.engine.setting("iptables")
    if setting and setting.value == "false":
        return no("the daemon was told not to manage iptables (iptables: false)")
    if host.engine.dialect is Dialect.V29_NFTABLES:
        return no("the engine uses its nftables backend")
    if setting or host.engine.settings.whole or _docker_chain(host):
        return YES
    return unknown("whether the daemon manages iptables", *host.engine.settings.missing)


def manages_firewall(host: Host) -> Gate:
    """The engine programs the firewall of this namespace, by iptables or by its nftables backend."""
    if host.engine.dialect is Dialect.V29_NFTABLES:
        setting = host.engine.setting("iptables")
        off = setting is not None and setting.value == "false"
        return no("the daemon was told not to manage iptables (iptables: false)") if off else engine_is_here(host)
    return manages_iptables(host)


def programs_firewall(host: Host, network: Network) -> Gate:
    """The engine of a network programs the firewall of this namespace for it."""
    return podman_is_here(host) if network.engine == "podman" else manages_firewall(host)


#: The first release that programs ip6tables unless told otherwise.
_IP6TABLES_BY_DEFAULT = 27


def manages_ip6tables(host: Host) -> Gate:
    """The engine programs the IPv6 rules too: by the setting, else from 27.0 on."""
    setting = host.engine.setting("ip6tables")
    if setting:
        return YES if setting.value == "true" else no("the daemon does not manage ip6tables (ip6tables: false)")
    version = host.engine.version
    major = version.version.partition(".")[0] if version else ""
    if not host.engine.settings.whole:
        return unknown("whether the daemon manages ip6tables", *host.engine.settings.missing)
    if not major.isdecimal():
        return unknown("whether the daemon manages ip6tables", "docker_version")
    if int(major) < _IP6TABLES_BY_DEFAULT:
        return no("the daemon does not manage ip6tables before 27.0 unless told to")
    return YES


def uses_proxy(host: Host) -> Gate:
    """The userland proxy is on: by the setting, else by the nat OUTPUT jump that spares 127.0.0.0/8 only while it is
    on.
    """
    if host.engine.absent:
        return no(host.engine.absent)
    setting = host.engine.setting("userland-proxy")
    if setting:
        return YES if setting.value == "true" else no("the userland proxy is switched off")
    if host.engine.settings.whole:
        return YES
    for table in host.root.tables("nat"):
        for rule in table.chains["OUTPUT"].rules if "OUTPUT" in table.chains else ():
            if rule.target == "DOCKER":
                return (
                    YES if rule.destination_negated else no("the nat OUTPUT jump shows that the userland proxy is off")
                )
    return unknown("whether the userland proxy is on", *host.engine.settings.missing)


def dialect_known(host: Host) -> Gate:
    """It is known which rules this version of the engine writes into iptables."""
    dialect = host.engine.dialect
    if dialect is None:
        return unknown("which rules this version of the engine keeps", "docker_version")
    if dialect is Dialect.V29_NFTABLES:
        return no(f"Docker {dialect.value} keeps no rules in iptables")
    return YES


def is_settled(host: Host, what: str, since: datetime | None) -> Gate:
    """Something was there before the collection began, so that every command saw it; unknown if it came in between."""
    if since is None or host.collected_from is None or since < host.collected_from:
        return YES
    because = "it came while the bundle was being collected: collect again"
    return Gate(Truth.UNKNOWN, f"the state of {what}", because)


def no_container_moved(host: Host, what: str) -> Gate:
    """No container was started or stopped while the bundle was being collected; unknown for `what` if one was."""
    moved = host.movement.objects if host.movement else ()
    for each in moved:
        if each.kind == "container":
            return Gate(Truth.UNKNOWN, what, f"container {each.name} {each.words} meanwhile: collect again")
    return YES


def is_local_bridge(host: Host, network: Network) -> Gate:
    """The network is a bridge of this host.

    A network that is known only by an endpoint is one when a link of the host carries its gateway: the gateway of
    macvlan and ipvlan is a router elsewhere, that of an overlay is in a sandbox. Podman makes a network's bridge with
    its first container and takes it away with the last one.
    """
    if network.driver is None:
        if network.name in _WITHOUT_BRIDGE:
            return no(f"network {network.name} has no bridge")
        if network.name == "bridge" or carrier_of_gateway(host, network):
            return YES
        if host.networks.whole:
            return no(f"network {network.name} no longer exists")
        return unknown(f"the driver of network {network.name}", f"{network.engine}_network_inspect")
    if network.driver != "bridge":
        return no(f"network {network.name} has driver {network.driver}")
    if network.config_only:
        return no(f"network {network.name} is a configuration only")
    if network.scope not in (None, "local"):
        return no(f"network {network.name} is of scope {network.scope}")
    if network.engine == "podman":
        return _podman_has_made(host, network)
    return is_settled(host, f"network {network.name}", network.created)


def _podman_has_made(host: Host, network: Network) -> Gate:
    """Podman has made the bridge of a network: a container runs on it."""
    if network.id in host.networks_in_use:
        named = bridge_name(host, network)
        return YES if named else unknown(f"the bridge of network {network.name}", "podman_network_inspect")
    if host.containers.whole:
        return no(f"no container runs on podman's network {network.name}, so it has no bridge")
    question = f"whether a container runs on network {network.name}"
    return unknown(question, "podman_inspect", because=host.containers.why)


def carrier_of_gateway(host: Host, network: Network) -> Link | None:
    """The host's link that has the network's gateway address."""
    gateways = {subnet.gateway for subnet in network.subnets if subnet.gateway}
    carriers = (link for link in host.root.links if any(a.address.ip in gateways for a in link.addresses))
    return next(carriers, None)


def bridge_name(host: Host, network: Network) -> str:
    """The device of a bridge network.

    It is named by the network's option, for the default network else by the daemon's `bridge` setting or `docker0`, and
    for any other `br-` and the first 12 digits of the network's id. Podman names it itself.
    """
    if network.engine == "podman":
        carrier = carrier_of_gateway(host, network)
        return (network.options or {}).get("network_interface") or (carrier.name if carrier else "")
    option = (network.options or {}).get(_OPTION + "name")
    if option:
        return option
    return (_default_bridge(host) or "docker0") if network.name == "bridge" else f"br-{network.id[:12]}"


def bridge_option(network: Network, name: str) -> str | None:
    """An option of the bridge driver by its last word, e.g. `enable_ip_masquerade`."""
    return (network.options or {}).get(_OPTION + name)


def reaches_outside(network: Network, version: int = 4) -> Gate:
    """The network is meant to reach the outside: not `--internal`, not isolated."""
    if network.internal is None and network.name != "bridge":  # the default network is never internal
        return unknown(f"whether network {network.name} is internal", f"{network.engine}_network_inspect")
    if network.internal:
        return no(f"network {network.name} is internal")
    if bridge_option(network, f"gateway_mode_ipv{version}") == "isolated":
        return no(f"network {network.name} is isolated")
    return YES


def translates_addresses(network: Network, version: int = 4) -> Gate:
    """Docker gives the network source NAT: it reaches outside, and neither masquerading nor NAT was switched off for
    it.
    """
    outside = reaches_outside(network, version)
    if bridge_option(network, "enable_ip_masquerade") == "false":
        return no(f"masquerading is switched off for network {network.name} (enable_ip_masquerade=false)")
    mode = bridge_option(network, f"gateway_mode_ipv{version}")
    if mode in _UNTRANSLATED_MODES:
        return no(f"network {network.name} is in gateway mode {mode}")
    if (network.enable_ipv4 if version == 4 else network.enable_ipv6) is False:
        return no(f"network {network.name} has no IPv{version}")
    return outside


def is_running(container: Container) -> Gate:
    """The container runs (a paused one keeps its network and counts as running)."""
    if container.state in ("running", "paused"):
        return YES
    if container.state is not None:
        return no(f"container {container.name} is {container.state}")
    if any(endpoint.address for endpoint in container.endpoints):
        return YES  # an endpoint has an address only while its container runs
    return unknown(f"whether container {container.name} runs", "docker_inspect")


def has_own_namespace(container: Container) -> Gate:
    """The container has a network namespace of its own: not the host's, not another container's, not none."""
    mode = container.network_mode
    if mode in ("host", "none") or (mode or "").startswith("container:"):
        return no(f"container {container.name} has network mode {(mode or '')[:20]}")
    if mode is None and not container.endpoints:
        return unknown(f"the network mode of container {container.name}", f"{container.engine}_inspect")
    return YES


#: What Docker calls the sandboxes of swarm: the ingress network's, an overlay's (`1-<network>`), a load balancer's.
_OF_SWARM = re.compile(r"ingress_sbox|\d+-[0-9a-z]+|lb_[0-9a-z]+")


def is_used(host: Host, netns: Namespace) -> Gate:
    """Somebody has a use for the namespace: only a sandbox of the engine that has no container and no process has
    none. Steps of a build have sandboxes too, and no container.
    """
    if netns.kind is not NamespaceKind.ENGINE or _OF_SWARM.fullmatch(netns.name):
        return YES
    if netns.in_use and netns.in_use.processes:
        return YES
    if not host.namespaces_in_use.whole:
        return unknown(f"who uses the sandbox {netns.path}", "lsns", because=host.namespaces_in_use.why)
    return no(f"the sandbox {netns.path} has no container and no process")


def _default_bridge(host: Host) -> str | None:
    setting = host.engine.setting("bridge")
    value = json.loads(setting.value) if setting else None
    return value if isinstance(value, str) and value else None
