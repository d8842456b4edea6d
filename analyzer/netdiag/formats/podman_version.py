"""`podman version --format json`: the version of podman.

Podman is its own engine, so the client's version counts where there is no server (`podman --remote` has one).
"""

from netdiag.formats._document import Document, Format
from netdiag.formats._json import one_a_line, read_json, unread_value
from netdiag.formats._schema import drop_invalid
from netdiag.formats._values import table
from netdiag.formats.records import EngineVersion
from netdiag.spans import Source


def read(source: Source) -> Document:
    """The version of podman, no record when there is none; never raises."""
    text = read_json(source)
    versions, unread = [], list(text.unread)
    for value in text.values:
        if not isinstance(value.value, dict) or "APIVersion" not in table(value.value.get("Client")):
            unread += unread_value(value, "not an answer of podman version")
            continue
        unread += drop_invalid(value, FORMAT.name)
        side = "Server" if value.value.get("Server") else "Client"
        content = table(value.value.get(side))
        if content.get("Version"):
            place = value.place.at(side, "Version")
            versions.append(EngineVersion(content["Version"], content.get("APIVersion"), place))
    return Document(source, FORMAT.name, tuple(versions), one_a_line(unread), text.notes)


FORMAT = Format(
    name="podman_version",
    title="podman version as JSON",
    commands=("podman version --format json",),
    read=read,
)
