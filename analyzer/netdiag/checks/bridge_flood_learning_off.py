"""Flooding, learning or broadcasts disabled on a port.

## What it finds
A port of a Docker bridge that leads to a running container and takes no broadcasts, no frames for addresses that the
bridge has not learned, or none from addresses that it shall not learn (`locked`).

## Why it matters
With `bcast_flood off` ARP requests do not reach the container, and nobody can begin to talk to it. With `flood off` and
`learning off` no frame finds the way to its port at all. With `flood off` alone it is lost as soon as the bridge
forgets its address, 300 seconds after its last word. With `locked on` the bridge drops what the container sends.

## How it is decided
Gates: the container runs and has a namespace of its own; the network is a local bridge; the settings of the bridge's
ports were collected (`bridge -d link`, or `ip -d link`). `flood off` alone is a warning; it is right with a static
entry for the container in the forwarding table, and so is `locked on`.

## Not a problem when
The port is one of an overlay network: there the engine programs the forwarding table itself, and such bridges are not
in the host's namespace. `learning off` alone makes the bridge send the container's frames to every port, and
`neigh_suppress on` makes it answer ARP itself: both work.

## Repair
Set the port as a new one is; then keep the tool that tunes the ports of other bridges (EVPN, SDN, 802.1X) from
Docker's.

## Verify
`bridge -d link` shows the settings, and the container answers.

## References
bridge(8); kernel net/bridge/br_forward.c (br_flood) and br_input.c (br_handle_frame_finish).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import related, sh
from netdiag.checks._veths import ContainerPort, container_ports, port_of, setting_span, settings_unknown
from netdiag.finding import Evidence, Severity
from netdiag.formats.records import FdbEntry
from netdiag.model import Host
from netdiag.model.bridges import Port

_WORDS = {True: "on", False: "off"}


@check(Severity.ERROR, layer="bridge")
def bridge_flood_learning_off(host: Host) -> Verdicts:
    ports, others = container_ports(host)
    yield from others
    pinned = _pinned(host)
    for port in ports:
        if not port.enslaved:
            continue
        found = port_of(host, port.outer)
        if found is None or not found.settings_known:
            yield settings_unknown(f"whether bridge {port.bridge} floods to container {port.container}")
            continue
        changed = _changed(found)
        known_to_bridge = any(entry.mac == port.inner.mac for entry in pinned.get(port.outer.name, ()))
        severity = _severity(set(changed), known_to_bridge=known_to_bridge)
        if severity:
            yield _fault(port, found, changed, severity)


def _pinned(host: Host) -> Mapping[str, Sequence[FdbEntry]]:
    """The entries of the forwarding table that do not age, by port."""
    found = defaultdict(list)
    for entry in host.root.fdb:
        if "static" in entry.flags or "extern_learn" in entry.flags:
            found[entry.device].append(entry)
    return found


def _changed(port: Port) -> dict[str, bool]:
    """The settings of the port that are not those of a new one, and what they are set to."""
    told = {"learning": port.learning, "flood": port.flood, "bcast_flood": port.bcast_flood, "locked": port.locked}
    return {word: value for word, value in told.items() if value is not None and value is not _is_new(word)}


def _is_new(word: str) -> bool:
    """What a new port is set to."""
    return word != "locked"


def _severity(changed: set[str], *, known_to_bridge: bool) -> Severity | None:
    if "bcast_flood" in changed:
        return Severity.ERROR
    if known_to_bridge:
        return None
    if "locked" in changed or {"flood", "learning"} <= changed:
        return Severity.ERROR
    return Severity.WARNING if "flood" in changed else None


def _fault(port: ContainerPort, found: Port, changed: dict[str, bool], severity: Severity) -> Fault:
    veth = port.outer.name
    words = [f"{word} {_WORDS[value]}" for word, value in changed.items()]
    told = ", ".join(f"`{each}`" for each in words)
    usual = " ".join(f"{word} {_WORDS[not value]}" for word, value in changed.items())
    return Fault(
        message=f"the port of container `{port.container}` on bridge `{port.bridge}` is set to {told}",
        subjects=port.subjects,
        evidence=(
            *(Evidence(setting_span(found, each), "not as a new port is") for each in words),
            related(port.inner.span, f"its other end, in container {port.container}"),
        ),
        remedy=(f"{sh('bridge link set dev {}', veth)} {usual}",),
        verify=(sh("bridge -d link show dev {}", veth),),
        severity=severity,
    )
