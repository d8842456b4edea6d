"""`podman inspect` of containers: the records of `docker_inspect`, because podman prints Docker's shape.

What is podman's own: a network has no id before podman 5, and there `network_id` is its name; `sandbox_key` is the path
of the netns (`/run/netns/netns-...`); the infra container of a pod holds the pod's netns, and the others have
`container:<its id>` as network mode. `set_mac` is None, because podman does not tell it.
"""

from netdiag.formats._containers import is_dockers, read_containers
from netdiag.formats._document import Document, Format
from netdiag.spans import Source


def read(source: Source) -> Document:
    """Every container of the text; never raises."""
    return read_containers(source, FORMAT.name, is_dockers)


FORMAT = Format(
    name="podman_inspect",
    title="podman inspect of containers",
    commands=("podman inspect $(podman ps -aq)",),
    read=read,
)
