"""`docker network inspect`: one `Network` record each, with its subnets and the containers that are attached to it."""

from collections.abc import Iterator
from typing import Any

from netdiag.formats._document import Document, Format
from netdiag.formats._json import JsonPlace, JsonValue, one_a_line, read_json, unread_value
from netdiag.formats._schema import drop_invalid
from netdiag.formats._values import address, interface4, interface6, moment, network, table
from netdiag.formats.records import Network, NetworkMember, NetworkPeer, Subnet
from netdiag.spans import Source


def read(source: Source) -> Document:
    """Every network of the text; never raises."""
    text = read_json(source)
    networks, unread = [], list(text.unread)
    for value in text.values:
        if not _is_network(value.value):
            unread += unread_value(value, "not a network of docker network inspect")
            continue
        unread += drop_invalid(value, "docker_network_inspect")
        networks.append(_network(value))
    return Document(source, FORMAT.name, tuple(networks), one_a_line(unread), text.notes)


def _is_network(value: Any) -> bool:
    return isinstance(value, dict) and {"Id", "Name", "Driver", "IPAM"} <= value.keys()


def _network(value: JsonValue) -> Network:
    content, place = value.value, value.place
    members = content.get("Containers")
    return Network(
        id=content.get("Id") or "",
        name=content.get("Name") or "",
        place=place.at("Name"),
        created=moment(content.get("Created")),
        driver=content.get("Driver"),
        scope=content.get("Scope"),
        internal=content.get("Internal"),
        config_only=content.get("ConfigOnly"),
        enable_ipv4=content.get("EnableIPv4"),
        options={key: text or "" for key, text in table(content.get("Options")).items()},
        enable_ipv6=content.get("EnableIPv6"),
        attachable=content.get("Attachable"),
        ingress=content.get("Ingress"),
        peers=tuple(_peers(content.get("Peers"), place.at("Peers"))),
        labels={key: text or "" for key, text in table(content.get("Labels")).items()},
        subnets=tuple(_subnets(table(content.get("IPAM")).get("Config"), place.at("IPAM", "Config"))),
        members=tuple(_members(members, place.at("Containers"))) if isinstance(members, dict) else None,
    )


def _subnets(config: Any, place: JsonPlace) -> Iterator[Subnet]:
    for index, content in enumerate(config or ()):
        subnet = network(table(content).get("Subnet"))
        if subnet:
            reserved = (address(text) for text in table(content.get("AuxiliaryAddresses")).values())
            yield Subnet(
                subnet,
                address(content.get("Gateway")),
                place.at(index, "Subnet"),
                range=network(content.get("IPRange")),
                reserved=tuple(found for found in reserved if found),
            )


def _members(containers: dict[str, Any], place: JsonPlace) -> Iterator[NetworkMember]:
    for container_id, content in containers.items():
        member = table(content)
        yield NetworkMember(
            container_id=container_id,
            name=member.get("Name") or "",
            address=interface4(member.get("IPv4Address")),
            mac=(member.get("MacAddress") or "").lower() or None,
            place=place.at(container_id, "IPv4Address"),
            address6=interface6(member.get("IPv6Address")),
        )


def _peers(peers: Any, place: JsonPlace) -> Iterator[NetworkPeer]:
    for index, content in enumerate(peers or ()):
        found = address(table(content).get("IP"))
        if found:
            yield NetworkPeer(content.get("Name") or "", found, place.at(index, "IP"))


FORMAT = Format(
    name="docker_network_inspect",
    title="docker network inspect",
    commands=("docker network inspect $(docker network ls -q)",),
    read=read,
)
