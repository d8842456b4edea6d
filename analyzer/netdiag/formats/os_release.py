"""/etc/os-release: which distribution this is."""

from netdiag.formats._assignments import Assignments
from netdiag.formats._document import Document, Format
from netdiag.formats._lines import read_records
from netdiag.formats.records import OsReleaseField
from netdiag.spans import Source


class _Meaning(Assignments):
    _record = OsReleaseField


def read(source: Source) -> Document:
    """Every field; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="os_release",
    title="operating system release (/etc/os-release)",
    commands=("cat /etc/os-release",),
    read=read,
)
