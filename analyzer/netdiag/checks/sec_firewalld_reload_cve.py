"""Rules of Docker that a reload of firewalld takes away for good (CVE-2025-54388, CVE-2025-54410).

## What it finds
A Docker Engine of a version that does not program all its rules again after `firewall-cmd --reload`, on a host that
runs firewalld.

## Why it matters
After the reload published ports and names work, so that nobody notices. But what kept containers of different networks
apart (25.0.12 and older, 26, 27), or neighbours from loopback ports and from the containers' own addresses (28.2.0 to
28.3.2), is gone until Docker is restarted.

## How it is decided
The version of Docker is in one of the ranges, it manages iptables, and firewalld runs: its table is in the nftables
ruleset, or its chains are in iptables, or `docker info` names it. Rules that are already gone are findings of their
own. Distributions repair versions without another number, so the note is of medium confidence.

## Not a problem when
Docker is restarted after each reload; the distribution has repaired its version.

## Repair
Restart Docker after a reload of firewalld. For good: 25.0.13, 28.3.3 or newer.

## Verify
The rules of Docker are the same before and after a reload.

## References
GHSA-x4rx-4gw3-53p4 (CVE-2025-54388); GHSA-4vq8-7jfc-9cvp (CVE-2025-54410); moby/moby#50506.
"""

import re

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import related, restart
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.model import Host
from netdiag.model.gates import manages_iptables, unknown, whole
from netdiag.spans import Span

_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")

#: Chains that firewalld makes with its iptables backend.
_CHAINS = ("FORWARD_direct", "FORWARD_IN_ZONES", "INPUT_ZONES")


@check(Severity.NOTE, layer="security")
def sec_firewalld_reload_cve(host: Host) -> Verdicts:
    version = host.engine.version
    if host.engine.absent:
        yield NotApplicable(host.engine.absent)
        return
    found = _VERSION.match(version.version) if version else None
    if version is None or found is None:
        yield unjudged(unknown("the version of Docker", "docker_version"))
        return
    managed = manages_iptables(host)
    if not managed.yes:
        yield NotApplicable(managed.why) if managed.no else unjudged(managed)
        return
    firewalld = _firewalld(host)
    if firewalld is None:
        if host.root.nftables.whole and host.root.firewall.whole:
            yield NotApplicable("the host does not run firewalld")
        else:
            yield unjudged(whole(host.root.nftables, "whether the host runs firewalld"))
        return
    flaw = _flaw(tuple(int(part or 0) for part in found.groups()))
    if not flaw:
        return
    yield Fault(
        message=f"Docker {version.version} does not restore all its rules after a reload of firewalld ({flaw})",
        subjects=(Subject("host", host.name),),
        evidence=(Evidence(version.span, "a version with the flaw"), related(firewalld, "firewalld runs")),
        remedy=restart(host),
        verify=("iptables-save",),
        confidence=Confidence.MEDIUM,
    )


def _flaw(number: tuple[int, ...]) -> str:
    if (28, 2, 0) <= number <= (28, 3, 2):
        return "CVE-2025-54388"
    return "CVE-2025-54410" if number < (25, 0, 13) or (26, 0, 0) <= number < (28, 0, 0) else ""


def _firewalld(host: Host) -> Span | None:
    """Where the bundle shows that firewalld runs."""
    info = host.engine.info
    if info and info.firewall_driver and info.firewall_driver.endswith("+firewalld"):
        return info.span
    for table in host.root.nftables:
        if table.name == "firewalld":
            return table.head.span
    for tables in host.root.firewall:
        for chain in _CHAINS:
            if chain in tables.chains:
                return tables.chains[chain].head.span
    return None
