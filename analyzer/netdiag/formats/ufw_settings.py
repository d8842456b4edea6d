"""/etc/ufw/ufw.conf and /etc/default/ufw: whether ufw sets rules up, and what it does with forwarded packets."""

from netdiag.formats._assignments import Assignments
from netdiag.formats._document import Document, Format
from netdiag.formats._lines import read_records
from netdiag.formats.records import UfwSetting
from netdiag.spans import Source


class _Meaning(Assignments):
    _record = UfwSetting


def read(source: Source) -> Document:
    """Every setting; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="ufw_settings",
    title="settings of ufw",
    commands=("cat /etc/ufw/ufw.conf", "cat /etc/default/ufw"),
    read=read,
)
