"""What objects of a host are called by a user, so that the same ones are found in another bundle of it.

Docker names bridges, veths and addresses anew whenever it makes them; the names of containers and networks stay.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface

from netdiag.formats.records import Link
from netdiag.model import Host, Namespace
from netdiag.model.gates import bridge_name

#: The words of a rule or a route in which an address or an interface may stand.
_WORD = re.compile(r"[0-9A-Za-z_.:/\[\]@+-]+")
#: Docker's name server in a container listens on ports that are drawn anew at each start.
_NAME_SERVER = re.compile(r"(?<=127\.0\.0\.11:)\d+|(?<=--sport )\d+(?= .*--to-source :53$)")
_WITH_PORT = re.compile(r"(?P<address>\d+\.\d+\.\d+\.\d+|\[[0-9a-fA-F:.]+\])(?P<port>:[\d-]+)")


@dataclass(frozen=True)
class Names:
    """The names of one host. `links` are, by namespace id and name, what interfaces are called, `words` what the words
    of a rule or a route stand for.
    """

    links: Mapping[tuple[str, str], str]
    words: Mapping[str, str]

    def link(self, netns: Namespace, link: Link) -> str:
        return self.device(netns, link.name)

    def device(self, netns: Namespace, name: str) -> str:
        return self.links.get((netns.id, name), name)

    def canonical(self, netns: Namespace, text: str) -> str:
        """`text` with what Docker named replaced by what a user calls it: the same in every bundle of the host."""
        made = _WORD.sub(lambda found: self._called(netns, found[0]), text)
        return _NAME_SERVER.sub("<port>", made)

    def _called(self, netns: Namespace, word: str) -> str:
        known = self.links.get((netns.id, word)) or self.words.get(word)
        if known:
            return known
        parted = _WITH_PORT.fullmatch(word)
        address = parted["address"].strip("[]") if parted else ""
        return f"{self.words[address]}{parted['port']}" if parted and address in self.words else word


def names_of(host: Host) -> Names:
    """The names of a host."""
    return Names(links=_of_links(host), words={**_of_networks(host), **_of_endpoints(host)})


def _of_links(host: Host) -> Mapping[tuple[str, str], str]:
    """Bridges by their network, interfaces of containers too, veths of the host by what is at their other end."""
    links = {
        (host.root.id, bridge): f"<bridge of {network.name}>"
        for network in host.networks
        if network.driver == "bridge" and (bridge := bridge_name(host, network))
    }
    for container in host.containers:
        netns = host.namespace_of(container)
        for endpoint in container.endpoints if netns and netns is not host.root else ():
            link = netns.link_of(endpoint) if netns else None
            if netns and link:
                links[netns.id, link.name] = f"<interface on {endpoint.network}>"
    names = {netns.id: netns.name for netns in host.namespaces}
    for pair in host.veth_pairs:
        inner = links.get((pair.namespace, pair.inner.name), pair.inner.name)
        of = names.get(pair.namespace, pair.namespace)
        links[host.root.id, pair.outer.name] = f"<veth of {of} {inner.removeprefix('<interface ').removesuffix('>')}>"
    return links


def _of_networks(host: Host) -> dict[str, str]:
    words = {}
    for network in host.networks:
        for number, subnet in enumerate(network.subnets):
            which = f" {number + 1}" if number else ""
            words[str(subnet.subnet)] = f"<subnet of {network.name}{which}>"
            gateway = host.gateway_of(network, subnet)
            if gateway:
                words |= dict.fromkeys(_spelled(gateway), f"<gateway of {network.name}{which}>")
    return words


def _of_endpoints(host: Host) -> dict[str, str]:
    return {
        word: f"<{container.name} on {endpoint.network}>"
        for container in host.containers
        for endpoint in container.endpoints
        for address in (endpoint.address, endpoint.address6)
        if address
        for word in _spelled(address)
    }


def _spelled(address: object) -> tuple[str, str]:
    """How rules spell an address: alone, and as a network of one."""
    ip = address.ip if isinstance(address, IPv4Interface | IPv6Interface) else address
    return str(ip), f"{ip}/{ip.max_prefixlen}"  # type: ignore[attr-defined]
