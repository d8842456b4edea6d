"""`docker inspect` of containers: one `Container` record each, with its endpoints and published ports.

A fragment that was cut out of the output (the `"Networks"` part that people paste into a ticket) gives a container
without a name; its id is then the 12-digit alias or DNS name that engines give to each endpoint of a user-defined
network. Containers of podman, which prints the same shape, are left to `podman_inspect`.
"""

from netdiag.formats._containers import is_podmans, read_containers
from netdiag.formats._document import Document, Format
from netdiag.spans import Source


def read(source: Source) -> Document:
    """Every container of the text; never raises."""
    return read_containers(source, FORMAT.name, is_podmans)


FORMAT = Format(
    name="docker_inspect",
    title="docker inspect of containers",
    commands=("docker inspect $(docker ps -aq)",),
    read=read,
)
