"""Per-interface forwarding=0 on uplink or bridge.

## What it finds
A Docker bridge or an uplink that does not forward what comes in by it, on a host that forwards.

## Why it matters
`net.ipv4.ip_forward` still reads 1 and `docker info` warns of nothing, but no packet that comes in by this interface
passes: with the bridge's setting off, its containers reach nothing outside; with the uplink's off, no answer and no
client gets in. Other interfaces work, which makes it look like a fault of one network.

## How it is decided
Gates: the engine is here; the network is a bridge that is meant to reach outside. The setting
`net.ipv4.conf.<interface>.forwarding` of each such bridge and of each uplink (the links of the default routes) decides.
When `net.ipv4.ip_forward` itself is 0, sysctl-ip-forward-off says so instead.

## Not a problem when
The interface is in no container's path: loopback, a management network, the bridge of an internal network.

## Repair
Switch it on, and look in /etc/sysctl.d and in the network manager's configuration (`IPForward=`, `IPv4Forwarding=` of
systemd-networkd) for what switches it off.

## Verify
The setting reads 1.

## References
kernel Documentation/networking/ip-sysctl.rst; systemd.network(5); systemd/systemd#468.
"""

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check
from netdiag.checks._docker import BridgeNetwork, bridge_networks, outward_networks, related, sh
from netdiag.checks._sysctl import interface_key, number, settings_known
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Sysctl
from netdiag.model import Host
from netdiag.model.gates import uplinks


@check(Severity.ERROR, layer="sysctl")
def sysctl_if_forwarding_off(host: Host) -> Verdicts:
    outward, others = outward_networks(bridge_networks(host, settings_known(host, "which interfaces forward")))
    yield from others
    if not outward:
        return
    if number(host.root.sysctl("net.ipv4.ip_forward")) == 0:
        yield NotApplicable("the host forwards nothing at all (net.ipv4.ip_forward = 0)")
        return
    off = {bridge.device: setting for bridge in outward if (setting := _off(host, bridge.device))}
    if off:
        yield _bridges_fault([bridge for bridge in outward if bridge.device in off], off)
    for uplink in sorted(uplinks(host)):
        setting = _off(host, uplink)
        if setting and uplink not in off:
            yield _uplink_fault(host, uplink, setting)


def _off(host: Host, device: str) -> Sysctl | None:
    setting = host.root.sysctl(interface_key(device, "forwarding"))
    return setting if number(setting) == 0 else None


def _bridges_fault(bridges: list[BridgeNetwork], off: dict[str, Sysctl]) -> Fault:
    names = ", ".join(f"`{bridge.network.name}`" for bridge in bridges)
    keys = [off[bridge.device].key for bridge in bridges]
    return Fault(
        message=f"the host forwards nothing that comes from the containers of {names}",
        subjects=(
            *(subject for bridge in bridges for subject in bridge.subjects),
            *(Subject("sysctl", key) for key in keys),
        ),
        evidence=(
            *(Evidence(off[bridge.device].span, f"forwarding is off on {bridge.device}") for bridge in bridges),
            *(related(bridge.network.span, "this network uses it") for bridge in bridges[:3]),
        ),
        remedy=tuple(_switch_on(key) for key in keys),
        verify=tuple(sh("sysctl {}", key) for key in keys),
    )


def _uplink_fault(host: Host, uplink: str, setting: Sysctl) -> Fault:
    link = host.root.link(uplink)
    return Fault(
        message=f"the host forwards nothing that comes in by its uplink `{uplink}`",
        subjects=(Subject("interface", uplink), Subject("sysctl", setting.key)),
        evidence=(
            Evidence(setting.span, f"forwarding is off on {uplink}"),
            *((related(link.span, "the default route leads here"),) if link else ()),
        ),
        remedy=(_switch_on(setting.key),),
        verify=(sh("sysctl {}", setting.key),),
    )


def _switch_on(key: str) -> str:
    return sh("sysctl -w {}=1", key)
