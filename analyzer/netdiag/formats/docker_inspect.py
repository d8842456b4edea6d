"""`docker inspect` of containers: one `Container` record each, with its endpoints and published ports.

A fragment that was cut out of the output (the `"Networks"` part that people paste into a ticket) gives a container
without a name; its id is then the 12-digit alias that engines up to API 1.44 give to each endpoint of a user-defined
network.
"""

import re
from collections.abc import Iterator
from typing import Any

from netdiag.formats._document import Document, Format
from netdiag.formats._json import JsonPlace, JsonValue, read_json, unread_value
from netdiag.formats._schema import drop_invalid
from netdiag.formats._values import address, address4, interface4, interface6, moment, table
from netdiag.formats.records import Container, Endpoint, PublishedPort
from netdiag.spans import Source

_SHORT_ID = re.compile(r"[0-9a-f]{12}")


def read(source: Source) -> Document:
    """Every container of the text; never raises."""
    text = read_json(source)
    containers, unread = [], list(text.unread)
    for value in text.values:
        if not _is_container(value.value):
            unread += unread_value(value, "not a container of docker inspect")
            continue
        unread += drop_invalid(value, "docker_inspect")
        containers.append(_container(value))
    return Document(source, FORMAT.name, tuple(containers), tuple(unread), text.notes)


def _is_container(value: Any) -> bool:
    return isinstance(value, dict) and ("NetworkSettings" in value or isinstance(value.get("Networks"), dict))


def _container(value: JsonValue) -> Container:
    content, place = value.value, value.place
    state, settings, settings_place = table(content.get("State")), content, place
    if "NetworkSettings" in content:
        settings, settings_place = table(content["NetworkSettings"]), place.at("NetworkSettings")
    endpoints = tuple(_endpoints(table(settings.get("Networks")), settings_place.at("Networks")))
    identity = content.get("Id") or _id_from_aliases(endpoints)
    return Container(
        id=identity,
        name=(content.get("Name") or "").removeprefix("/") or identity,
        place=place.at("Name") if content.get("Name") else place,
        state=state.get("Status"),
        pid=state.get("Pid"),
        network_mode=table(content.get("HostConfig")).get("NetworkMode"),
        sandbox_key=settings.get("SandboxKey"),
        set_mac=table(content["Config"]).get("MacAddress") or "" if "Config" in content else None,
        started=moment(state.get("StartedAt")),
        endpoints=endpoints,
        ports=tuple(_ports(table(settings.get("Ports")), settings_place.at("Ports"))),
    )


def _id_from_aliases(endpoints: tuple[Endpoint, ...]) -> str:
    aliases = (alias for endpoint in endpoints for alias in endpoint.aliases)
    return next((alias for alias in aliases if _SHORT_ID.fullmatch(alias)), "")


def _endpoints(networks: dict[str, Any], place: JsonPlace) -> Iterator[Endpoint]:
    for name, content in networks.items():
        if not isinstance(content, dict):
            continue
        yield Endpoint(
            network=name,
            network_id=content.get("NetworkID") or "",
            endpoint_id=content.get("EndpointID") or "",
            place=place.at(name),
            address=interface4(content.get("IPAddress"), content.get("IPPrefixLen")),
            gateway=address4(content.get("Gateway")),
            address6=interface6(content.get("GlobalIPv6Address"), content.get("GlobalIPv6PrefixLen")),
            mac=(content.get("MacAddress") or "").lower() or None,
            aliases=tuple(content.get("Aliases") or ()),
        )


def _ports(ports: dict[str, Any], place: JsonPlace) -> Iterator[PublishedPort]:
    for name, bindings in ports.items():
        number, _, protocol = name.partition("/")
        for index, binding in enumerate(bindings or ()):
            host_port = (binding or {}).get("HostPort")
            if number.isdigit() and host_port:
                yield PublishedPort(
                    protocol=protocol,
                    container_port=int(number),
                    host_address=address(binding.get("HostIp")),
                    host_port=int(host_port),
                    place=place.at(name, index, "HostPort"),
                )


FORMAT = Format(
    name="docker_inspect",
    title="docker inspect of containers",
    commands=("docker inspect $(docker ps -aq)",),
    read=read,
)
