"""What several checks ask of a host: its bridge networks, its published ports, the way to put the rules back."""

import json
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from netdiag.checks._base import NotApplicable, Unjudged, sort_out, unjudged
from netdiag.finding import Evidence, Role, Subject
from netdiag.formats.records import Chain, Container, Endpoint, IpAddress, Network, NftRule, PublishedPort, Rule
from netdiag.model import FirewallChain, Gate, Host, VethPair
from netdiag.model.flow import AnyRule
from netdiag.model.gates import (
    bridge_name,
    carrier_of_gateway,
    has_own_namespace,
    is_local_bridge,
    is_managed_here,
    is_running,
    programs_firewall,
    reaches_outside,
    unknown,
)
from netdiag.model.knowledge import all_of
from netdiag.spans import Span

_LONGEST_CHAIN_SHOWN = 8


@dataclass(frozen=True)
class BridgeNetwork:
    """A bridge network of this host and the name that its device must have."""

    network: Network
    device: str

    @property
    def subjects(self) -> tuple[Subject, Subject]:
        return Subject("network", self.network.name), Subject("bridge", self.device)


def is_without_bridge(host: Host, bridge: BridgeNetwork) -> bool:
    """The device is surely not there: it is not among all links, or another one has the network's gateway address."""
    if host.root.link(bridge.device):
        return False
    return host.root.links.whole or carrier_of_gateway(host, bridge.network) is not None


def bridge_networks(host: Host, *gates: Gate) -> tuple[list[BridgeNetwork], list[Unjudged | NotApplicable]]:
    """The local bridge networks of every engine, when `gates` and the place of the engine allow to judge them; and what
    to say of the others.
    """
    return _judged(host, host.networks.items, gates)


def outward_networks(
    judged: tuple[list[BridgeNetwork], list[Unjudged | NotApplicable]],
) -> tuple[list[BridgeNetwork], list[Unjudged | NotApplicable]]:
    """Of these networks those whose containers shall reach the outside, and what to say of others."""
    bridges, others = judged
    outward, rest = sort_out(bridges, lambda bridge: reaches_outside(bridge.network), "no bridge network")
    return outward, [*others, *(rest if bridges else ())]


def docker_networks(host: Host, *gates: Gate) -> tuple[list[BridgeNetwork], list[Unjudged | NotApplicable]]:
    """The same of Docker alone: for what hangs on the rules and settings of Docker."""
    if host.engine.absent:
        return [], [NotApplicable(host.engine.absent)]
    return _judged(host, tuple(network for network in host.networks if network.engine == "docker"), gates)


def firewalled_networks(host: Host, *gates: Gate) -> tuple[list[BridgeNetwork], list[Unjudged | NotApplicable]]:
    """The same of every engine that programs the firewall for its networks."""
    return _judged(host, host.networks.items, gates, programs_firewall)


def _judged(
    host: Host,
    networks: Sequence[Network],
    gates: Sequence[Gate],
    allowed: Callable[[Host, Network], Gate] = is_managed_here,
) -> tuple[list[BridgeNetwork], list[Unjudged | NotApplicable]]:
    if not networks:
        return [], [no_networks(host)]
    passed, others = sort_out(
        networks,
        lambda network: all_of(allowed(host, network), *gates, is_local_bridge(host, network)),
        "the engine has no networks",
    )
    if not host.containers.whole:
        others += other_networks(host)  # neither all that the engine has nor all that are in use
    return [BridgeNetwork(network, bridge_name(host, network)) for network in passed], others


def no_networks(host: Host) -> Unjudged | NotApplicable:
    """What to say of a host without any network: that it has none, or that the bundle does not tell."""
    return next(other_networks(host), NotApplicable("the engine has no networks"))


def no_containers(host: Host, nothing: str, question: str) -> Unjudged | NotApplicable:
    """What to say when no container is known to have what a check is about: that none has, or that the bundle does not
    tell.
    """
    if host.containers.whole:
        return NotApplicable(nothing)
    return unjudged(unknown(question, *host.containers.missing, because=host.containers.why))


def other_containers(host: Host, question: str) -> Iterator[Unjudged]:
    """What stays open about containers that the bundle does not show, or shows in part; nothing when it shows all."""
    if not host.containers.whole:
        yield unjudged(unknown(question, *host.containers.missing, because=host.containers.why))


def other_networks(host: Host) -> Iterator[Unjudged]:
    """Likewise of networks, for what is wrong with a network whether a container is on it or not."""
    if not host.networks.whole:
        yield unjudged(unknown("which networks there are", "docker_network_inspect", because=host.networks.why))


@dataclass(frozen=True)
class Attachment:
    """A running container's endpoint on a bridge network."""

    container: Container
    endpoint: Endpoint
    bridge: BridgeNetwork


def attachments(host: Host, bridges: list[BridgeNetwork]) -> Iterator[Attachment]:
    """Every endpoint of a running container on these networks."""
    by_id = {bridge.network.id: bridge for bridge in bridges}
    for container in host.containers:
        if not all_of(is_running(container), has_own_namespace(container)).yes:
            continue
        for endpoint in container.endpoints:
            bridge = by_id.get(endpoint.network_id)
            if bridge:
                yield Attachment(container, endpoint, bridge)


def addressed(host: Host, *gates: Gate) -> tuple[list[Attachment], list[Unjudged | NotApplicable]]:
    """The endpoints with an address of running containers on bridge networks, and what to say of the rest."""
    bridges, others = bridge_networks(host, *gates)
    attached = [each for each in attachments(host, bridges) if each.endpoint.address]
    if not attached and not others:
        return [], [NotApplicable("no container runs on a bridge network")]
    return attached, others


def veth_of(host: Host, attachment: Attachment) -> VethPair | None:
    """The veth pair that carries an endpoint, None when the bundle does not tell it."""
    netns = host.namespace_of(attachment.container)
    inner = netns.link_of(attachment.endpoint) if netns else None
    return host.veth_pair_of(netns, inner) if netns and inner else None


def interface_of(container: Container, endpoint: Endpoint) -> Subject:
    """A container's interface on a network, whether it is there or not: what a fault of it affects."""
    return Subject("interface", f"of container {container.name} on network {endpoint.network}")


def published_ports(host: Host, engine: str = "") -> list[tuple[Container, PublishedPort]]:
    """The published ports of running containers that have a namespace of their own; of one engine when it is named."""
    return [
        (container, port)
        for container in host.containers
        if engine in ("", container.engine) and all_of(is_running(container), has_own_namespace(container)).yes
        for port in container.ports
    ]


def chain_span(chain: FirewallChain) -> Span:
    """The rules of a chain when they stand together and are few, else the line of its head."""
    if not chain.rules or len(chain.rules) > _LONGEST_CHAIN_SHOWN:
        return chain.head.span
    first, last = chain.rules[0].span, chain.rules[-1].span
    together = last.line - first.line + 1 == len(chain.rules)
    return first.source.span_of_lines(first.line, last.line) if together else chain.head.span


def related(span: Span, label: str) -> Evidence:
    return Evidence(span, label, Role.RELATED)


def sh(template: str, *words: object) -> str:
    """A command line with these words put in for `{}`, each quoted as far as a shell needs it."""
    return template.format(*(shlex.quote(str(word)) for word in words))


def addition(address: IpAddress, prefix_length: int, device: str) -> str:
    """The command that gives a device an address, in IPv4 with the broadcast address that goes with it."""
    broadcast = "brd + " if address.version == 4 else ""
    at_once = " nodad" if address.version == 6 else ""  # not after the check for doubles
    return sh(f"ip addr add {{}}/{{}} {broadcast}dev {{}}", address, prefix_length, device) + at_once


def deletion(rule: AnyRule) -> str:
    """The command that deletes a rule: by its handle (nftables), by its text when `iptables-save` printed it, else by
    its number in the chain.
    """
    if isinstance(rule, NftRule):
        return sh("nft delete rule {} {} {} handle {}", rule.family, rule.table, rule.chain, rule.handle)
    tool = tool_of(rule)
    _, found, specification = rule.span.excerpt.partition("-A ")
    if found and rule.span.excerpt.startswith(("-A ", "[")):
        words = (word if word == "!" else shlex.quote(word) for word in shlex.split(specification))
        return f"{tool} -t {rule.table} -D {' '.join(words)}"
    return sh("{} -t {} -D {} {}", tool, rule.table, rule.chain, rule.position)


def tool_of(record: Rule | Chain) -> str:
    """The command that changes a rule or a chain where it is: the other backend's when its output shows it."""
    tool = "ip6tables" if record.family == "ipv6" else "iptables"
    artifact = record.span.source.artifact
    backend = next((name for name in ("legacy", "nft") if artifact.startswith(f"{tool}-{name}-")), "")
    return f"{tool}-{backend}" if backend else tool


def settings_written(host: Host, **settings: object) -> tuple[str, ...]:
    """The command that writes these settings (`_` for `-`) into daemon.json beside those that stand there, by the
    Python that the collector runs on; none when the daemon has one of them from its command line, because it refuses to
    be told twice.
    """
    named = {name.replace("_", "-"): value for name, value in settings.items()}
    known = (host.engine.setting(name) for name in named)
    if any(setting and setting.span.source.format == "dockerd_cmdline" for setting in known):
        return ()
    program = (
        'import json, os; path = "/etc/docker/daemon.json"; os.makedirs(os.path.dirname(path), exist_ok=True); '
        "old = json.load(open(path)) if os.path.exists(path) else {}; "
        f'json.dump({{**old, **json.loads(r"""{json.dumps(named)}""")}}, open(path, "w"), indent=2)'
    )
    return (shlex.join(["python3", "-c", program]),)


def restart(host: Host, engine: str = "docker") -> tuple[str, ...]:
    """What makes the engine program its rules and bridges anew: a restart of Docker, and a start of what that stops
    without live-restore; podman has no daemon, and does it for each container.
    """
    running = sorted(each.name for each in host.containers if each.engine == engine and each.state == "running")
    if engine == "podman":
        return (shlex.join(["podman", "restart", *running]),)
    commands = ["systemctl restart docker"]
    live_restore = host.engine.info and host.engine.info.live_restore
    if running and not live_restore:
        commands.append(shlex.join(["docker", "start", *running]))
    return tuple(commands)
