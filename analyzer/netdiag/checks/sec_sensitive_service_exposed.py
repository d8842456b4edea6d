"""Well-known unauthenticated service published on all interfaces.

## What it finds
A published port that anybody outside reaches and that leads to a service which, unless told otherwise, asks nobody for
a password: Redis, MongoDB, Elasticsearch, memcached, etcd, ZooKeeper, Consul, CouchDB, Cassandra, the API of Docker.

## Why it matters
Such ports are looked for all day. Who finds one reads and deletes the data, or runs programs on the host.

## How it is decided
Gates: Docker manages this namespace; the filter and nat tables were collected; there is a default route. The
container's port is that of such a service, something listens on it, and a new connection from a public address that
comes in by the uplink passes the rules of FORWARD, or those of INPUT where docker-proxy serves the port. It is not
named when the container's command line or the names of its variables tell of a password (`--requirepass`, `--auth`,
`MONGO_INITDB_ROOT_USERNAME`, `ELASTIC_PASSWORD`). Databases whose images insist on a password (MySQL, PostgreSQL) are
not on the list.

## Not a problem when
A configuration file in the container sets a password; a firewall in front of the host closes the port.

## Repair
Publish it on 127.0.0.1, or not at all: other containers of its network reach it without. The command leaves the port to
the network of the uplink.

## Verify
A client from elsewhere is not answered any more.

## References
moby/moby#22054; docs.docker.com/engine/network/port-publishing.
"""

import re

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import related
from netdiag.checks._exposure import (
    Door,
    LedPort,
    doors,
    is_translated,
    led_ports,
    only_for_neighbours,
    to_container,
    to_host,
)
from netdiag.checks._listeners import Listeners
from netdiag.finding import Evidence, Severity
from netdiag.formats.records import Container, Socket
from netdiag.model import Host, Truth

#: By the ports that the projects' own documents give.
_SERVICES = {
    ("tcp", 2181): "ZooKeeper",
    ("tcp", 2375): "the API of Docker",
    ("tcp", 2379): "etcd",
    ("tcp", 5984): "CouchDB",
    ("tcp", 6379): "Redis",
    ("tcp", 8500): "Consul",
    ("tcp", 9042): "Cassandra",
    ("tcp", 9200): "Elasticsearch",
    ("tcp", 11211): "memcached",
    ("udp", 11211): "memcached",
    ("tcp", 27017): "MongoDB",
}
_PASSWORD_ARGUMENT = re.compile(r"requirepass|--auth\b|--keyFile|acl|--client-cert-auth|--tlsverify")
_PASSWORD_VARIABLE = re.compile(r"^(?!ALLOW_).*(?:PASSWORD|ROOT_USERNAME|_PASS$|_TOKEN$|AUTH)", re.IGNORECASE)


@check(Severity.WARNING, layer="security")
def sec_sensitive_service_exposed(host: Host) -> Verdicts:
    ports, others = led_ports(host)
    yield from others
    entrances = doors(host)
    for each in ports:
        if _service(each) and not _asks_for_password(each.container) and _listens(host, each):
            door = next((door for door in entrances if _is_open(host, door, each)), None)
            if door:
                yield _fault(host, each, door)


def _service(each: LedPort) -> str:
    return _SERVICES.get((each.port.protocol, each.port.container_port), "")


def _asks_for_password(container: Container) -> bool:
    return any(map(_PASSWORD_ARGUMENT.search, container.arguments)) or any(
        map(_PASSWORD_VARIABLE.search, container.variables)
    )


def _socket(host: Host, each: LedPort) -> Socket | None:
    netns = host.namespace_of(each.container)
    port = each.port
    return Listeners(netns.sockets).reached(port.protocol, port.container_port, each.address) if netns else None


def _listens(host: Host, each: LedPort) -> bool:
    """Whether anything is there to be reached; assumed where the sockets of the container are not known."""
    netns = host.namespace_of(each.container)
    return netns is None or not netns.sockets.whole or _socket(host, each) is not None


def _is_open(host: Host, door: Door, each: LedPort) -> bool:
    own, number, protocol = each.port.host_address, each.port.host_port, each.port.protocol
    own = door.address if own is None or own.is_unspecified else own
    if own.is_loopback:
        return False
    if is_translated(host, door, protocol, own, number, door.anybody):
        way = to_container(host, door, each.bridge.device, each.target, source=door.anybody, came_for=number)
    else:
        way = to_host(host, door, protocol, own, number, door.anybody)
    return way.truth is Truth.YES


def _fault(host: Host, each: LedPort, door: Door) -> Fault:
    socket = _socket(host, each)
    evidence = [Evidence(each.port.span, f"published on {each.port.host_address or 'the host'}")]
    if socket:
        evidence.append(related(socket.span, "somebody answers there"))
    evidence.append(related(door.span, f"reached by {door.device}"))
    return Fault(
        message=f"anybody outside reaches port {each.name} of container `{each.container.name}`, the port of"
        f" {_service(each)}",
        subjects=each.subjects,
        evidence=tuple(evidence),
        remedy=(only_for_neighbours(door, each.port.protocol, each.port.host_port),),
        verify=("iptables -L DOCKER-USER -v -n -x",),
    )
