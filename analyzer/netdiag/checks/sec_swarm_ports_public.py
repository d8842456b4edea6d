"""2377/7946/4789 reachable on public interface.

## What it finds
A node of a swarm that has a public address and lets anybody connect to the ports by which the nodes talk to each other.

## Why it matters
VXLAN (4789/udp) has neither encryption nor authentication: who can send to the port can put packets into the overlay
networks. The managers' port (2377/tcp) and the gossip (7946) are meant for nodes only.

## How it is decided
Gates: the host is in a swarm; the sockets of the host and a default route are known. The link of the default route has
a public address; Docker or the kernel listens on one of the ports on all addresses or on that one; and a new connection
from a public address that comes in by the uplink passes PREROUTING and INPUT.

## Not a problem when
The nodes have private addresses only; a firewall in front of the host closes the ports.

## Repair
Let only the other nodes in. The commands let in the network of the uplink: put the nodes' addresses in its place.

## Verify
A client from elsewhere gets no answer.

## References
docs.docker.com/engine/swarm/swarm-tutorial (open protocols and ports); GHSA-232p-vwff-86mp.
"""

from collections.abc import Iterator

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.checks._exposure import Door, doors, to_host
from netdiag.checks._listeners import Listeners, reaches
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import IpAddress, Socket
from netdiag.model import Host, Truth
from netdiag.model.gates import unknown, whole

_PORTS = (("tcp", 2377), ("tcp", 7946), ("udp", 7946), ("udp", 4789))


@check(Severity.WARNING, layer="security")
def sec_swarm_ports_public(host: Host) -> Verdicts:
    info = host.engine.info
    if host.engine.absent or (info and info.swarm_state not in ("active", "locked", "pending")):
        yield NotApplicable(host.engine.absent or "the host is in no swarm")
        return
    if info is None:
        yield unjudged(unknown("whether the host is in a swarm", "docker_info"))
        return
    if not host.root.sockets.whole:
        yield unjudged(whole(host.root.sockets, "who listens on the host"))
        return
    public = [(door, address) for door in doors(host) for address in _public_addresses(host, door)]
    if not public:
        yield NotApplicable("no public IPv4 address leads to the host")
        return
    for door, address in public[:1]:
        open_ = list(_open(host, door, address))
        if open_:
            yield _fault(host, door, open_)


def _public_addresses(host: Host, door: Door) -> list[IpAddress]:
    link = host.root.link(door.device)
    found = (each.address.ip for each in (link.addresses if link else ()))
    return [address for address in found if address.version == 4 and address.is_global]


def _open(host: Host, door: Door, address: IpAddress) -> Iterator[Socket]:
    listeners = Listeners(host.root.sockets)
    for protocol, port in _PORTS:
        for socket in listeners.on(protocol, port):
            way = to_host(host, door, protocol, address, port, door.anybody)
            if reaches(socket, address) and way.truth is Truth.YES:
                yield socket
                break


def _fault(host: Host, door: Door, open_: list[Socket]) -> Fault:
    names = [f"{socket.port}/{socket.protocol}" for socket in open_]
    return Fault(
        message=f"anybody outside reaches ports of swarm on `{door.device}`: {', '.join(names)}",
        subjects=(Subject("host", host.name), *(Subject("port", name) for name in names)),
        evidence=(
            *(Evidence(socket.span, "swarm listens here") for socket in open_),
            related(door.span, f"{door.device} leads outside"),
        ),
        remedy=tuple(
            sh("iptables -I INPUT -i {} ! -s {}", door.device, door.network)
            + f" -p {protocol} -m multiport --dports {','.join(str(s.port) for s in open_ if s.protocol == protocol)}"
            + " -j DROP"
            for protocol in dict.fromkeys(socket.protocol for socket in open_)
        ),
        verify=("iptables -L INPUT -v -n -x",),
    )
