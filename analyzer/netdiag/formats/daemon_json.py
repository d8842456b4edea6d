"""`/etc/docker/daemon.json`: the settings of the engine's daemon, one record each.

A key that dockerd does not know is unread, because dockerd refuses to start with it. The names are those of `dockerd
--help` and of the configuration file's reference (Docker 29).
"""

import json

from netdiag.formats._document import Document, Format, Unread
from netdiag.formats._json import one_a_line, read_json, unread_value
from netdiag.formats._schema import drop_invalid, property_names
from netdiag.formats.records import DaemonSetting
from netdiag.spans import Source


def read(source: Source) -> Document:
    """Every setting of the file; never raises."""
    text, known = read_json(source), property_names("daemon_json")
    settings, unread = [], list(text.unread)
    for value in text.values:
        if not isinstance(value.value, dict):
            unread += unread_value(value, "daemon.json is one JSON object")
            continue
        unread += drop_invalid(value, "daemon_json")
        for name, setting in value.value.items():
            place = value.place.at(name)
            if name in known:
                settings.append(DaemonSetting(name, json.dumps(setting), place))
            else:
                unread.append(Unread(place.span.line, f"not a setting of dockerd: {name[:60]!r}"))
    return Document(source, FORMAT.name, tuple(settings), one_a_line(unread), text.notes)


FORMAT = Format(
    name="daemon_json",
    title="settings file of the Docker daemon",
    commands=("cat /etc/docker/daemon.json",),
    read=read,
)
