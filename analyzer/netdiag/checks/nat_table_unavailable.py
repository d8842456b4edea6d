"""nat/raw/filter table cannot be used (missing kernel module, incompatible).

## What it finds
A table of iptables that the kernel refuses, so that the engine cannot program its rules; or one that the command
`iptables` refuses to show because `nft` has put rules there that it does not know.

## Why it matters
Without the nat table no container with a network or a published port starts. Of a table with foreign rules,
iptables-save prints nothing: scripts that save and restore the rules lose all of the engine's, and whoever looks for
them finds none.

## How it is decided
Two kinds of evidence. The error of a container that did not start, or of the command that lists the rules, says that a
table does not exist, or that an extension is missing in the kernel: an error. The listing says that a table is
incompatible: a warning; the rules that iptables did not write are those of `nft list ruleset` without a counter, for it
always writes one.

## Not a problem when
The collector did not run as root (`Permission denied`); a chain is missing (`No chain/target/match by that name`),
which other checks explain.

## Repair
Load the module, or reboot into the kernel whose modules are installed (an update without a reboot leaves the running
kernel without its own). Docker 28.0.2 and later do without the raw table when DOCKER_INSECURE_NO_IPTABLES_RAW=1 is set.
Put foreign rules into a table of their own.

## Verify
`iptables -t nat -S` lists the rules, and the container starts.

## References
docker/for-linux#1521; moby/moby#16816; moby rawRulesDisabled(); xtables-nft(8); iptables(8) (can't initialize iptables
table).
"""

import re
from collections.abc import Iterator

from netdiag.checks._base import Fault, NotApplicable, Unjudged, Verdicts, check, unjudged
from netdiag.checks._docker import deletion, related, sh
from netdiag.finding import Confidence, Evidence, Severity, Subject
from netdiag.formats.records import Container, NftMatch, NftRule
from netdiag.model import Host
from netdiag.model.gates import engine_is_here, table_known
from netdiag.model.knowledge import all_of

#: What iptables says of a kernel that lacks something; a table is named where one is.
_LACKING = (
    re.compile(r"can't initialize ip6?tables table [`'\"](?P<table>\w+)['\"]"),
    re.compile(r"Table [`'\"]?(?P<table>\w+)['\"]? does not exist|Table does not exist \(do you need to insmod"),
    re.compile(r"Extension (?P<extension>[\w-]+) revision \d+ not supported, missing kernel module"),
    re.compile(r"Could not fetch rule set generation id: (?!Permission denied)|RULE_APPEND failed"),
)
_INCOMPATIBLE = re.compile(r"[Tt]able [`'\"](?P<table>\w+)['\"] is incompatible")
_MODULES = {"filter": "iptable_filter", "nat": "iptable_nat", "raw": "iptable_raw", "mangle": "iptable_mangle"}


@check(Severity.ERROR, layer="nat")
def nat_table_unavailable(host: Host) -> Verdicts:
    gate = engine_is_here(host)
    if gate.no:
        yield NotApplicable(gate.why)
        return
    refused = list(_refused(host))
    yield from refused
    why = host.root.firewall.why
    lacking, incompatible = _lacking(why), sorted({found["table"] for found in _INCOMPATIBLE.finditer(why)})
    if lacking and not refused:
        yield from _by_listing(host, lacking)
    for table in incompatible:
        yield from _incompatible(host, table)
    known = all_of(table_known(host, "nat"), table_known(host, "filter"))
    if not known.yes and not (refused or lacking or incompatible):
        yield unjudged(known)


def _lacking(text: str) -> re.Match[str] | None:
    return next((found for pattern in _LACKING if (found := pattern.search(text))), None)


def _what(found: re.Match[str]) -> str:
    """What the kernel lacks."""
    groups = found.groupdict()
    if groups.get("table"):
        return f"the table {groups['table']}"
    return f"the extension {groups['extension']}" if groups.get("extension") else "a table or an extension"


def _remedy(found: re.Match[str]) -> tuple[str, ...]:
    groups = found.groupdict()
    module = _MODULES.get(groups.get("table") or "nat", "iptable_nat")
    if groups.get("extension"):
        module = "ip_set" if groups["extension"] == "set" else f"xt_{groups['extension']}"
    return (sh("modprobe {}", module), "ls -d /lib/modules/$(uname -r)", "systemctl restart docker")


def _refused(host: Host) -> Iterator[Fault]:
    """The containers that did not start because of it, in one finding for what is lacking."""
    by_cause: dict[str, list[tuple[Container, re.Match[str]]]] = {}
    for container in host.containers:
        found = _lacking(container.error or "")
        if found and container.engine == "docker":
            by_cause.setdefault(_what(found), []).append((container, found))
    for what, hit in by_cause.items():
        names = ", ".join(f"`{container.name}`" for container, _ in hit[:4])
        more = f" and {len(hit) - 4} more" if len(hit) > 4 else ""
        yield Fault(
            message=f"the kernel lacks {what} that Docker's rules need, so {names}{more} did not start",
            subjects=(*(Subject("container", container.name) for container, _ in hit), Subject("host", host.name)),
            evidence=tuple(
                Evidence((container.error_place or container.place).span, f"why {container.name} did not start")
                for container, _ in hit[:4]
            ),
            remedy=_remedy(hit[0][1]),
            verify=("iptables -t nat -S", "lsmod"),
        )


def _by_listing(host: Host, found: re.Match[str]) -> Verdicts:
    needs = next((network for network in host.networks if network.driver == "bridge"), None)
    if needs is None:
        return
    yield Fault(
        message=f"the kernel lacks {_what(found)} that Docker's rules need: {found.string}",
        subjects=(Subject("host", host.name),),
        evidence=(Evidence(needs.span, f"network {needs.name} needs rules, and iptables cannot list any"),),
        remedy=_remedy(found),
        verify=("iptables -t nat -S", "lsmod"),
        confidence=Confidence.MEDIUM,
    )


def _incompatible(host: Host, table: str) -> Verdicts:
    """A table that iptables does not show, by the rules that it did not write."""
    native = next((each for each in host.root.nftables if (each.family, each.name) == ("ip", table)), None)
    foreign = [rule for chain in native.chains.values() for rule in chain.rules if _is_foreign(rule)] if native else []
    if not foreign:
        yield Unjudged(
            f"which rules make table {table} incompatible with iptables",
            ask=("nft -a list ruleset",),
            missing=("nft-ruleset",),
        )
        return
    yield Fault(
        message=f"iptables refuses to show table {table}, because nft has put rules of its own there",
        subjects=tuple(Subject("rule", f"{rule.table} {rule.chain} {rule.position}") for rule in foreign),
        evidence=(
            Evidence(foreign[0].span, "this rule is none of iptables"),
            *(related(rule.span, "nor is this") for rule in foreign[1:4]),
        ),
        remedy=tuple(deletion(rule) for rule in foreign),
        verify=(f"iptables -t {table} -S",),
        severity=Severity.WARNING,
        affects=tuple(dict.fromkeys(Subject("chain", f"{rule.table} {rule.chain}") for rule in foreign)),
    )


def _is_foreign(rule: NftRule) -> bool:
    return not any(not isinstance(each, NftMatch) and each.name == "counter" for each in rule.statements)
