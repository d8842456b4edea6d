"""`podman inspect` of containers: the records of `docker_inspect`, because podman prints Docker's shape.

What is podman's own: a network has no id before podman 5, and there `network_id` is its name; `sandbox_key` is the path
of the netns (`/run/netns/netns-...`); the infra container of a pod holds the pod's netns, and the others have
`container:<its id>` as network mode. `set_mac` is None, because podman does not tell it. Podman 3 shows its default
network with every container, also with those in the host's namespace or without a network.
"""

from dataclasses import replace

from netdiag.formats._containers import is_dockers, read_containers
from netdiag.formats._document import Document, Format, Record
from netdiag.formats.records import Container
from netdiag.spans import Source


def read(source: Source) -> Document:
    """Every container of the text; never raises."""
    document = read_containers(source, FORMAT.name, is_dockers)
    return replace(document, records=tuple(map(_without_guess, document.records)))


def _without_guess(record: Record) -> Record:
    if isinstance(record, Container) and record.network_mode in ("host", "none"):
        return replace(
            record, endpoints=tuple(each for each in record.endpoints if each.network == record.network_mode)
        )
    return record


FORMAT = Format(
    name="podman_inspect",
    title="podman inspect of containers",
    commands=("podman inspect $(podman ps -aq)",),
    read=read,
)
