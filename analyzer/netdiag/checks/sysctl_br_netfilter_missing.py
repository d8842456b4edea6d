"""br_netfilter not loadable but required.

## What it finds
A host without the kernel module br_netfilter that has a network with `enable_icc=false`, or that publishes ports
without the userland proxy.

## Why it matters
Frames between containers of one network never meet the firewall: what shall keep them apart does not, and without the
userland proxy the published port of a neighbour does not answer. From Docker 27.4 on the engine refuses to make such a
network or to start (`cannot restrict inter-container communication or run without the userland proxy`), so the next
restart leaves it down.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace; the network is a local bridge; all settings of the host were
collected, and none of them begins with `net.bridge.`, which only the module makes.

## Not a problem when
Every network lets its containers talk and the userland proxy is on.

## Repair
Load the module, and have it loaded at every start. Where the kernel does not have it, install one that does. The
variable DOCKER_IGNORE_BR_NETFILTER_ERROR=1 of the daemon only hides the error.

## Verify
The settings are there, and read 1 once the engine was restarted.

## References
moby/moby#48948; moby/moby#52294; moby/moby#41913; moby/moby#50635.
"""

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check
from netdiag.checks._bridge_netfilter import Needing, module_loaded, needing_netfilter
from netdiag.checks._docker import docker_networks, related
from netdiag.checks._sysctl import settings_known
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.model import Host, Truth
from netdiag.model.gates import manages_iptables
from netdiag.spans import Span

_LOAD = ("modprobe br_netfilter", "echo br_netfilter >/etc/modules-load.d/br_netfilter.conf")


@check(Severity.ERROR, layer="sysctl")
def sysctl_br_netfilter_missing(host: Host) -> Verdicts:
    known = settings_known(host, "whether br_netfilter is loaded")
    bridges, others = docker_networks(host, manages_iptables(host), known)
    yield from others
    if not bridges:
        return
    needing = list(needing_netfilter(host, bridges))
    if not needing:
        yield NotApplicable("no network keeps its containers apart, and the userland proxy is on")
    elif module_loaded(host) is Truth.NO:
        yield _fault(host, needing)


def _fault(host: Host, needing: list[Needing]) -> Fault:
    return Fault(
        message="br_netfilter is not loaded, so " + "; ".join(each.consequence for each in needing),
        subjects=(Subject("host", host.name), *(subject for each in needing for subject in each.bridge.subjects)),
        evidence=(
            Evidence(needing[0].reason, needing[0].label),
            *(related(each.reason, each.label) for each in needing[1:4]),
            *(related(line, "the settings of the host go by net.bridge without any") for line in _neighbours(host)),
        ),
        remedy=(*_LOAD, "sysctl -w net.bridge.bridge-nf-call-iptables=1"),
        verify=("sysctl net.bridge",),
        confidence=Confidence.HIGH,
    )


def _neighbours(host: Host) -> list[Span]:
    """Where the settings of br_netfilter would stand in the sorted list."""
    for setting in host.root.sysctls:
        if setting.key > "net.bridge.":
            return [setting.span]
    return []
