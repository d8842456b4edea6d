"""Network namespaces as findings name them."""

from netdiag.checks._docker import sh
from netdiag.finding import Subject
from netdiag.model import Host, Namespace


def subject_of(host: Host, netns: Namespace) -> Subject:
    """The host, the container that lives there, or the namespace itself where none does."""
    if netns is host.root:
        return Subject("host", host.name)
    return Subject("container" if netns.containers else "netns", netns.name)


def name_of_owner(host: Host, netns: Namespace) -> str:
    """The same in a sentence."""
    if netns is host.root:
        return "the host"
    return f"container `{netns.name}`" if netns.containers else f"namespace `{netns.name}`"


def entering(host: Host, netns: Namespace) -> str:
    """What to write before a command that shall run there: nothing on the host."""
    if netns is host.root:
        return ""
    container = host.container(netns.containers[0]) if netns.containers else None
    if container is None:
        return sh("nsenter --net=/run/docker/netns/{} ", netns.name)
    inspect = sh("{} inspect -f {} {}", container.engine, "{{.State.Pid}}", container.name)
    return f"nsenter -n -t $({inspect}) "
