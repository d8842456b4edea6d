"""dockerd not running/unresponsive.

## What it finds
A Docker whose client is on the host and gets no answer: the daemon does not run, or it hangs.

## Why it matters
Nobody can start, stop or look at a container, and nothing restarts one that ends. Containers that run on (live-restore,
a killed daemon) have no resolver for names and no docker-proxy: names fail, and so do published ports on 127.0.0.1.
Rules and bridges of the last run stay and prove nothing.

## How it is decided
The client says `Cannot connect to the Docker daemon` of the socket of this host, or did not answer in time. Where
systemd holds the socket of a daemon that does not run (`docker.socket`), the collector does not ask: that would start
it. What systemd says of the unit, the pid file and the processes tell how it ended. It is an error when the daemon
failed, was killed or hangs, or when containers run without it; when it was stopped in good order it is a note.

## Not a problem when
The client may not open the socket (not root), or asks an engine elsewhere (DOCKER_HOST, a context): then this check
says nothing. Podman needs no daemon.

## Repair
Repair what keeps it from starting, as its last line in the journal says; then start it.

## Verify
`docker version` shows a server.

## References
docs.docker.com/engine/daemon/troubleshoot; docker/for-linux#123; docker/for-linux#1163; docker/for-linux#1521.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from netdiag.checks._base import Fault, NotApplicable, Unjudged, Verdicts, check, unjudged
from netdiag.checks._docker import related
from netdiag.checks._engine import option, ports_left, why_not_started
from netdiag.finding import Evidence, Severity, Subject
from netdiag.model import Host
from netdiag.model.engine import Silence
from netdiag.model.gates import daemons_here, unknown
from netdiag.spans import Span

_CANNOT_CONNECT = re.compile(r"Cannot connect to the Docker daemon at (\S+?)\.? ")
_OF_THIS_HOST = re.compile(r"unix://(?:/var)?/run/docker\.sock")
_PID_FILE = "/var/run/docker.pid"


@dataclass(frozen=True)
class _End:
    """How the daemon ended, in words, with the place that shows it. `in_order` is whether somebody stopped it."""

    how: str
    span: Span | None
    in_order: bool = False


@check(Severity.ERROR, layer="bundle")
def bundle_docker_down(host: Host) -> Verdicts:
    engine = host.engine
    if engine.absent:
        yield NotApplicable(engine.absent)
        return
    if engine.info or engine.version:
        return
    if engine.silence is None:
        yield unjudged(unknown("whether Docker answers", "docker_info"))
        return
    asked = _CANNOT_CONNECT.search(engine.silence.message)
    if not (engine.silence.hangs or engine.silence.asleep or asked):
        yield Unjudged("whether Docker answers", engine.silence.message, ("docker-info",), ("docker info",))
    elif asked and not _OF_THIS_HOST.fullmatch(asked[1]):
        yield NotApplicable(f"the docker client asks {asked[1]}, which is not the socket of this host")
    elif asked and (elsewhere := _other_socket(host)):
        yield Unjudged(
            f"whether Docker answers at {elsewhere}",
            "dockerd listens there, and the client asked elsewhere",
            ("docker-info",),
            (f"DOCKER_HOST={elsewhere} python3 netdiag_collect.py",),
        )
    else:
        yield _fault(host, engine.silence)


def _other_socket(host: Host) -> str:
    """The address of a dockerd that runs here and does not listen on the usual socket."""
    for process in daemons_here(host):
        address = option(process, "-H", "--host")
        if address and address != "fd://" and not _OF_THIS_HOST.fullmatch(address):
            return address
    return ""


def _end(host: Host, silence: Silence) -> _End:
    engine, running = host.engine, daemons_here(host)
    unit = {each.name: each for each in engine.unit}
    state, result = unit.get("ActiveState"), unit.get("Result")
    if silence.hangs and running:
        return _End("its daemon runs and does not answer", running[0].span)
    if running:
        return _End("its daemon runs and its socket is gone", running[0].span)
    reason = why_not_started(host)
    failed = state is not None and (state.value == "failed" or (result and result.value not in ("", "success")))
    if reason and (failed or not state):
        return _End(
            f"its daemon does not start: {reason.message.partition('failed to start daemon: ')[2]}", reason.span
        )
    if state is not None and failed:
        return _End("its daemon failed", (result or state).span)
    pid_file = engine.file(_PID_FILE)
    if pid_file and engine.processes.whole:
        return _End("its daemon was killed: it left its pid file behind", pid_file.span)
    if state and state.value == "inactive":
        return _End("its daemon was stopped", state.span, in_order=True)
    if engine.files.items and not pid_file:
        return _End("its daemon is stopped", None, in_order=True)
    return _End("its daemon does not run", None)


def _fault(host: Host, silence: Silence) -> Fault:
    end, left = _end(host, silence), ports_left(host)
    goes_on = f", and {len(left)} veths of containers that run on without it are on its bridges" if left else ""
    in_order = end.in_order and not left
    return Fault(
        message=f"Docker does not answer: {end.how}{goes_on}",
        subjects=(Subject("host", host.name or "host"),),
        evidence=tuple(_evidence(host, silence, end)),
        remedy=("systemctl restart docker" if silence.hangs or daemons_here(host) else "systemctl start docker",),
        verify=("docker version", "journalctl -u docker -n 50 --no-pager"),
        severity=Severity.NOTE if in_order else Severity.ERROR,
        affects=(Subject("host", host.name or "host"),),
    )


def _evidence(host: Host, silence: Silence, end: _End) -> Iterator[Evidence]:
    said = silence.message if silence.asleep else f"the client says: {silence.message}"
    spans = [(silence.span, said), (end.span, end.how)]
    found = [Evidence(span, label) for span, label in spans if span]
    if not found:
        links = host.root.links.items
        settings = host.engine.settings.items
        proof = links[0].span if links else settings[0].span if settings else None
        found = [Evidence(proof, f"collected while the client said: {silence.message}")] if proof else []
    yield from found
    for link in ports_left(host)[:3]:
        yield related(link.span, "a container is still behind this veth")
