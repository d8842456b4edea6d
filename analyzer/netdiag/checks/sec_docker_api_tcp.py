"""Docker API on TCP without TLS client auth.

## What it finds
A Docker daemon that takes commands by TCP from whoever connects.

## Why it matters
Who may command Docker is root on the host: one call starts a container with the host's disk in it. Such ports are
looked for all day; on 127.0.0.1 any user of the host, and any container on the host's network, can use it.

## How it is decided
The daemon was told to listen on TCP (`-H tcp://...`, `hosts` in daemon.json), or warns of it in `docker info`, and not
to ask clients for a certificate (tlsverify). An error when a new connection that comes in by the uplink passes the
rules of PREROUTING and INPUT, else a warning.

## Not a problem when
`tlsverify` is set; the daemon is reached by SSH; a proxy in a container hands out a part of the API only.

## Repair
Take the address out, and use SSH (`docker -H ssh://user@host`). Or ask for certificates: tlsverify, tlscacert, tlscert
and tlskey.

## Verify
Nobody listens on the port any more.

## References
docs.docker.com/engine/security/protect-access; moby daemon/info.go (fillAPIInfo).
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._daemon import without
from netdiag.checks._docker import related, restart, sh
from netdiag.checks._exposure import Door, doors, to_host
from netdiag.checks._listeners import Listeners, reaches
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import DaemonSetting, IpAddress, Socket
from netdiag.model import Host, Truth
from netdiag.model.gates import unknown
from netdiag.spans import Span

_OPTIONS = ("H", "host", "hosts")
_WITHOUT_PORT = 2375
_PLACE = re.compile(r"^tcp://(?P<address>\[[^\]]*\]|[^:/]*)(?::(?P<port>\d{1,5}))?")
_WARNING = re.compile(r"API is accessible on https?://(?P<address>\[[^\]]*\]|[^:/ ]*):(?P<port>\d{1,5}) without")


@dataclass(frozen=True)
class _Place:
    """Where the daemon listens; `address` is None for all of the host's."""

    address: IpAddress | None
    port: int
    span: Span
    setting: DaemonSetting | None = None
    value: str = ""

    @property
    def name(self) -> str:
        return f"{self.address or '*'}:{self.port}"


@check(Severity.ERROR, layer="security")
def sec_docker_api_tcp(host: Host) -> Verdicts:
    if host.engine.absent:
        yield NotApplicable(host.engine.absent)
        return
    places = {(place.address, place.port): place for place in (*_warned_of(host), *_set(host))}
    verified = host.engine.setting("tlsverify")
    if verified and verified.value == "true":
        places = {}
    for place in places.values():
        yield _fault(host, place)
    if not places and not host.engine.settings.whole and host.engine.info is None:
        yield unjudged(unknown("whether Docker listens on TCP", "dockerd_cmdline", "docker_info"))


def _set(host: Host) -> Iterator[_Place]:
    for setting in host.engine.settings:
        if setting.name not in _OPTIONS:
            continue
        try:
            values = json.loads(setting.value)
        except ValueError:
            continue
        for value in values if isinstance(values, list) else [values]:
            found = _PLACE.match(value) if isinstance(value, str) else None
            if found:
                port = int(found["port"] or _WITHOUT_PORT)
                yield _Place(_address(found["address"]), port, setting.span, setting, value)


def _warned_of(host: Host) -> Iterator[_Place]:
    for warning in host.engine.info.warnings if host.engine.info else ():
        found = _WARNING.search(warning.text)
        if found:
            yield _Place(_address(found["address"]), int(found["port"]), warning.span)


def _address(text: str) -> IpAddress | None:
    try:
        found = ip_address(text.strip("[]"))
    except ValueError:
        return None
    return None if found.is_unspecified else found


def _way_in(host: Host, place: _Place) -> Door | None:
    """The door by which anybody outside reaches the place."""
    for door in (*doors(host), *doors(host, 6)):
        address = place.address or door.address
        if address.version != door.address.version or address.is_loopback:
            continue
        if to_host(host, door, "tcp", address, place.port, door.anybody).truth is Truth.YES:
            return door
    return None


def _fault(host: Host, place: _Place) -> Fault:
    door = _way_in(host, place)
    socket = _socket(host, place)
    evidence = [Evidence(place.span, "anybody who connects here commands Docker")]
    if socket:
        evidence.append(related(socket.span, "it listens"))
    if door:
        evidence.append(related(door.span, f"reached by {door.device}"))
    taken_out = without(place.setting, place.value if place.setting.name == "hosts" else "") if place.setting else ()
    return Fault(
        message=f"Docker takes commands on {place.name} from "
        + ("anybody outside" if door else "whoever gets there")
        + ", without a certificate",
        subjects=(Subject("port", f"{place.port}/tcp"), Subject("host", host.name)),
        evidence=tuple(evidence),
        remedy=(*taken_out, *restart(host)),
        verify=(sh("ss -tlnp 'sport = :{}'", place.port),),
        severity=Severity.ERROR if door else Severity.WARNING,
    )


def _socket(host: Host, place: _Place) -> Socket | None:
    sockets = Listeners(host.root.sockets).on("tcp", place.port)
    return next((s for s in sockets if place.address is None or reaches(s, place.address)), None)
