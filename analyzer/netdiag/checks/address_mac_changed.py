"""Container's MAC address is not the one of Docker's record.

## What it finds
A running container whose interface has the recorded address and another MAC address than the recorded one.

## Why it matters
Whoever was told the old MAC address is wrong now: permanent neighbour entries, static entries of a bridge, DHCP leases
and access lists of switches. Engines up to 27 also hand the recorded one out again.

## How it is decided
Gates: the container runs in a namespace of its own that was collected, and was there before the collection began. The
endpoint's interface is the one with its address; the engine must have recorded a MAC address, which it does not for
ipvlan.

## Not a problem when
The container shall have that MAC address; then give it to the engine (`--mac-address`), so that both agree.

## Repair
Set the recorded MAC address, or restart the container.

## Verify
The interface has the MAC address of the record.

## References
moby libnetwork/osl/interface_linux.go; moby api/docs/CHANGELOG.md (v1.44, MAC address of an endpoint).
"""

from netdiag.checks._addresses import Seat, inside, seats, shown
from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import related, sh
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Link
from netdiag.model import Host


@check(Severity.WARNING, layer="address", symptom_of=("address-duplicate-mac", "address-mac-ip-mismatch"))
def address_mac_changed(host: Host) -> Verdicts:
    found, others = seats(host)
    yield from others
    for seat in found:
        recorded, link = seat.endpoint.mac, seat.link
        if recorded and link and link.mac and link.mac != recorded:
            yield _fault(host, seat, link, recorded)


def _fault(host: Host, seat: Seat, link: Link, recorded: str) -> Fault:
    container, endpoint = seat.container, seat.endpoint
    address = endpoint.address.ip if endpoint.address else None
    seen = [
        related(entry.span, f"here {address} is still taken for the recorded one")
        for entry in (host.root.neighbours_at(address) if address else ())
        if entry.mac == recorded
    ][:1]
    return Fault(
        message=(
            f"`{link.name}` of container `{container.name}` has MAC address {link.mac}, "
            f"not {recorded} that the engine gave it on network `{endpoint.network}`"
        ),
        subjects=(seat.subject, Subject("interface", link.name), Subject("network", endpoint.network)),
        evidence=(
            Evidence(link.span, f"this interface has {link.mac}"),
            related(endpoint.place.at("MacAddress").span, "the MAC address of the record"),
            *seen,
        ),
        remedy=(inside(container, sh("ip link set dev {} address {}", link.name, recorded)),),
        verify=(inside(container, sh("ip link show dev {}", link.name)), shown(container)),
    )
