"""What the bundle lacks although the host may have it: outputs that failed, were cut off or could not be asked for.

What the collector leaves out because there is nothing of the kind (a module that is not loaded, a file that does not
exist, an engine that is not installed) is no gap. Nor is an output that a program or a kernel of this age does not
have, and one that only says once more what another output says.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from netdiag.bundle import Bundle
from netdiag.formats import Document
from netdiag.formats.records import LogLine
from netdiag.model.movement import is_extra_look
from netdiag.spans import Source, Span


class Hindrance(Enum):
    """What kept the collector from an output."""

    RIGHTS = "rights"  #: it did not run as root, or not with all that root may do
    NO_TOOL = "no tool"
    SLOW = "slow"  #: the command did not end in its time
    LATE = "late"  #: the time of the whole run was over, or somebody interrupted it
    TOO_LARGE = "too large"
    NO_ROOM = "no room"  #: on the disk where the bundle was made
    FAILED = "failed"
    NOT_SEEN = "not seen"  #: what it was to look at is not visible from where it ran


#: The collector's reasons, and the complaints of commands that may not do what they were asked.
_REASONS = (
    (Hindrance.RIGHTS, re.compile(r"root\b|CAP_|[Pp]ermission denied|not permitted|cannot be read|must be root")),
    (Hindrance.LATE, re.compile(r"interrupted|time limit of the whole run")),
    (Hindrance.SLOW, re.compile(r"did not (?:answer|end) within|timed out")),
    (Hindrance.TOO_LARGE, re.compile(r"\btruncated")),
    (Hindrance.NO_ROOM, re.compile(r"are free where the bundle is made")),
    (Hindrance.NOT_SEEN, re.compile(r"not to be seen")),
    (Hindrance.FAILED, re.compile(r"could not be taken|did not tell what there is|exit code|killed by signal")),
)
_EXIT_CODE = re.compile(r"exit code \d+")
_NO_TOOL = re.compile(r"(\S+) is not installed \(not found in PATH\)")

#: What programs say of something that they or their kernel do not have (IPv6 that the kernel was started without), and
#: of what was gone when its turn came (a container that ended, the settings of its interface): what is not there is not
#: missing.
_NOTHING_THERE = re.compile(
    r"is unknown, try|(?:invalid|unknown|unrecognized) (?:option|argument|command)|not supported|need to insmod"
    r"|[Nn]o such (?:object|container|network|process)|cannot open \S+: No such file|reassociate to namespace"
    r"|/proc/sys/net/\S+: No such file"
)

#: Tools without which a part of the host stays dark; others only say the same in another way.
_TOOLS = frozenset({"ip", "ss", "nsenter", "sysctl", "bridge"})

#: What each output tells that no other one does, what most hangs on first. Left out are those that say the same in
#: another way, and those whose commands also fail when there is nothing to print (`ps -C`, networkctl without systemd).
_TELLS: Mapping[str, str] = {
    **dict.fromkeys(("docker_info", "docker_version", "podman_info", "podman_version"), "the engine and its version"),
    **dict.fromkeys(("docker_inspect", "podman_inspect"), "containers"),
    **dict.fromkeys(("docker_network_inspect", "podman_network_inspect"), "networks"),
    **dict.fromkeys(("daemon_json", "dockerd_cmdline"), "settings of the engine"),
    "iptables_save": "firewall rules and address translation",
    "nft_ruleset": "nftables rules",
    "ip_addr": "interfaces and addresses",
    "ip_route": "routes",
    "ip_rule": "policy routing",
    "ip_neigh": "neighbours",
    "bridge_link": "ports of bridges",
    "bridge_fdb": "forwarding tables of bridges",
    "ss": "who listens",
    "sysctl": "kernel settings",
    "resolv_conf": "name servers",
    "hosts": "names in /etc/hosts",
    "ebtables": "firewall rules of bridges",
    "ipset": "sets of addresses that rules name",
    "conntrack": "tracked connections",
    "conntrack_stats": "counters of connection tracking",
    "tc_qdisc": "queues",
    "nstat": "counters of the network stack",
    "dmesg": "messages of the kernel",
    **dict.fromkeys(("perf_script", "trace_cmd_report"), "traced packets"),
}
_WEIGHT = {told: number for number, told in enumerate(dict.fromkeys(_TELLS.values()))}


@dataclass(frozen=True)
class Gap:
    """An output of a scope that is missing or not whole: what it would tell, what was in the way and in whose words,
    the command that failed, and the line that shows it, where there is one. `tool` is the program that is not
    installed.
    """

    scope: str
    artifact: str
    tells: str
    hindrance: Hindrance
    reason: str
    command: str = ""
    tool: str = ""
    span: Span | None = None


def gaps(bundle: Bundle, documents: Sequence[Document]) -> tuple[Gap, ...]:
    """All gaps of a bundle that the collector made, none of another."""
    if bundle.manifest is None:
        return ()
    log = {
        record.message.partition(": ")[0]: record
        for document in documents
        for record in document.records
        if isinstance(record, LogLine)
    }
    return tuple(sorted(_found(bundle, log), key=lambda gap: (_WEIGHT[gap.tells], gap.artifact, gap.scope)))


def _found(bundle: Bundle, log: Mapping[str, LogLine]) -> Iterator[Gap]:
    podman_answers = any(source.scope == "podman" for source in bundle.sources)
    with_netstat = {source.scope for source in bundle.sources if source.format == "netstat" and not source.trouble}
    for left in bundle.not_collected:
        tool = _NO_TOOL.search(left.reason)
        if left.format not in _TELLS or is_extra_look(left.scope) or (tool and tool[1] not in _TOOLS):
            continue
        if left.scope == "podman" and not podman_answers:
            continue  # whether it is there at all was not found out
        if left.format == "ss" and left.scope in with_netstat:
            continue  # which says the same
        hindrance = Hindrance.NO_TOOL if tool else _hindrance(left.reason)
        if hindrance:
            line = log.get(f"{left.scope} {left.artifact}")
            yield Gap(
                left.scope,
                left.artifact,
                _TELLS[left.format],
                hindrance,
                left.reason,
                tool=tool[1] if tool else "",
                span=line.span if line else None,
            )
    for source in bundle.sources:
        if source.trouble and source.format in _TELLS and not is_extra_look(source.scope):
            yield from _of_source(source, log.get(f"{source.scope} {source.artifact}"))


def _of_source(source: Source, line: LogLine | None) -> Iterator[Gap]:
    """An output that is not whole; the line of the log has the complaint of its command. A command that printed its
    answer and did not complain has told all that it could: sysctl of procps 4 ends with 1 when it may not read one key.
    """
    reason = max(source.trouble, line.message.partition(": ")[2] if line else "", key=len)
    hindrance = _hindrance(reason)
    without_complaint = bool(_EXIT_CODE.fullmatch(reason)) and bool(source.lines)
    if hindrance is None or without_complaint or (hindrance is Hindrance.FAILED and _NOTHING_THERE.search(reason)):
        return
    span = line.span if line else source.span(1) if source.lines else None
    yield Gap(source.scope, source.artifact, _TELLS[source.format], hindrance, reason, source.command, span=span)


def _hindrance(reason: str) -> Hindrance | None:
    return next((hindrance for hindrance, pattern in _REASONS if pattern.search(reason)), None)
