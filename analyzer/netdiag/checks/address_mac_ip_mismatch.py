"""Endpoint's MAC address stands for another IPv4 address than its own.

## What it finds
An endpoint whose MAC address begins with 02:42 and goes on with the four bytes of an IPv4 address that is not the
endpoint's.

## Why it matters
Engines up to 27 make the MAC address of an endpoint out of its IPv4 address. When the two differ, Docker's record was
put together from two different times or networks: another container may get the same MAC address, and neighbours may
still hold the old pair.

## How it is decided
Gates: the engine's rule dialect is that of Docker up to 27 (by its version, or by rules that only those versions
write); the container runs; the network is a local bridge; no MAC address was asked for (`Config.MacAddress` is empty).
Confidence is medium when the bundle does not tell whether a MAC address was asked for, or from Docker 25 on, where it
can be asked for per network without a trace in the inspect output.

## Not a problem when
The user set the MAC address (`--mac-address`), or the engine is 28 or newer, which draws MAC addresses at random.
Docker 25.0.0 to 25.0.3 kept the old MAC address when a container got another IPv4 address.

## Repair
Restart the container: the engine then makes its endpoints anew and derives their MAC addresses.

## Verify
The MAC address in `docker inspect` ends with the bytes of the IPv4 address.

## References
moby libnetwork/netutils/utils.go GenerateMACFromIP; moby v28.0.0 drivers/bridge/bridge_linux.go (GenerateRandomMAC).
"""

import re
from ipaddress import IPv4Address

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import Attachment, attachments, docker_networks, related, sh
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import Container
from netdiag.model import Host
from netdiag.model.gates import unknown

_DERIVED = re.compile(r"02:42:([0-9a-f]{2}):([0-9a-f]{2}):([0-9a-f]{2}):([0-9a-f]{2})")
_FIRST_WITH_MAC_PER_NETWORK = 25


@check(Severity.WARNING, layer="address")
def address_mac_ip_mismatch(host: Host) -> Verdicts:
    dialect = host.engine.dialect
    if host.engine.absent:
        yield NotApplicable(host.engine.absent)
        return
    if dialect is None:
        yield unjudged(unknown("whether this engine derives MAC addresses", "docker_version"))
        return
    if not dialect.derives_macs:
        yield NotApplicable(f"Docker {dialect.value} does not derive MAC addresses from IPv4 addresses")
        return
    bridges, others = docker_networks(host)
    yield from others
    attached = [each for each in attachments(host, bridges) if each.endpoint.address and each.endpoint.mac]
    if not attached and not others:
        yield NotApplicable("no running container is on a bridge network")
    for attachment in attached:
        yield from _judge(host, attachment)


def _judge(host: Host, attachment: Attachment) -> Verdicts:
    container, endpoint = attachment.container, attachment.endpoint
    if container.set_mac or endpoint.address is None or endpoint.mac is None:
        return
    stands_for = _address_in(endpoint.mac)
    if stands_for == endpoint.address.ip:
        return
    if stands_for is None and not _surely_not_set(host, container):
        yield unjudged(
            unknown(f"whether a MAC address was asked for, for container {container.name}", "docker_inspect")
        )
        return
    yield _fault(host, attachment, endpoint.address.ip, stands_for)


def _address_in(mac: str) -> IPv4Address | None:
    """The IPv4 address that a derived MAC address stands for."""
    match = _DERIVED.fullmatch(mac)
    return IPv4Address(bytes(int(byte, 16) for byte in match.groups())) if match else None


def _fault(host: Host, attachment: Attachment, address: IPv4Address, stands_for: IPv4Address | None) -> Fault:
    container, endpoint, network = attachment.container, attachment.endpoint, attachment.endpoint.network
    meaning = f"stands for {stands_for}" if stands_for else "is not derived from an IPv4 address"
    proof = host.engine.dialect_proof
    return Fault(
        message=(
            f"the MAC address {endpoint.mac} of container `{container.name}` on network `{network}` {meaning}, "
            f"not for {address}"
        ),
        subjects=(Subject("container", container.name), Subject("network", network)),
        evidence=(
            Evidence(endpoint.place.at("MacAddress").span, meaning),
            related(endpoint.place.at("IPAddress").span, "the endpoint's own address"),
            *((related(proof, "only an engine up to 27 does this; it derives MAC addresses"),) if proof else ()),
        ),
        remedy=(sh("docker restart {}", container.name),),
        verify=(sh("docker inspect -f '{{{{json .NetworkSettings.Networks}}}}' {}", container.name),),
        confidence=_confidence(host, attachment),
    )


def _confidence(host: Host, attachment: Attachment) -> Confidence:
    return Confidence.HIGH if _surely_not_set(host, attachment.container) else Confidence.MEDIUM


def _surely_not_set(host: Host, container: Container) -> bool:
    """No MAC address was asked for: from 25 on it may have been for one network, which `docker inspect` does not
    tell.
    """
    major = (host.engine.version.version if host.engine.version else "").partition(".")[0]
    per_network = not major.isdecimal() or int(major) >= _FIRST_WITH_MAC_PER_NETWORK
    return container.set_mac == "" and not per_network
