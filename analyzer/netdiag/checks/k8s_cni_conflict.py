"""Rules of Kubernetes or of a network plug-in come before the engine's and the administrator's.

## What it finds
Chains of kube-proxy, Calico, Cilium, Weave, kube-router or Flannel that FORWARD leads to before DOCKER-USER.

## Why it matters
They accept or drop by marks and by rules of a cluster, so packets of Docker's containers may be decided before
DOCKER-USER and the engine's own rules see them. On a node that runs both, this is where odd drops and ineffective rules
in DOCKER-USER come from.

## How it is decided
Gates: the engine manages the IPv4 rules of this namespace; the filter table was collected. Chains are known by the
first letters of their names (`KUBE-`, `cali-`, `CILIUM_`, `WEAVE-`, `FLANNEL-`). It is a note when a rule of FORWARD
that leads to one stands before the jump to DOCKER-USER. What those rules drop of the flows that should pass is for
filter-user-drop-before-docker.

## Not a problem when
Nothing is amiss as long as both work: this note only explains.

## Repair
Put the jump to DOCKER-USER first; the plug-in may put its own first again.

## Verify
FORWARD begins with the jump to DOCKER-USER.

## References
moby/moby#32168; canonical/microk8s#267; docs.tigera.io (ChainInsertMode).
"""

from netdiag.checks._base import Fault, Verdicts, check
from netdiag.checks._docker import docker_networks, related
from netdiag.checks._drops import USER_CHAIN
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import Rule
from netdiag.model import FirewallTable, Host
from netdiag.model.gates import manages_iptables, table_known

_OWNERS = {
    "KUBE-": "Kubernetes",
    "cali-": "Calico",
    "CILIUM_": "Cilium",
    "WEAVE-": "Weave",
    "FLANNEL-": "Flannel",
}


@check(Severity.NOTE, layer="filter")
def k8s_cni_conflict(host: Host) -> Verdicts:
    bridges, others = docker_networks(host, table_known(host, "filter"), manages_iptables(host))
    yield from others
    if not bridges:
        return
    for table in host.root.tables("filter"):
        before = _before_user_chain(table)
        if before:
            yield _note(table, before)
            return


def _before_user_chain(table: FirewallTable) -> list[Rule]:
    rules = table.chains["FORWARD"].rules if "FORWARD" in table.chains else ()
    jump = next((rule.position for rule in rules if rule.target == USER_CHAIN), None)
    if jump is None:
        return []
    return [rule for rule in rules if rule.position < jump and _owner(rule.target or "")]


def _owner(chain: str) -> str:
    return next((owner for prefix, owner in _OWNERS.items() if chain.startswith(prefix)), "")


def _note(table: FirewallTable, before: list[Rule]) -> Fault:
    owners = " and ".join(dict.fromkeys(_owner(rule.target or "") for rule in before))
    jump = next(rule for rule in table.chains["FORWARD"].rules if rule.target == USER_CHAIN)
    chains = dict.fromkeys(rule.target or "" for rule in before)
    return Fault(
        message=f"FORWARD leads to the rules of {owners} before it leads to {USER_CHAIN}",
        subjects=(Subject("chain", "filter FORWARD"), *(Subject("chain", f"filter {name}") for name in chains)),
        evidence=(
            *(Evidence(rule.span, f"rules of {_owner(rule.target or '')} come first") for rule in before[:4]),
            related(jump.span, f"{USER_CHAIN} comes after them"),
        ),
        remedy=(f"iptables -D FORWARD -j {USER_CHAIN}", f"iptables -I FORWARD -j {USER_CHAIN}"),
        verify=("iptables -S FORWARD",),
    )
