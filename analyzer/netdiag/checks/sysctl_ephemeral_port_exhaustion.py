"""Ephemeral/SNAT port range exhausted or too small.

## What it finds
A container, or the host, that has nearly all ports in use which the kernel gives to its outgoing connections to one
server; and one address for which source NAT has nearly no port left.

## Why it matters
The next connection to that server fails at once ("Cannot assign requested address"), or its first packet is dropped
where the host translates it. Connections that were closed keep their port for a minute or two.

## How it is decided
The TCP connections that the host tracks (`conntrack -L`, the collector's option --conntrack) are counted for each
source, server and port. A container's, and the host's own, are weighed against the range `net.ipv4.ip_local_port_range`
of its own namespace less `ip_local_reserved_ports`; those to which MASQUERADE or SNAT gave an address of the host
against the 64512 ports from 1024 on, of which the kernel takes one. At 80 of 100 it is a warning. It is an error when
the open ones alone are 99 of 100; those in TIME_WAIT for more than 60 s have no socket any more and do not count, and
while younger ones make it up the confidence is medium, because the other side may have closed them. Those that were
silent for longer than the container runs are another one's that had its address. While the host tracks fewer
connections in all (`nf_conntrack_count`) than 80 of 100 of the smallest range, no list is needed to know that nothing
is exhausted.

## Not a problem when
The connections go to many servers: a port can be used for each of them again. A rule that leaves source NAT few ports
(`--to-ports`) is found by conntrack-insert-failed.

## Repair
Widen the range: for a container with `docker run --sysctl`, for the host with sysctl. Better: let the program keep its
connections open. For source NAT, add addresses.

## Verify
`conntrack -L` counts fewer connections than the range has ports.

## References
kernel Documentation/networking/ip-sysctl.rst (ip_local_port_range, ip_local_reserved_ports); kernel
net/netfilter/nf_nat_core.c (nf_nat_l4proto_unique_tuple).
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.checks._listeners import entrance
from netdiag.checks._sysctl import number, range_of, ranges_in
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import ConntrackEntry, Container, IpAddress, Sysctl
from netdiag.model import Host, Namespace
from netdiag.model.gates import has_own_namespace, is_running, unknown, whole
from netdiag.model.knowledge import all_of

_RANGE, _RESERVED = "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports"
_COUNT, _TIME_WAIT = "net.netfilter.nf_conntrack_count", "net.netfilter.nf_conntrack_tcp_timeout_time_wait"
_ESTABLISHED = "net.netfilter.nf_conntrack_tcp_timeout_established"
_DEFAULT_RANGE, _WIDE_RANGE = (32768, 60999), (10240, 65535)

#: What source NAT chooses from for a connection whose port was 1024 or more.
_PORTS_OF_NAT = 65536 - 1024

_NEARLY, _ALL = 0.8, 0.99
_SECONDS_OF_SOCKET = 60  # TCP_TIMEWAIT_LEN of the kernel
_SECONDS_TRACKED = 120  # nf_conntrack_tcp_timeout_time_wait, unless set
_SECONDS_IDLE = 432000  # nf_conntrack_tcp_timeout_established, unless set
_SECONDS_TO_LIST = 60  # between the beginning of a collection and the list of connections, at most

_MOST_NAMED = 6
_CLOSED = frozenset({"TIME_WAIT", "CLOSE"})


@dataclass(frozen=True)
class _Source:
    """Who opens connections from an address: a container, or the host when that is None."""

    netns: Namespace
    container: Container | None = None


@dataclass(frozen=True)
class _Use:
    """From which address to which server ports are taken; `translated` when by source NAT."""

    source: IpAddress
    server: IpAddress
    port: int | None
    translated: bool = False


@check(Severity.WARNING, layer="port")
def sysctl_ephemeral_port_exhaustion(host: Host) -> Verdicts:
    sources = _sources(host)
    ports = {address: _size(source.netns) for address, source in sources.items()}
    known = [size for size in ports.values() if size is not None]
    if not known:
        yield unjudged(unknown("which ports the kernel hands out", "sysctl", because=host.root.sysctls.why))
        return
    if host.root.sysctls.whole and not host.root.sysctl("net.netfilter.nf_conntrack_max"):
        yield NotApplicable("the kernel does not track connections here")
        return
    others = _not_known(host)
    if others:
        yield unjudged(unknown(f"which ports the kernel hands out in {', '.join(others[:_MOST_NAMED])}", "sysctl"))
    tracked = number(host.root.sysctl(_COUNT))
    if tracked is not None and tracked < _NEARLY * min(known):
        return
    gate = whole(host.root.connections, "how many connections go to one server")
    if gate.unknown:
        yield unjudged(gate)
        return
    open_ones, closing, examples = _counted(host, sources)
    for use, example in examples.items():
        source = sources.get(use.source)
        size = _PORTS_OF_NAT if use.translated else ports.get(use.source)
        if source and size and open_ones[use] + closing[use] >= _NEARLY * size:
            yield _fault(use, source, (open_ones[use], closing[use], size), example)


def _sources(host: Host) -> Mapping[IpAddress, _Source]:
    found: dict[IpAddress, _Source] = {}
    for container in host.containers:
        netns = host.namespace_of(container)
        if netns and netns is not host.root:
            found.update(dict.fromkeys(host.addresses_of(container), _Source(netns, container)))
    for address in host.root.ground.local or ():
        found.setdefault(address, _Source(host.root))
    return found


def _not_known(host: Host) -> list[str]:
    """The running containers of whose namespaces the bundle does not tell which ports are handed out."""
    running = [each for each in host.containers if all_of(is_running(each), has_own_namespace(each)).yes]
    return [each.name for each in running if not (netns := host.namespace_of(each)) or _size(netns) is None]


def _size(netns: Namespace) -> int | None:
    """How many ports the kernel hands out in a namespace."""
    limits, reserved = range_of(netns.sysctl(_RANGE)), netns.sysctl(_RESERVED)
    if limits is None:
        return None
    first, last = limits
    spared = ((max(low, first), min(high, last)) for low, high in ranges_in(reserved.value if reserved else ""))
    return max(1, last - first + 1 - sum(max(0, high - low + 1) for low, high in spared))


def _counted(
    host: Host, sources: Mapping[IpAddress, _Source]
) -> tuple[Counter[_Use], Counter[_Use], Mapping[_Use, ConntrackEntry]]:
    """The open and the closing connections of each use, and one of them."""
    open_ones: Counter[_Use] = Counter()
    closing: Counter[_Use] = Counter()
    examples: dict[_Use, ConntrackEntry] = {}
    tracked = host.root.sysctl
    oldest = (number(tracked(_TIME_WAIT)) or _SECONDS_TRACKED) - _SECONDS_OF_SOCKET
    longest = number(tracked(_ESTABLISHED)) or _SECONDS_IDLE
    for entry in host.root.connections:
        if entry.protocol != "tcp" or entry.timeout is None:
            continue
        closed = entry.state in _CLOSED
        source = sources.get(entry.original.source)
        age = _age(host, source)
        if entry.timeout < oldest if closed else age is not None and longest - entry.timeout > age + _SECONDS_TO_LIST:
            continue
        for use in _uses(entry, source):
            (closing if closed else open_ones)[use] += 1
            examples.setdefault(use, entry)
    return open_ones, closing, examples


def _age(host: Host, source: _Source | None) -> float | None:
    """How long ago a container was started, in seconds. What was silent for longer is another one's that had its
    address: such connections stay in the list for days.
    """
    started = source.container.started if source and source.container else None
    return (host.collected_from - started).total_seconds() if started and host.collected_from else None


def _uses(entry: ConntrackEntry, source: _Source | None) -> Iterator[_Use]:
    """The uses of a port that the kernel chose: one that a program asked for itself takes none of the range."""
    original, reply = entry.original, entry.reply
    limits = range_of(source.netns.sysctl(_RANGE)) if source else None
    if limits and original.source_port is not None and limits[0] <= original.source_port <= limits[1]:
        yield _Use(original.source, original.destination, original.destination_port)
    if reply.destination != original.source:
        yield _Use(reply.destination, reply.source, reply.source_port, translated=True)


def _fault(use: _Use, source: _Source, counts: tuple[int, int, int], example: ConntrackEntry) -> Fault:
    open_ones, closing, size = counts
    server = f"{use.server} port {use.port}"
    setting = None if use.translated else source.netns.sysctl(_RANGE)
    whose = f"container `{source.container.name}`" if source.container else "the host"
    if use.translated:
        whose = f"source NAT to {use.source}"
    return Fault(
        message=f"{whose} has {open_ones + closing} of {size} ports in use for connections to {server}",
        subjects=(
            Subject("container", source.container.name) if source.container else Subject("address", str(use.source)),
            *((Subject("sysctl", _RANGE),) if setting else ()),
        ),
        evidence=(
            Evidence(example.span, f"one of {open_ones} open and {closing} closing connections to {server}"),
            *((related(setting.span, f"the kernel hands out {size} ports"),) if setting else ()),
        ),
        remedy=_remedy(use, source, setting),
        verify=(sh("conntrack -L -p tcp -s {} -d {} --dport {} | wc -l", use.source, use.server, use.port or 0),),
        severity=Severity.ERROR if open_ones >= _ALL * size else Severity.WARNING,
        confidence=Confidence.HIGH if open_ones >= _NEARLY * size else Confidence.MEDIUM,
    )


def _remedy(use: _Use, source: _Source, setting: Sysctl | None) -> tuple[str, ...]:
    """A wider range now; a container loses it when it is started again."""
    if use.translated:
        return (sh("conntrack -L -p tcp -q {} | sort | uniq -c", use.source),)
    first, last = range_of(setting) or _DEFAULT_RANGE
    wide = _DEFAULT_RANGE if last - first < _DEFAULT_RANGE[1] - _DEFAULT_RANGE[0] else _WIDE_RANGE
    value = sh("sysctl -w {}", f"{_RANGE}={wide[0]} {wide[1]}")
    return (sh("nsenter --net={} ", entrance(source.container)) + value if source.container else value,)
