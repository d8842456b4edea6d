"""IPv6 address is unusable because somebody else has it.

## What it finds
An address of the host or of a container that the kernel marked `dadfailed`: when it was added, another machine on the
link answered for it.

## Why it matters
The kernel does not use the address at all: whoever listens on it is not reached, and the other owner gets the packets.

## How it is decided
Gates: the addresses of the host were collected. The mark of `ip address` decides, in the host's namespace and in each
that was collected. Addresses that are only `tentative` are not judged: the kernel is still asking, or the link has no
carrier.

## Not a problem when
The address is not used; link-local addresses that repeat (a copied MAC address) show as `address-duplicate-mac`.

## Repair
Take the address away from one of the two: delete it where it failed.

## Verify
No address is marked `dadfailed`.

## References
RFC 4862, section 5.4; man ip-address(8).
"""

from collections import defaultdict
from collections.abc import Mapping

from netdiag.checks._addresses import inside, seats
from netdiag.checks._base import Fault, Unjudged, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Address, IpAddress, Link
from netdiag.model import Host, Namespace
from netdiag.model.gates import unknown
from netdiag.spans import Span


@check(Severity.ERROR, layer="ipv6", symptom_of=("address-duplicate-mac",))
def ipv6_dad_failed(host: Host) -> Verdicts:
    if not host.root.addresses_known:
        yield unjudged(unknown("the addresses of the host", "ip_addr"))
        return
    yield from (each for each in seats(host)[1] if isinstance(each, Unjudged))
    failed = [
        (netns, link, address)
        for netns in host.namespaces
        for link in netns.links
        for address in link.addresses
        if "dadfailed" in address.flags
    ]
    owners = _owners(host, {address.address.ip for _, _, address in failed if not address.address.ip.is_link_local})
    for netns, link, address in failed:
        yield _fault(host, netns, link, address, owners[address.address.ip])


def _fault(host: Host, netns: Namespace, link: Link, address: Address, owners: list[tuple[str, Span]]) -> Fault:
    container = next((found for each in netns.containers if (found := host.container(each))), None)
    where = f"container `{container.name}`" if container else "the host" if netns is host.root else f"`{netns.name}`"
    command = sh("ip addr del {} dev {}", address.address, link.name)
    shown = sh("ip -6 addr show dev {}", link.name)
    return Fault(
        message=f"{address.address} on `{link.name}` of {where} is not used: somebody else on the link has it",
        subjects=(
            Subject("address", str(address.address.ip)),
            *((Subject("container", container.name),) if container else (Subject("interface", link.name),)),
        ),
        evidence=(
            Evidence(address.span, "the kernel's own check found another owner"),
            *(related(span, f"{name} has the address") for name, span in owners),
        ),
        remedy=(inside(container, command) if container else command,) if container or netns is host.root else (),
        verify=(inside(container, shown) if container else shown,),
    )


def _owners(host: Host, wanted: set[IpAddress]) -> Mapping[IpAddress, list[tuple[str, Span]]]:
    """Who has these addresses and may use them, as far as the bundle shows."""
    found: dict[IpAddress, list[tuple[str, Span]]] = defaultdict(list)
    for netns in host.namespaces if wanted else ():
        for link in netns.links:
            for address in link.addresses:
                if address.address.ip in wanted and "dadfailed" not in address.flags:
                    found[address.address.ip].append((netns.name, address.span))
    return found
