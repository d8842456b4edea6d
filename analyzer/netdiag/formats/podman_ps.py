"""The table of `podman ps`: Docker's, with other gaps between its columns.

It begins its second column two characters behind the longest id, Docker three and more, which tells the two apart.
Where all addresses of the host are meant it prints `0.0.0.0`.
"""

from netdiag.formats._container_table import read_table
from netdiag.formats._document import Document, Format
from netdiag.spans import Source


def read(source: Source) -> Document:
    """Every row below a heading; never raises."""
    return read_table(source, FORMAT.name)


FORMAT = Format(
    name="podman_ps",
    title="list of containers (podman ps)",
    commands=("podman ps -a --no-trunc", "podman ps"),
    read=read,
)
