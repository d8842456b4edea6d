"""FDB entry for a container MAC points to another port.

## What it finds
An entry of a bridge's forwarding table that leads to another port than the one behind which the container with this MAC
address is.

## Why it matters
The bridge sends the container's frames to the wrong port, and nothing reaches the container. A learned entry ages after
300 seconds without a frame; a static one stays until somebody deletes it.

## How it is decided
Gates: the container runs and has a namespace of its own; the network is a local bridge, and the veth is a port of it;
the forwarding tables were collected (`bridge fdb`). Only entries of the same bridge count (`master`), with the MAC
address that the interface in the container has. Entries that do not age (`static`, `sticky`, `permanent`,
`extern_learn`) are errors. A learned one is a warning with medium confidence, because the next frame of the container
corrects it.

## Not a problem when
The entry is the `permanent` one of the port's own MAC address, or one of a multicast address (`33:33:...`,
`01:00:5e:...`). Two containers have the same MAC address: then the entry moves between them, and the address is the
fault.

## Repair
Delete the entry; the bridge learns the right one from the container's next frame.

## Verify
`bridge fdb` shows the MAC address behind the container's veth.

## References
bridge(8); moby/moby#47211.
"""

from collections import Counter, defaultdict

from netdiag.checks._base import Fault, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.checks._veths import ContainerPort, container_ports
from netdiag.finding import Confidence, Evidence, Severity
from netdiag.formats.records import FdbEntry
from netdiag.model import Host
from netdiag.model.gates import collected

_STAYS = {"static", "sticky", "permanent", "extern_learn"}


@check(Severity.ERROR, layer="bridge", symptom_of=("bridge-l2-loop",))
def bridge_fdb_stale_static(host: Host) -> Verdicts:
    ports, others = container_ports(host)
    yield from others
    if not ports:
        return
    gate = collected(host.root.fdb, "the forwarding tables of the bridges")
    if not gate.yes:
        yield unjudged(gate)
        return
    entries: dict[tuple[str, str], list[FdbEntry]] = defaultdict(list)
    for entry in host.root.fdb:
        if entry.bridge:
            entries[entry.bridge, entry.mac].append(entry)
    holders = Counter((port.bridge, port.inner.mac) for port in ports)
    for port in ports:
        place = port.bridge, port.inner.mac or ""
        if port.enslaved and holders[place] == 1:
            for entry in entries[place]:
                if entry.device != port.outer.name:
                    yield _fault(port, entry)


def _fault(port: ContainerPort, entry: FdbEntry) -> Fault:
    words = [word for word in entry.flags if word in _STAYS]
    kind = f"a {words[0]}" if words else "a learned"
    vlan = f" vlan {entry.vlan}" if entry.vlan is not None else ""
    show = sh("bridge fdb show br {}", port.bridge) + " | grep " + sh("{}", entry.mac)
    return Fault(
        message=(
            f"{kind} entry of bridge `{port.bridge}` leads the frames for container `{port.container}` ({entry.mac}) "
            f"to `{entry.device}`, not to `{port.outer.name}`"
        ),
        subjects=(*port.subjects, port.attachment.bridge.subjects[1]),
        evidence=(
            Evidence(entry.span, f"the bridge sends frames for {entry.mac} to {entry.device}"),
            related(port.inner.span, f"the interface with this address, in container {port.container}"),
            related(port.outer.span, "the port that it is behind"),
        ),
        remedy=(sh("bridge fdb del {} dev {} master", entry.mac, entry.device) + vlan,),
        verify=(show,),
        severity=None if words else Severity.WARNING,
        confidence=Confidence.HIGH if words else Confidence.MEDIUM,
    )
