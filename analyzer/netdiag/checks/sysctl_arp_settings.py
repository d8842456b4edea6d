"""arp_ignore/arp_announce/arp_filter changed globally.

## What it finds
An interface that does not answer ARP requests for its own address (`arp_ignore` 8): a Docker bridge, an uplink, or the
interface of a container.

## Why it matters
Nobody learns the MAC address of the gateway, so containers reach neither the host nor anything behind it; on an uplink,
the host itself cannot be reached; in a container, nobody reaches it. What is in the neighbours' caches goes on working
for some minutes.

## How it is decided
Gates: the engine is here and has a local bridge network. The kernel takes the greater of `net.ipv4.conf.all.arp_ignore`
and the interface's own. Of its values only 8 refuses every request: 1 and 2 still answer for an address of the
interface that was asked, and 4 to 7 are reserved and mean nothing.

## Not a problem when
The value is 1 or 2, or 8 on loopback alone, as load balancers with direct return want it. Inside swarm's load balancers
the engine sets 1.

## Repair
Set it back to 0 and find who sets it (tuning for LVS).

## Verify
The setting reads 0, and the containers resolve the gateway: `ip neigh` shows its MAC address.

## References
kernel Documentation/networking/ip-sysctl.rst (arp_ignore); net/ipv4/arp.c (arp_ignore).
"""

from collections import defaultdict
from collections.abc import Iterator

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import BridgeNetwork, attachments, bridge_networks, related, sh
from netdiag.checks._namespaces import entering
from netdiag.checks._sysctl import greater, number, settings_known
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Address, Neighbour, Sysctl
from netdiag.model import Host, Namespace
from netdiag.model.gates import uplinks

_ANSWERS_NOTHING = 8
_UNRESOLVED = ("FAILED", "INCOMPLETE")


@check(Severity.ERROR, layer="sysctl")
def sysctl_arp_settings(host: Host) -> Verdicts:
    bridges, others = bridge_networks(host, settings_known(host, "which interfaces answer ARP requests"))
    yield from others
    if not bridges:
        return
    silent: dict[Sysctl, list[Subject]] = defaultdict(list)
    for bridge in bridges:
        if setting := _refusal(host.root, bridge.device):
            silent[setting] += bridge.subjects
    for uplink in sorted(uplinks(host)):
        if setting := _refusal(host.root, uplink):
            silent[setting].append(Subject("interface", uplink))
    for setting, subjects in silent.items():
        yield _fault(setting, subjects, _unanswered(host, bridges), "")
    yield from _of_containers(host, bridges)


def _refusal(netns: Namespace, device: str) -> Sysctl | None:
    """The setting that keeps an interface from answering."""
    setting = greater(netns, device, "arp_ignore")
    return setting if number(setting) == _ANSWERS_NOTHING else None


def _of_containers(host: Host, bridges: list[BridgeNetwork]) -> Iterator[Fault]:
    for attachment in attachments(host, bridges):
        netns = host.namespace_of(attachment.container)
        inner = netns.link_of(attachment.endpoint) if netns else None
        setting = _refusal(netns, inner.name) if netns and inner else None
        if netns and setting:
            yield _fault(setting, [Subject("container", attachment.container.name)], [], entering(host, netns))


def _fault(setting: Sysctl, subjects: list[Subject], unanswered: list[Neighbour], enter: str) -> Fault:
    names = ", ".join(f"`{subject.name}`" for subject in subjects if subject.kind != "network")
    return Fault(
        message=f"no ARP request is answered on {names}: arp_ignore is {setting.value.strip()}",
        subjects=(Subject("sysctl", setting.key), *subjects),
        evidence=(
            Evidence(setting.span, "ARP requests for the interface's own address are ignored"),
            *(related(entry.span, f"{entry.address} was asked for and did not answer") for entry in unanswered[:3]),
        ),
        remedy=(enter + sh("sysctl -w {}=0", setting.key),),
        verify=(enter + sh("sysctl {}", setting.key),),
    )


def _unanswered(host: Host, bridges: list[BridgeNetwork]) -> list[Neighbour]:
    """The gateways that containers could not resolve."""
    gateways = {address.address.ip for bridge in bridges for address in _addresses(host.root, bridge.device)}
    inside = (netns for netns in host.namespaces if netns is not host.root)
    return [
        entry
        for netns in inside
        for entry in netns.neighbours
        if entry.state in _UNRESOLVED and entry.address in gateways
    ]


def _addresses(netns: Namespace, device: str) -> tuple[Address, ...]:
    link = netns.link(device)
    return link.addresses if link else ()
