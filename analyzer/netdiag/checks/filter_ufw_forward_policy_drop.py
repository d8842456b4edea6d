"""ufw drops what the engine, told not to manage iptables, does not let pass.

## What it finds
A host with ufw on which the engine runs with `iptables: false`, and on which the packets of its networks are dropped in
FORWARD.

## Why it matters
`iptables: false` is often set so that ufw decides about published ports. But then nobody writes the rules that
containers need: ufw's policy for routed packets is DROP (`DEFAULT_FORWARD_POLICY`), so containers reach nothing
outside.

## How it is decided
Gates: the engine is in this namespace and was told not to manage iptables; the filter table was collected and has ufw's
chains (`ufw-before-forward`); containers run on bridge networks. Their connections to the outside and the answers are
sent through all chains on their way. It is a fault when a policy or a rule of ufw drops them for sure.

## Not a problem when
Rules of ufw (`ufw route allow`) let the networks pass. The engine manages iptables: its rules come before ufw's.

## Repair
Let the engine manage iptables again and restrict ports in DOCKER-USER, as ufw-docker does; or allow each network in
ufw, and translate its addresses in `/etc/ufw/before.rules`.

## Verify
`ufw status` shows the routes, and a container reaches the outside.

## References
moby/moby#4737; ufw(8), `route allow`; github.com/chaifeng/ufw-docker.
"""

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import docker_networks, related, sh
from netdiag.checks._drops import Drop, blocked_flows, drops, fault_of
from netdiag.checks._wanted import uplink
from netdiag.finding import Severity
from netdiag.model import Host
from netdiag.model.gates import manages_iptables, table_known

_CHAIN = "ufw-before-forward"


@check(Severity.ERROR, layer="filter")
def filter_ufw_forward_policy_drop(host: Host) -> Verdicts:
    bridges, others = docker_networks(host, table_known(host, "filter"))
    yield from others
    if not bridges:
        return
    if not any(_CHAIN in table.chains for table in host.root.firewall):
        yield NotApplicable("the host has no chains of ufw")
        return
    setting = host.engine.setting("iptables")
    if setting is None or setting.value != "false":
        gate = manages_iptables(host)
        why = "the engine manages iptables, and its rules come before those of ufw"
        yield unjudged(gate) if gate.unknown else NotApplicable(gate.why or why)
        return
    in_forward = [each for each in blocked_flows(host) if each.stage.hook == "FORWARD" and not each.cases[0].incoming]
    found, doubts = drops(in_forward)
    for drop in found:
        chain, rule = drop.obstacle.chain, drop.rule
        if not drop.policy and chain.table.name == "filter" and (rule is None or rule.chain.startswith("ufw-")):
            yield _fault(host, drop)
    yield from doubts


def _fault(host: Host, drop: Drop) -> Fault:
    out = uplink(host) or "eth0"
    devices = dict.fromkeys(case.network.device for case in drop.cases)
    remedy = tuple(sh("ufw route allow in on {} out on {}", device, out) for device in devices)
    fault = fault_of(drop, remedy, ("ufw status verbose",))
    setting = host.engine.setting("iptables")
    evidence = (*fault.evidence, *([related(setting.span, "the engine leaves iptables alone")] if setting else []))
    return Fault(fault.message, fault.subjects, evidence, fault.remedy, fault.verify)
