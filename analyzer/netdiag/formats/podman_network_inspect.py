"""`podman network inspect`: one `Network` record each, with its subnets and, from podman 5, its containers.

Podman 4 and 5 print their own shape. Podman 3 prints the configuration of CNI, which has neither an id nor a driver:
`driver` is then the type of the first plugin, and a bridge that is no gateway is what `--internal` makes. `options` has
podman's options and `network_interface`, which is the name of the bridge (of the parent, for a macvlan). `created` is
not read: of the default network it is the moment of asking.
"""

from collections.abc import Iterator
from typing import Any

from netdiag.formats._document import Document, Format
from netdiag.formats._json import JsonPlace, JsonValue, one_a_line, read_json, unread_value
from netdiag.formats._schema import drop_invalid
from netdiag.formats._values import address, interface4, network, table
from netdiag.formats.records import Network, NetworkMember, Subnet
from netdiag.spans import Source


def read(source: Source) -> Document:
    """Every network of the text; never raises."""
    text = read_json(source)
    networks, unread = [], list(text.unread)
    for value in text.values:
        content = value.value
        if not isinstance(content, dict) or not ({"name", "driver", "subnets"} <= content.keys() or _is_cni(content)):
            unread += unread_value(value, "not a network of podman network inspect")
            continue
        unread += drop_invalid(value, "podman_network_inspect")
        networks.append(_cni_network(value) if _is_cni(content) else _network(value))
    return Document(source, FORMAT.name, tuple(networks), one_a_line(unread), text.notes)


def _is_cni(content: dict[str, Any]) -> bool:
    return {"cniVersion", "name", "plugins"} <= content.keys()


def _network(value: JsonValue) -> Network:
    content, place = value.value, value.place
    members = content.get("containers")
    interface = content.get("network_interface")
    return Network(
        id=content.get("id") or "",
        name=content.get("name") or "",
        place=place.at("name"),
        driver=content.get("driver"),
        internal=content.get("internal"),
        options=_options(interface) | {key: text or "" for key, text in table(content.get("options")).items()},
        subnets=tuple(_subnets(content.get("subnets"), place.at("subnets"))),
        members=tuple(_members(members, place.at("containers"))) if isinstance(members, dict) else None,
        engine="podman",
    )


def _options(interface: str | None) -> dict[str, str]:
    return {"network_interface": interface} if interface else {}


def _subnets(ranges: Any, place: JsonPlace) -> Iterator[Subnet]:
    for index, content in enumerate(ranges or ()):
        subnet = network(table(content).get("subnet"))
        if subnet:
            yield Subnet(subnet, address(content.get("gateway")), place.at(index, "subnet"))


def _members(containers: dict[str, Any], place: JsonPlace) -> Iterator[NetworkMember]:
    """A container may have several interfaces on one network; each is a member."""
    for container_id, content in containers.items():
        name = table(content).get("name") or ""
        for interface, settings in table(table(content).get("interfaces")).items():
            addresses = (interface4(table(entry).get("ipnet")) for entry in table(settings).get("subnets") or ())
            yield NetworkMember(
                container_id=container_id,
                name=name,
                address=next((found for found in addresses if found), None),
                mac=(table(settings).get("mac_address") or "").lower() or None,
                place=place.at(container_id, "interfaces", interface),
            )


def _cni_network(value: JsonValue) -> Network:
    content, place = value.value, value.place
    plugins = content.get("plugins") or ()
    plugin = table(plugins[0]) if plugins else {}
    ipam, ipam_place = table(plugin.get("ipam")), place.at("plugins", 0, "ipam")
    return Network(
        id="",
        name=content.get("name") or "",
        place=place.at("name"),
        driver=plugin.get("type"),
        internal=not plugin.get("isGateway") if plugin.get("type") == "bridge" else None,
        options=_options(plugin.get("bridge") or plugin.get("master")),
        subnets=tuple(_cni_subnets(ipam, ipam_place)),
        engine="podman",
    )


def _cni_subnets(ipam: dict[str, Any], place: JsonPlace) -> Iterator[Subnet]:
    """Those of the `host-local` plugin: one subnet by itself, or lists of ranges, one list for each address family."""
    subnet = network(ipam.get("subnet"))
    if subnet:
        yield Subnet(subnet, address(ipam.get("gateway")), place.at("subnet"))
    for index, ranges in enumerate(ipam.get("ranges") or ()):
        yield from _subnets(ranges, place.at("ranges", index))


FORMAT = Format(
    name="podman_network_inspect",
    title="podman network inspect",
    commands=("podman network inspect $(podman network ls -q)",),
    read=read,
)
