"""The table of `docker ps` and `docker container ls`."""

from netdiag.formats._container_table import read_table
from netdiag.formats._document import Document, Format
from netdiag.spans import Source


def read(source: Source) -> Document:
    """Every row below a heading; never raises."""
    return read_table(source, FORMAT.name)


FORMAT = Format(
    name="docker_ps",
    title="list of containers (docker ps)",
    commands=("docker ps -a --no-trunc", "docker ps", "docker container ls"),
    read=read,
)
