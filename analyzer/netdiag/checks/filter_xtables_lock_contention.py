"""Something keeps the lock of iptables.

## What it finds
Commands of iptables that waited in vain for their lock, because another process held it.

## Why it matters
All commands of the legacy backend wait for one lock. The engine waits for it at every start and stop of a container, so
these take seconds or minutes, or seem to hang; a script that does not wait (`-w`) fails, and its rule is missing.

## How it is decided
The host uses the legacy backend, and the collector's log was collected. The engine's journal has a line with "xtables
contention detected", or the log has one of a listing that failed with "Another app is currently holding the xtables
lock" although it was told to wait some seconds, or of one that was ended because it did not come back (from 1.8.8 on
iptables waits without an end unless it is told how long), while iptables-save, which needs no lock, answered.

## Not a problem when
The nf_tables backend is used: it has no lock.

## Repair
End what holds the lock for long; make scripts use `iptables-restore` once in place of thousands of calls, and sets
(ipset) in place of thousands of rules.

## Verify
`iptables -L` answers at once.

## References
iptables(8), `--wait`; moby libnetwork/iptables/iptables.go (opWarnTime).
"""

import re

from netdiag.checks._base import Fault, NotApplicable, Verdicts, check, unjudged
from netdiag.checks._docker import related
from netdiag.finding import Evidence, Severity, Subject
from netdiag.formats.records import JournalLine, LogLine
from netdiag.model import Host
from netdiag.model.gates import collected
from netdiag.model.knowledge import all_of

_COMPLAINT = re.compile(
    r"holding the xtables lock|Can't lock \S*xtables\.lock|xtables contention detected"
    r"|ip6?tables(-legacy)?-\w+: killed, it did not end"
)
_MOST_SHOWN = 4
_HOLDERS = """lslocks -n -o PID,PATH | awk '$2 ~ "/xtables.lock$" { print $1 }'"""


@check(Severity.WARNING, layer="filter")
def filter_xtables_lock_contention(host: Host) -> Verdicts:
    gate = all_of(
        collected(host.root.firewall, "the rules of iptables"),
        collected(host.log, "what commands complained about during the collection"),
    )
    if not gate.yes:
        yield unjudged(gate)
        return
    lines = [line for line in (*host.log, *host.engine.journal) if _COMPLAINT.search(line.message)]
    legacy = any(table.backend in ("legacy", "") for table in host.root.firewall)
    if lines and legacy:
        yield _fault(host, lines)
    elif not legacy:
        yield NotApplicable("iptables uses nf_tables here, which has no lock")


def _fault(host: Host, lines: list[LogLine | JournalLine]) -> Fault:
    count = f"{len(lines)} commands" if len(lines) > 1 else "a command"
    rules = [rule for table in host.root.firewall for rule in table.rules()]
    return Fault(
        message=f"{count} of iptables waited in vain for the lock that another process holds",
        subjects=(Subject("host", host.name),),
        evidence=(
            *(Evidence(line.span, "the lock was held") for line in lines[:_MOST_SHOWN]),
            *(related(rule.span, f"one of {len(rules)} rules of the host") for rule in rules[:1]),
        ),
        remedy=(f"kill $({_HOLDERS})",),
        verify=(_HOLDERS, "iptables -L -n >/dev/null"),
    )
