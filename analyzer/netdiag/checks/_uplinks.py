"""What several checks ask of the physical devices by which a host reaches its network."""

from collections.abc import Iterator

from netdiag.checks._base import NotApplicable, Unjudged, unjudged
from netdiag.checks._docker import sh
from netdiag.formats.records import Link
from netdiag.model import Host, Nic
from netdiag.model.gates import collected, uplinks
from netdiag.model.knowledge import all_of

#: Kinds of links whose packets leave by others: by their members, or by their parent.
_OF_MEMBERS = {"bond", "team", "bridge", "ovs-system"}
_OF_A_PARENT = {"vlan", "macvlan", "ipvlan"}


def physical_uplinks(host: Host) -> tuple[list[Link], list[Unjudged | NotApplicable]]:
    """The physical devices behind the links of the default routes: members of a bond, the parent of a VLAN. Or what to
    say when there are none.
    """
    links = host.root.links
    gate = all_of(collected(links, "the links of the host"), collected(host.root.routes, "which links lead outside"))
    if gate.unknown:
        return [], [unjudged(gate)]
    if not any(link.kind for link in links):
        return [], [NotApplicable("the list of links has no details, so physical devices cannot be told")]
    outward = [link for name in sorted(uplinks(host)) if (link := host.root.link(name))]
    found = {link.name: link for each in outward for link in devices_of(host, each)}
    if not found:
        kinds = ", ".join(f"{link.name} is a {link.kind}" for link in outward) or "the host has no default route"
        return [], [NotApplicable(f"no physical device leads outside: {kinds}")]
    return list(found.values()), []


def devices_of(host: Host, link: Link) -> Iterator[Link]:
    """The physical devices by which packets of a link leave, one step down: members of members are not looked for."""
    if link.kind is None and link.peer_index is None:
        yield link
    elif link.kind in _OF_MEMBERS:
        yield from (port for port in host.root.ports_of(link.name) if port.kind is None)
    elif link.kind in _OF_A_PARENT and link.peer_name:
        parent = host.root.link(link.peer_name)
        if parent and parent.kind is None:
            yield parent


def not_asked(link: Link, what: str, option: str) -> Unjudged:
    """Ethtool was not asked about a device."""
    command = sh(f"ethtool {option} {{}}", link.name) if option else sh("ethtool {}", link.name)
    return Unjudged(what, "the bundle has no such output of ethtool", ("ethtool",), (command,))


def nic_of(host: Host, link: Link) -> Nic:
    """What ethtool tells of a device; nothing when it was not asked."""
    return host.root.nic(link.name) or Nic(link.name)
