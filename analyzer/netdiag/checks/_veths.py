"""What several checks ask of the veths that connect containers to their bridges: which they are, how each is set as a
port of its bridge, and how to connect one anew.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from netdiag.checks._base import NotApplicable, Unjudged, unjudged
from netdiag.checks._bridge_netfilter import meets_firewall
from netdiag.checks._docker import Attachment, attachments, bridge_networks, other_containers, sh
from netdiag.finding import Subject
from netdiag.formats.records import Container, Link, PublishedPort
from netdiag.model import Gate, Host, Truth, VethPair
from netdiag.model.bridges import Port
from netdiag.model.gates import collected, translates_addresses, unknown, uses_proxy
from netdiag.spans import Span

#: Lines under the first one of a record that `ip -d` and `bridge -d` print.
_MOST_LINES = 60


@dataclass(frozen=True)
class ContainerPort:
    """The veth pair that carries a running container's endpoint: `inner` is in the container, `outer` on the host."""

    attachment: Attachment
    pair: VethPair

    @property
    def container(self) -> str:
        return self.attachment.container.name

    @property
    def network(self) -> str:
        return self.attachment.bridge.network.name

    @property
    def bridge(self) -> str:
        """The device that the veth belongs on, whether it is there or not."""
        return self.attachment.bridge.device

    @property
    def outer(self) -> Link:
        return self.pair.outer

    @property
    def inner(self) -> Link:
        return self.pair.inner

    @property
    def subjects(self) -> tuple[Subject, Subject]:
        return Subject("container", self.container), Subject("interface", self.outer.name)

    @property
    def enslaved(self) -> bool:
        """It is a port of its own network's bridge."""
        return self.outer.master == self.bridge

    @property
    def has_carrier(self) -> bool:
        """Both ends are up, so that the bridge may use the port."""
        return "LOWER_UP" in (self.outer.flags or ()) and bool(self.outer.up)


def container_ports(host: Host, *gates: Gate) -> tuple[list[ContainerPort], list[Unjudged | NotApplicable]]:
    """The veth pairs of all running containers on local bridge networks, when `gates` allow to judge them; and what to
    say of the others.

    An interface that is not in the container at all is no open question here: `link-container-iface-missing` says it.
    """
    bridges, others = bridge_networks(host, collected(host.root.links, "the links of the host"), *gates)
    found: list[ContainerPort] = []
    attached = list(attachments(host, bridges))
    for attachment in attached:
        netns = host.namespace_of(attachment.container)
        inner = netns.link_of(attachment.endpoint) if netns else None
        pair = host.veth_pair_of(netns, inner) if netns and inner else None
        if pair:
            found.append(ContainerPort(attachment, pair))
        elif inner or not (netns and netns.links.whole):
            others.append(_not_joined(attachment, seen=netns is not None and netns.links.items != ()))
    others += other_containers(host, "which containers there are")
    if not attached and not others:
        others.append(NotApplicable("no running container is on a bridge network"))
    return found, others


def _not_joined(attachment: Attachment, *, seen: bool) -> Unjudged:
    return Unjudged(
        f"which veth carries {attachment.container.name} on network {attachment.endpoint.network}",
        "no link of the host fits its interface" if seen else "the namespace was not collected",
        ("ip-addr",),
        ("ip -d addr",) if seen else (in_namespace(attachment.container, "ip -d addr"),),
    )


@dataclass(frozen=True)
class WithoutHairpin:
    """A container's port of its bridge that sends nothing back to where it came from, one of the container's published
    ports, and where the bundle says so. `setting` is where it says that the bridge itself translates frames.
    """

    port: ContainerPort
    published: PublishedPort
    span: Span
    setting: Span | None


def without_hairpin(host: Host, ports: Iterable[ContainerPort]) -> Iterator[WithoutHairpin | Unjudged]:
    """Those by which a container of Docker cannot reach its own published ports when there is no userland proxy.

    Where frames on the bridge do not meet the firewall, the host translates the packet and sends it on as any other.
    Podman has no such proxy and never sets the mode: there it is as podman means it.
    """
    for port in ports:
        network, published = port.attachment.bridge.network, _published_over_ipv4(port.attachment.container)
        if network.engine != "docker" or not published or not port.enslaved or translates_addresses(network).no:
            continue
        found = port_of(host, port.outer)
        translated, setting = meets_firewall(host, port.attachment.bridge.device)
        if translated is Truth.NO or (found and found.hairpin):
            continue
        what = f"whether container {port.container} reaches its own published ports"
        if found is None or found.hairpin is None:
            yield settings_unknown(what)
        elif translated is Truth.UNKNOWN:
            yield unjudged(unknown(what, "sysctl"))
        else:
            yield WithoutHairpin(port, published, setting_span(found, "hairpin off"), setting)


def _published_over_ipv4(container: Container) -> PublishedPort | None:
    """A published port whose address on the host the container can ask for."""
    for each in container.ports:
        address = each.host_address
        if address is None or (address.version == 4 and not address.is_loopback):
            return each
    return None


def port_of(host: Host, veth: Link) -> Port | None:
    """The veth as a port of the bridge that it is on."""
    bridge = host.root.bridge(veth.master or "")
    return bridge.port(veth.name) if bridge else None


def setting_span(port: Port, words: str) -> Span:
    """Where the bundle says that a port is set so, in the words of `bridge -d link` and `ip -d link`."""
    spans = (words_of(span, words) for span in port.settings)
    return next((span for span in spans if span.text == words), port.span)


def settings_unknown(what: str) -> Unjudged:
    """The settings of a bridge's ports were not collected."""
    return unjudged(unknown(what, "bridge_link", because="neither bridge -d link nor ip -d link is in the bundle"))


def words_of(span: Span, words: str) -> Span:
    """Where these words stand in the lines of a record, which spans its first line; that line when they do not."""
    pattern = re.compile(rf"(?<!\S){re.escape(words)}(?!\S)")
    for number, line in _lines_of(span):
        found = pattern.search(line)
        if found:
            return span.source.span(number, found.start() + 1, found.end() + 1)
    return span


def numbers_under(span: Span, heading: str) -> Span:
    """The line of a record that begins with this heading, and the numbers under it."""
    for number, line in _lines_of(span):
        if line.lstrip().startswith(heading):
            return span.source.span_of_lines(number, min(number + 1, len(span.source.lines)))
    return span


def _lines_of(span: Span) -> Iterator[tuple[int, str]]:
    """The lines of a record: its first one and the indented ones under it."""
    for number, line in enumerate(span.source.lines[span.line - 1 : span.line - 1 + _MOST_LINES], span.line):
        if number > span.line and not line[:1].isspace():
            return
        yield number, line


def enslave(host: Host, veths: Iterable[str], device: str) -> tuple[str, ...]:
    """The commands that make veths ports of a bridge, set as the engine sets them: without the userland proxy a
    container reaches its own published ports through its own port (moby setHairpinMode).
    """
    hairpin = uses_proxy(host).no
    return tuple(
        command
        for veth in veths
        for command in (
            sh("ip link set dev {} master {}", veth, device),
            *((sh("bridge link set dev {} hairpin on", veth),) if hairpin else ()),
        )
    )


def in_namespace(container: Container, command: str) -> str:
    """The command, run by a tool of the host in the network namespace of a container.

    The engine is asked for the process anew: by the time that somebody pastes the command, the number that the bundle
    tells may be that of another process.
    """
    process = sh("$({} inspect -f '{{{{.State.Pid}}}}' {})", container.engine, container.name)
    return f"nsenter -t {process} -n {command}"
