"""userland-proxy disabled but bridge port lacks hairpin_mode.

## What it finds
A running container with published ports, on a host without the userland proxy, whose port of the bridge does not send
frames back where they came from.

## Why it matters
The container cannot reach its own published port by the host's address: DNAT, which br_netfilter lets the bridge itself
do, leads the frame back to the port that it came in by, and the bridge drops it there. Everybody else reaches it.

## How it is decided
Gates: the userland proxy is off, by the daemon's settings or by the rule that the engine programs without it; the
container runs, has a namespace of its own and publishes a port over IPv4 on an address that it can reach; the network
is a local bridge that translates addresses; frames on it meet the firewall (`net.bridge.bridge-nf-call-iptables`, or
the bridge's own setting); the settings of the bridge's ports were collected (`bridge -d link`, or `ip -d link`). The
word `hairpin off` decides.

## Not a problem when
The userland proxy is on: then the container's own connections go through the proxy, and `hairpin off` is right. The
network routes instead of translating (gateway mode routed). Frames on the bridge do not meet the firewall: then the
host translates the packet, and sends it to the container as any other. The port is published on the loopback address
only. The container is podman's, which never sets the mode.

## Repair
Switch hairpin mode on. The engine does that when it connects a container, so a veth that somebody put back on its
bridge by hand lacks it, and so does every container that ran on with live-restore while the proxy was switched off.

## Verify
`bridge -d link` shows `hairpin on`, and the container reaches its own published port.

## References
moby libnetwork/drivers/bridge setHairpinMode; bridge(8).
"""

from netdiag.checks._base import Fault, NotApplicable, Unjudged, Verdicts, check, unjudged
from netdiag.checks._docker import related, sh
from netdiag.checks._veths import WithoutHairpin, container_ports, without_hairpin
from netdiag.finding import Evidence, Severity
from netdiag.model import Host
from netdiag.model.gates import uses_proxy


@check(Severity.ERROR, layer="bridge", symptom_of=("bundle-live-restore-drift",))
def bridge_hairpin_missing(host: Host) -> Verdicts:
    if host.engine.absent:
        yield NotApplicable(host.engine.absent)
        return
    ports, others = container_ports(host)
    proxy = uses_proxy(host)
    if proxy.yes:
        yield NotApplicable("the userland proxy is on")
        return
    yield from others
    for each in without_hairpin(host, ports):
        if isinstance(each, Unjudged):
            yield each
        else:
            yield _fault(each) if proxy.no else unjudged(proxy)


def _fault(found: WithoutHairpin) -> Fault:
    port, published, veth = found.port, found.published, found.port.outer.name
    return Fault(
        message=f"container `{port.container}` cannot reach its own published ports: `{veth}` is set to `hairpin off`",
        subjects=port.subjects,
        evidence=(
            Evidence(found.span, "the bridge sends nothing back through this port"),
            related(published.span, f"published as {published.host_port}/{published.protocol}"),
            related(port.inner.span, f"its other end, in container {port.container}"),
            *([related(found.setting, "the bridge itself translates the frame")] if found.setting else []),
        ),
        remedy=(sh("bridge link set dev {} hairpin on", veth),),
        verify=(sh("bridge -d link show dev {}", veth),),
    )
