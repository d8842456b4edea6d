"""`docker version --format '{{json .}}'`: the version of the engine. The client's says nothing."""

from typing import Any

from netdiag.formats._document import Document, Format
from netdiag.formats._json import one_a_line, read_json, unread_value
from netdiag.formats._schema import drop_invalid
from netdiag.formats._values import table
from netdiag.formats.records import EngineVersion
from netdiag.spans import Source


def read(source: Source) -> Document:
    """The engine's version, no record when the client got no answer; never raises."""
    text = read_json(source)
    versions, unread = [], list(text.unread)
    for value in text.values:
        if not _is_version(value.value):
            unread += unread_value(value, "not an answer of docker version")
            continue
        unread += drop_invalid(value, "docker_version")
        server = table(value.value.get("Server"))
        if server.get("Version"):
            place = value.place.at("Server", "Version")
            versions.append(EngineVersion(server["Version"], server.get("ApiVersion"), place))
    return Document(source, FORMAT.name, tuple(versions), one_a_line(unread), text.notes)


def _is_version(value: Any) -> bool:
    """Podman's client says `APIVersion` where Docker's says `ApiVersion`."""
    is_table = isinstance(value, dict) and bool({"Client", "Server"} & value.keys())
    return is_table and "APIVersion" not in table(value.get("Client"))


FORMAT = Format(
    name="docker_version",
    title="docker version as JSON",
    commands=("docker version --format '{{json .}}'",),
    read=read,
)
