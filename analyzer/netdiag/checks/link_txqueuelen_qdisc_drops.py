"""qdisc drops on uplink/bridge/veth.

## What it finds
A queueing discipline that drops packets on the way of containers, or one that is made for tests (netem): on a link that
leads outside, a Docker bridge, a container's veth, or an interface inside a container.

## Why it matters
Packets are lost or late before they leave: throughput has a ceiling, and connections stall under load. The fault looks
like one of the network and is one of the host.

## How it is decided
Gates: the container runs and has a namespace of its own; the network is a local bridge; the queues were collected with
their counters (`tc -s qdisc`). The discipline at the root of a device counts when it has dropped at least 10 packets
and more than 1 % of what it was given since it was made. `netem` counts with or without drops: it loses, delays or
doubles packets on purpose.

## Not a problem when
`noqueue` is right for veths and bridges. `fq_codel` drops a few packets of those that fill a link: that is how senders
learn to slow down.

## Repair
Delete the discipline; the device gets the default one back. Look for what made it: a tool that tests failures (pumba,
comcast, toxiproxy), a bandwidth plug-in, a script.

## Verify
`tc -s qdisc` shows the default discipline, and its count of drops stands still.

## References
tc(8); tc-netem(8); tc-tbf(8); kernel Documentation/networking/statistics.rst.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.checks._veths import ContainerPort, container_ports, in_namespace
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Link, Qdisc
from netdiag.model import Facts, Host, Namespace
from netdiag.model.gates import collected, uplinks

_FOR_TESTS = "netem"
_LEAST_DROPS = 10
_PERCENT = 100


@dataclass(frozen=True)
class _Device:
    """A link on the way of containers. `port` is the veth's when it belongs to a container, `inside` when the link is
    its inner end.
    """

    link: Link
    what: str
    port: ContainerPort | None = None
    inside: bool = False

    def subjects(self) -> tuple[Subject, ...]:
        owner = (Subject("container", self.port.container),) if self.port else ()
        return (Subject("interface", self.link.name), *owner)

    def command(self, text: str) -> str:
        return in_namespace(self.port.attachment.container, text) if self.port and self.inside else text


@check(Severity.WARNING, layer="link")
def link_txqueuelen_qdisc_drops(host: Host) -> Verdicts:
    ports, others = container_ports(host)
    yield from others
    if not ports:
        return
    gate = collected(host.root.qdiscs, "the queues of the host's links")
    if not gate.yes:
        yield unjudged(gate)
        return
    roots = _roots(host.root)
    for device in _devices(host, ports):
        found = roots.get(device.link.name)
        if found and _loses(found):
            yield _fault(device, found)
    for port in ports:
        netns = host.namespace_of(port.attachment.container)
        gate = collected(netns.qdiscs if netns else Facts(), f"the queues in container {port.container}")
        if not gate.yes or netns is None:
            yield unjudged(gate)
            continue
        inner = _roots(netns).get(port.inner.name)
        if inner and _loses(inner):
            what = f"an interface of container `{port.container}`"
            yield _fault(_Device(port.inner, what, port, inside=True), inner)


def _roots(netns: Namespace) -> dict[str, Qdisc]:
    """The discipline at the root of each device."""
    return {each.device: each for each in netns.qdiscs if each.device and each.parent == "root"}


def _devices(host: Host, ports: list[ContainerPort]) -> Iterator[_Device]:
    names = [*sorted(uplinks(host)), *dict.fromkeys(port.bridge for port in ports)]
    for name in names:
        link = host.root.link(name)
        if link:
            yield _Device(link, "a way out of the host" if name in uplinks(host) else "a bridge of containers")
    for port in ports:
        yield _Device(port.outer, f"the veth of container `{port.container}`", port)


def _loses(qdisc: Qdisc) -> bool:
    if qdisc.kind == _FOR_TESTS:
        return True
    dropped = qdisc.dropped or 0
    given = (qdisc.sent_packets or 0) + dropped
    return qdisc.kind != "noqueue" and dropped >= _LEAST_DROPS and dropped * _PERCENT > given


def _fault(device: _Device, qdisc: Qdisc) -> Fault:
    dropped = qdisc.dropped or 0
    given = (qdisc.sent_packets or 0) + dropped
    lost = f"has dropped {dropped} of {given} packets" if dropped else "is made to lose or delay packets"
    setting = f"{qdisc.kind} {qdisc.options}".strip()
    lines = qdisc.span.source.span_of_lines(qdisc.span.line, min(qdisc.span.line + 1, len(qdisc.span.source.lines)))
    evidence = [Evidence(lines if dropped else qdisc.span, f"the queue of {device.link.name}")]
    evidence.append(related(device.link.span, device.what.replace("`", "")))
    if device.port:
        evidence.append(related(device.port.attachment.endpoint.span, f"on network {device.port.network}"))
    return Fault(
        message=f"the queue of `{device.link.name}`, {device.what}, {lost} ({setting})",
        subjects=device.subjects(),
        evidence=tuple(evidence),
        remedy=(device.command(sh("tc qdisc del dev {} root", device.link.name)),),
        verify=(device.command(sh("tc -s qdisc show dev {}", device.link.name)),),
    )
