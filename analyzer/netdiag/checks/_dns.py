"""What several checks of name resolution share: who asks whom, and the ways to give containers another name server."""

import shlex
from collections.abc import Iterable
from ipaddress import IPv4Address

from netdiag.checks._base import NotApplicable, Unjudged, unjudged
from netdiag.checks._docker import deletion, other_containers, restart, settings_written
from netdiag.finding import Subject
from netdiag.formats.records import IpAddress, NftRule, Socket
from netdiag.model import Gate, Host, Namespace
from netdiag.model.flow import AnyRule
from netdiag.model.gates import has_own_namespace, is_running, no, unknown, whole
from netdiag.model.knowledge import YES, all_of
from netdiag.model.resolvers import STUB, Resolver, host_servers, resolvers

DNS_PORT = 53

_MOST_NAMED = 6


def known_resolvers(host: Host) -> tuple[list[Resolver], list[Unjudged | NotApplicable]]:
    """How each running container resolves names, and what to say of those of which the bundle does not tell."""
    found = list(resolvers(host))
    seen = {each.container.id for each in found}
    running = [each for each in host.containers if all_of(is_running(each), has_own_namespace(each)).yes]
    unseen = [each for each in running if each.id not in seen]
    if unseen:
        names = ", ".join(each.name for each in unseen[:_MOST_NAMED])
        more = f" and {len(unseen) - _MOST_NAMED} more" if len(unseen) > _MOST_NAMED else ""
        return found, [unjudged(unknown(f"whom {names}{more} ask for names", "resolv_conf"))]
    others: list[Unjudged | NotApplicable] = list(other_containers(host, "which containers run"))
    if not found and not others:
        others.append(NotApplicable("no container runs that has a network of its own"))
    return found, others


def named(found: Iterable[Resolver]) -> str:
    """The containers by their names, the first few of many."""
    names = [f"`{each.container.name}`" for each in found]
    return ", ".join(names[:_MOST_NAMED]) + (f" and {len(names) - _MOST_NAMED} more" * (len(names) > _MOST_NAMED))


def container_subjects(found: Iterable[Resolver]) -> tuple[Subject, ...]:
    return tuple(Subject("container", each.container.name) for each in found)


def usable_servers(host: Host) -> tuple[IpAddress, ...]:
    """The servers that the host's files name today and that a container can ask: those of /etc/resolv.conf, or where it
    names resolvers of the host itself those that they ask in turn.
    """
    own = tuple(each.address for each in host_servers(host))
    behind = (each.address for each in host.upstream_servers if not each.address.is_loopback)
    return own or tuple(dict.fromkeys(behind))


def copied_servers(host: Host) -> tuple[IpAddress, ...]:
    """The servers that Docker would copy today from the host into a container: behind systemd-resolved's stub, when it
    is alone, it looks itself.
    """
    listed = {each.address for each in host.root.name_servers}
    return usable_servers(host) if listed == {STUB} else tuple(each.address for each in host_servers(host))


def listens_for_names(netns: Namespace, address: IpAddress) -> Gate:
    """Somebody in the namespace takes look-ups that are sent to the address."""
    if any(_takes(socket, address) for socket in netns.sockets):
        return YES
    gate = whole(netns.sockets, f"who listens on {address} port 53")
    return gate if gate.unknown else no(f"nothing listens on {address} port 53")


def _takes(socket: Socket, address: IpAddress) -> bool:
    if socket.protocol != "udp" or socket.port != DNS_PORT:
        return False
    if socket.address is not None:
        return socket.address == address
    return socket.family in (None, "any", "ipv4" if isinstance(address, IPv4Address) else "ipv6")


def setting_of_daemon(host: Host, asking: Iterable[Resolver], **settings: object) -> tuple[str, ...]:
    """The commands that set this for all containers of Docker, `asking` among them: those that run on while the daemon
    is restarted are started anew as well. None when the daemon has the setting from its command line.
    """
    written = settings_written(host, **settings)
    if not written:
        return ()
    again = shlex.join(["docker", "restart", *(each.container.name for each in asking)])
    return (*written, *restart(host), *((again,) if host.engine.info and host.engine.info.live_restore else ()))


def removal(rule: AnyRule) -> str:
    """The command that deletes a rule of either tool."""
    if not isinstance(rule, NftRule):
        return deletion(rule)
    return shlex.join(["nft", "delete", "rule", rule.family, rule.table, rule.chain, "handle", str(rule.handle)])
