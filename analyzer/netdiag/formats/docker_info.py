"""`docker info --format '{{json .}}'`: where the engine runs and in which mode."""

from collections.abc import Iterator
from typing import Any

from netdiag.formats._document import Document, Format
from netdiag.formats._json import JsonPlace, JsonValue, one_a_line, read_json, unread_value
from netdiag.formats._schema import drop_invalid
from netdiag.formats._values import address, address_of_pair, address_pool, table
from netdiag.formats.records import AddressPool, EngineInfo, NoAnswer, Remark, Swarm
from netdiag.spans import Source


def read(source: Source) -> Document:
    """The engine's description, or that the client got no answer; never raises."""
    text = read_json(source)
    infos: list[EngineInfo | NoAnswer] = []
    unread = list(text.unread)
    for value in text.values:
        if not isinstance(value.value, dict) or not {"ServerVersion", "ServerErrors"} & value.value.keys():
            unread += unread_value(value, "not an answer of docker info")
            continue
        unread += drop_invalid(value, "docker_info")
        infos.append(_info(value) if value.value.get("ServerVersion") else _no_answer(value))
    return Document(source, FORMAT.name, tuple(infos), one_a_line(unread), text.notes)


def _no_answer(value: JsonValue) -> NoAnswer:
    """Up to 20.10 the client prints the reason here; later ones print only what an engine did not tell."""
    errors = [error for error in value.value.get("ServerErrors") or () if error]
    place = value.place.at("ServerErrors", 0) if errors else value.place.at("ServerVersion")
    return NoAnswer(errors[0] if errors else "", place)


def _info(value: JsonValue) -> EngineInfo:
    content = value.value
    return EngineInfo(
        host_name=content.get("Name"),
        operating_system=content.get("OperatingSystem"),
        security_options=tuple(content.get("SecurityOptions") or ()),
        swarm_state=table(content.get("Swarm")).get("LocalNodeState"),
        firewall_driver=table(content.get("FirewallBackend")).get("Driver"),
        ipv4_forwarding=content.get("IPv4Forwarding"),
        live_restore=content.get("LiveRestoreEnabled"),
        place=value.place.at("ServerVersion"),
        address_pools=tuple(_pools(content.get("DefaultAddressPools"))),
        warnings=tuple(
            Remark(text.removeprefix("WARNING: "), value.place.at("Warnings", index))
            for index, text in enumerate(content.get("Warnings") or ())
            if text
        ),
        kernel=content.get("KernelVersion") or None,
        http_proxy=content.get("HttpProxy") or None,
        https_proxy=content.get("HttpsProxy") or None,
        no_proxy=content.get("NoProxy") or None,
        swarm=_swarm(table(content.get("Swarm")), value.place.at("Swarm", "LocalNodeState")),
    )


def _swarm(content: dict[str, Any], place: JsonPlace) -> Swarm | None:
    if content.get("LocalNodeState") in (None, "inactive"):
        return None
    managers = (address_of_pair(table(each).get("Addr")) for each in content.get("RemoteManagers") or ())
    return Swarm(
        place=place,
        node_address=address(content.get("NodeAddr")),
        is_manager=content.get("ControlAvailable"),
        managers=tuple(found for found in managers if found),
        nodes=content.get("Nodes"),
        data_path_port=table(content.get("Cluster")).get("DataPathPort"),
    )


def _pools(pools: Any) -> Iterator[AddressPool]:
    for pool in pools or ():
        found = address_pool(table(pool).get("Base"), table(pool).get("Size"))
        if found:
            yield found


FORMAT = Format(
    name="docker_info",
    title="docker info as JSON",
    commands=("docker info --format '{{json .}}'",),
    read=read,
)
