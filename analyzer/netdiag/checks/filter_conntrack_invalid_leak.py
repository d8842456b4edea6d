"""Packets that connection tracking calls invalid are forwarded untranslated or answered with a reset.

## What it finds
A host that counts many invalid packets, and whose rules let them pass.

## Why it matters
Address translation leaves invalid packets alone. One from a container leaves the host with the container's own address;
one to a container is taken for the host's own, which knows of no such connection and resets it: large transfers through
NAT break off with "connection reset by peer".

## How it is decided
Gates: containers run on bridge networks; `conntrack -S`, the kernel's counters and its settings were collected. It is a
note when at least 1000 packets were invalid and at least one in 10000 of the packets that the host received, while
`net.netfilter.nf_conntrack_tcp_be_liberal` is 0 and an invalid packet from outside to the host, or from a container to
the outside, passes all chains on its way.

## Not a problem when
Some invalid packets are found on every host: late packets of closed connections, scans. Routes that differ on the way
back make all of a connection invalid, and then it never worked.

## Repair
Drop invalid packets, or let the kernel take packets outside of the window for good.

## Verify
No new resets; `conntrack -S` may go on counting.

## References
moby/libnetwork#1090; kubernetes/kubernetes#74839; kubernetes/kubernetes#117924; docs.kernel.org/networking
(nf_conntrack-sysctl).
"""

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check
from netdiag.checks._docker import attachments, bridge_networks, related
from netdiag.checks._wanted import address_of, own_address, uplink
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import ConntrackStatistics
from netdiag.model import Host, Truth
from netdiag.model.flow import Flow
from netdiag.model.gates import collected, table_known
from netdiag.model.hooks import passage
from netdiag.model.knowledge import all_of

_MANY, _ONE_IN = 1000, 10000
_LIBERAL = "net.netfilter.nf_conntrack_tcp_be_liberal"
_RECEIVED = "IpInReceives"


@check(Severity.NOTE, layer="conntrack")
def filter_conntrack_invalid_leak(host: Host) -> Verdicts:
    gate = all_of(
        collected(host.conntrack, "what connection tracking counted"),
        collected(host.root.counters, "the counters of the kernel"),
        collected(host.root.sysctls, "the settings of the kernel"),
    )
    bridges, others = bridge_networks(host, table_known(host, "filter"), gate)
    attached = [each for each in attachments(host, bridges) if each.endpoint.address]
    yield from others
    if not attached:
        if not others:
            yield NotApplicable("no container runs on a bridge network")
        return
    lines = [line for line in host.conntrack if line.counters.get("invalid")]
    invalid = sum(line.counters["invalid"] for line in lines)
    received = host.root.counter(_RECEIVED)
    liberal = host.root.sysctl(_LIBERAL)
    few = invalid < _MANY or (received is not None and invalid * _ONE_IN < received.value)
    if few or (liberal is not None and liberal.value.strip() != "0"):
        return
    out = uplink(host)
    own = own_address(host, out, 4)
    inner = address_of(attached[0], 4)
    to_host = Flow("tcp", out, destination=own, destination_port=50000, source_port=443, state="INVALID")
    from_container = Flow("tcp", attached[0].bridge.device, out, inner, destination_port=443, state="INVALID")
    leaks = [
        what
        for what, hook, flow in (
            ("to the host, which resets them", "INPUT", to_host),
            ("of containers to the outside, untranslated", "FORWARD", from_container),
        )
        if passage(host.root, hook, flow).truth is Truth.YES
    ]
    if leaks:
        yield _fault(host, lines, invalid, leaks)


def _fault(host: Host, lines: list[ConntrackStatistics], invalid: int, leaks: list[str]) -> Fault:
    liberal, received = host.root.sysctl(_LIBERAL), host.root.counter(_RECEIVED)
    most = max(lines, key=lambda line: line.counters["invalid"])
    return Fault(
        message=f"{invalid} invalid packets were counted, and such packets pass: {' and '.join(leaks)}",
        subjects=(Subject("sysctl", _LIBERAL),),
        evidence=(
            Evidence(most.span, f"CPU {most.cpu} counted {most.counters['invalid']} of them"),
            *([related(received.span, "of all packets that the host received")] if received else []),
            *([related(liberal.span, "packets outside of the window are invalid")] if liberal else []),
        ),
        remedy=(
            "iptables -I INPUT -m conntrack --ctstate INVALID -j DROP",
            "iptables -I DOCKER-USER -m conntrack --ctstate INVALID -j DROP",
        ),
        verify=("conntrack -S", "iptables -L DOCKER-USER -v -n -x"),
    )
