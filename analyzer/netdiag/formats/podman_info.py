"""`podman info --format json`: podman's version, where it runs and what connects its containers."""

from netdiag.formats._document import Document, Format
from netdiag.formats._json import JsonValue, one_a_line, read_json, unread_value
from netdiag.formats._schema import drop_invalid
from netdiag.formats._values import table
from netdiag.formats.records import PodmanInfo
from netdiag.spans import Source


def read(source: Source) -> Document:
    """Podman's description of itself, one record; never raises."""
    text = read_json(source)
    infos, unread = [], list(text.unread)
    for value in text.values:
        if not isinstance(value.value, dict) or not {"host", "version"} <= value.value.keys():
            unread += unread_value(value, "not an answer of podman info")
            continue
        unread += drop_invalid(value, FORMAT.name)
        if table(value.value.get("version")).get("Version"):
            infos.append(_info(value))
    return Document(source, FORMAT.name, tuple(infos), one_a_line(unread), text.notes)


def _info(value: JsonValue) -> PodmanInfo:
    host, version = table(value.value.get("host")), table(value.value.get("version"))
    distribution = table(host.get("distribution"))
    words = (distribution.get("distribution"), distribution.get("version"))
    return PodmanInfo(
        version=version["Version"],
        place=value.place.at("version", "Version"),
        api_version=version.get("APIVersion"),
        host_name=host.get("hostname"),
        distribution=" ".join(word for word in words if word) or None,
        rootless=table(host.get("security")).get("rootless"),
        network_backend=host.get("networkBackend"),
        rootless_network=host.get("rootlessNetworkCmd"),
        remote=host.get("serviceIsRemote"),
    )


FORMAT = Format(
    name="podman_info",
    title="podman info as JSON",
    commands=("podman info --format json",),
    read=read,
)
