"""What several checks ask of the engine's own state: how dockerd was started, and what it left behind."""

from netdiag.formats.records import JournalLine, Link, ProcessLine
from netdiag.model import Host

#: How dockerd begins the last line that it writes when it cannot start.
_NOT_STARTED = "failed to start daemon: "


def option(process: ProcessLine, *names: str) -> str:
    """The value of an option on a command line, empty when it is not there."""
    words = process.command.split()
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name in names:
            return value if equals else following
    return ""


def why_not_started(host: Host) -> JournalLine | None:
    """The last line in which dockerd says why it cannot start."""
    return next((each for each in reversed(host.engine.journal.items) if _NOT_STARTED in each.message), None)


def ports_left(host: Host) -> list[Link]:
    """Veths on the host that are ports of Docker's bridges: containers that run on without the engine have them."""
    return [
        link
        for link in host.root.links
        if link.kind == "veth" and (link.master or "").startswith(("br-", "docker")) and link.peer_name is None
    ]
