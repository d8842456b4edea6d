"""What `docker inspect` and `podman inspect` have in common: podman prints containers in Docker's shape.

People cut that shape down, and each cut is read as a container that lacks the rest:

- one value a line, as `--format '{{json .}}'` prints it;
- the network settings alone (`'{{json .NetworkSettings}}'`, or what was copied of them);
- the endpoints alone (`'{{json .NetworkSettings.Networks}}'`), by the name of their network. A container that has none
  (it shares another one's network) is an empty object or null there, and gives no record.

Before Docker 1.9 there were no `Networks`: the settings themselves were those of the endpoint on the default bridge.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from netdiag.formats._document import Document
from netdiag.formats._json import JsonPlace, JsonValue, one_a_line, read_json, unread_value
from netdiag.formats._schema import drop_invalid
from netdiag.formats._values import address, address4, address6, interface4, interface6, moment, table
from netdiag.formats.records import (
    Container,
    Endpoint,
    ExposedPort,
    IpAddress,
    Mount,
    PublishedPort,
    Remark,
    WantedPort,
)
from netdiag.spans import Source

_OF_COMPOSE = "com.docker.compose."
_PROXY_VARIABLES = frozenset({"http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy"})
_SHORT_ID = re.compile(r"[0-9a-f]{12}")
_ENDPOINT_KEYS = {"EndpointID", "NetworkID", "IPAddress"}
_OLD_SETTINGS_KEYS = {"Bridge", "IPAddress", "Ports"}


def read_containers(source: Source, format_name: str, is_others: Callable[[dict[str, Any]], bool]) -> Document:
    """Every container of the text but another engine's; never raises."""
    text = read_json(source)
    containers, unread = [], list(text.unread)
    for value in text.values:
        shaped = _shaped(value)
        if shaped is None or is_others(shaped.value):
            unread += unread_value(value, f"not a container of {format_name.replace('_', ' ')}")
            continue
        unread += drop_invalid(shaped, format_name)
        if shaped.value.get("Networks") != {} or "NetworkSettings" in shaped.value:
            place = value.place if shaped is not value else None
            containers.append(_container(shaped, networks_place=place, engine=format_name.partition("_")[0]))
    return Document(source, format_name, tuple(containers), one_a_line(unread), text.notes)


def is_podmans(container: dict[str, Any]) -> bool:
    """Whether podman surely printed it: by a key that Docker does not have, or by the name that it gives to a netns
    (since podman 4 `netns-...`, with CNI `cni-...`).
    """
    sandbox_key = _sandbox_key(container)
    return "OCIRuntime" in container or "/netns/netns-" in sandbox_key or "/netns/cni-" in sandbox_key


def is_dockers(container: dict[str, Any]) -> bool:
    """Whether Docker surely printed it: by the slash before a name, or by the place where it keeps a netns."""
    return str(container.get("Name") or "").startswith("/") or "/docker/netns/" in _sandbox_key(container)


def _sandbox_key(container: dict[str, Any]) -> str:
    return str(table(container.get("NetworkSettings", container)).get("SandboxKey") or "")


def _shaped(value: JsonValue) -> JsonValue | None:
    """The value with its endpoints below `Networks` when it is nothing but endpoints; None when it is no container."""
    content = value.value if value.value is not None else {}
    if not isinstance(content, dict):
        return None
    if (
        "NetworkSettings" in content
        or isinstance(content.get("Networks"), dict)
        or content.keys() >= _OLD_SETTINGS_KEYS
    ):
        return value
    if all(isinstance(endpoint, dict) and endpoint.keys() >= _ENDPOINT_KEYS for endpoint in content.values()):
        return JsonValue({"Networks": content}, value.place, value.end)
    return None


def _container(value: JsonValue, *, networks_place: JsonPlace | None, engine: str) -> Container:
    content, place = value.value, value.place
    state, settings, settings_place = table(content.get("State")), content, place
    if "NetworkSettings" in content:
        settings, settings_place = table(content["NetworkSettings"]), place.at("NetworkSettings")
    endpoints = tuple(_endpoints(settings, settings_place, networks_place or settings_place.at("Networks")))
    asked, config = table(content.get("HostConfig")), table(content.get("Config"))
    identity = content.get("Id") or _short_id(settings)
    return Container(
        id=identity,
        name=(content.get("Name") or "").removeprefix("/") or identity,
        place=place.at("Name") if content.get("Name") else place,
        state=state.get("Status"),
        pid=state.get("Pid"),
        network_mode=asked.get("NetworkMode"),
        sandbox_key=settings.get("SandboxKey"),
        set_mac=_set_mac(content),
        started=moment(state.get("StartedAt")),
        endpoints=endpoints,
        ports=tuple(_ports(table(settings.get("Ports")), settings_place.at("Ports"))),
        ports_told="NetworkSettings" in content or "Ports" in settings,
        error=state.get("Error"),
        engine=engine,
        wanted_ports=_wanted_ports(asked, place.at("HostConfig", "PortBindings")),
        exposed=tuple(_exposed(table(config.get("ExposedPorts")), place.at("Config", "ExposedPorts"))),
        mounts=tuple(_mounts(content.get("Mounts") or [], place.at("Mounts"))),
        error_place=place.at("State", "Error") if state.get("Error") else None,
        health=table(state.get("Health")).get("Status"),
        powers=tuple(_powers(asked, place.at("HostConfig"))),
        arguments=tuple(word for word in (content.get("Path"), *(content.get("Args") or ())) if word),
        variables=tuple(entry.partition("=")[0] for entry in config.get("Env") or ()),
        proxies=_proxies(config.get("Env") or ()),
        dns=_dns(asked),
        links=tuple(link for link in asked.get("Links") or () if link),
        image=config.get("Image"),
        project=table(config.get("Labels")).get(f"{_OF_COMPOSE}project"),
        service=table(config.get("Labels")).get(f"{_OF_COMPOSE}service"),
        finished=moment(state.get("FinishedAt")),
        exit_code=state.get("ExitCode"),
        restarts=content.get("RestartCount"),
        restart_policy=table(asked.get("RestartPolicy")).get("Name"),
        out_of_memory=state.get("OOMKilled"),
        runtime=asked.get("Runtime"),
    )


def _proxies(variables: Iterable[str]) -> dict[str, str]:
    """Programs read either case; where both are set they nearly all prefer the lower one."""
    found = {}
    for variable in sorted(variables):  # upper case comes first
        name, _, value = variable.partition("=")
        if name.lower() in _PROXY_VARIABLES:
            found[name.lower()] = value
    return found


def _dns(asked: dict[str, Any]) -> tuple[IpAddress, ...] | None:
    """None when the text does not tell."""
    if "Dns" not in asked:
        return None
    return tuple(server for text in asked["Dns"] or () if (server := address(text)))


def _set_mac(content: dict[str, Any]) -> str | None:
    """Docker leaves the key out when no MAC address was asked for; podman does not tell."""
    if "Config" not in content or is_podmans(content):
        return None
    return table(content["Config"]).get("MacAddress") or ""


def _short_id(settings: dict[str, Any]) -> str:
    """The id by which a container is known on its networks: an alias up to API 1.44, one of the DNS names since."""
    names = (
        name
        for endpoint in table(settings.get("Networks")).values()
        for key in ("Aliases", "DNSNames")
        for name in table(endpoint).get(key) or ()
    )
    return next((name for name in names if _SHORT_ID.fullmatch(name)), "")


def _endpoints(settings: dict[str, Any], place: JsonPlace, networks_place: JsonPlace) -> Iterator[Endpoint]:
    if "Networks" not in settings and settings.get("IPAddress"):
        yield _endpoint("bridge", settings, place.at("IPAddress"))
    for name, content in table(settings.get("Networks")).items():
        if isinstance(content, dict):
            yield _endpoint(name, content, networks_place.at(name))


def _endpoint(network: str, content: dict[str, Any], place: JsonPlace) -> Endpoint:
    return Endpoint(
        network=network,
        network_id=content.get("NetworkID") or "",
        endpoint_id=content.get("EndpointID") or "",
        place=place,
        address=interface4(content.get("IPAddress"), content.get("IPPrefixLen")),
        gateway=address4(content.get("Gateway")),
        address6=interface6(content.get("GlobalIPv6Address"), content.get("GlobalIPv6PrefixLen")),
        mac=(content.get("MacAddress") or "").lower() or None,
        aliases=tuple(content.get("Aliases") or ()),
        gateway6=address6(content.get("IPv6Gateway")),
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


def _wanted_ports(asked: dict[str, Any], place: JsonPlace) -> tuple[WantedPort, ...] | None:
    """None when the text does not tell, as `docker inspect` of network settings alone."""
    if "PortBindings" not in asked:
        return None
    found = []
    for name, bindings in table(asked["PortBindings"]).items():
        number, _, protocol = name.partition("/")
        for index, binding in enumerate(bindings or ()):
            first, _, last = ((binding or {}).get("HostPort") or "").partition("-")
            if number.isdigit():
                found.append(
                    WantedPort(
                        protocol=protocol,
                        container_port=int(number),
                        host_address=_narrowed((binding or {}).get("HostIp")),
                        host_port=int(first or 0) or None,
                        last_host_port=int(last or first or 0) or None,
                        place=place.at(name, index, "HostPort"),
                    )
                )
    return tuple(found)


def _narrowed(text: str | None) -> IpAddress | None:
    """The address, None for all of them."""
    found = address(text)
    return None if found is None or found.is_unspecified else found


def _exposed(ports: dict[str, Any], place: JsonPlace) -> Iterator[ExposedPort]:
    for name in ports:
        numbers, _, protocol = name.partition("/")
        first, _, last = numbers.partition("-")
        yield ExposedPort(protocol, int(first), int(last or first), place.at(name))


def _mounts(mounts: list[Any], place: JsonPlace) -> Iterator[Mount]:
    for index, content in enumerate(mounts):
        if content:
            yield Mount(
                kind=content.get("Type") or "",
                source=content.get("Source") or "",
                destination=content.get("Destination") or "",
                writable=content.get("RW"),
                place=place.at(index),
            )


def _powers(asked: dict[str, Any], place: JsonPlace) -> Iterator[Remark]:
    if asked.get("Privileged"):
        yield Remark("privileged", place.at("Privileged"))
    for index, name in enumerate(asked.get("CapAdd") or ()):
        if name:
            yield Remark(name, place.at("CapAdd", index))
