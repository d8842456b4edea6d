"""What to run so that the open questions of an analysis can be answered: one block that can be pasted into a shell."""

import re
from collections import Counter
from collections.abc import Iterable

from netdiag.finding import Outcome, Verdict
from netdiag.results import Analysis

#: More commands than these of one kind are counted only: a host may have a thousand containers.
_MOST = 30

_COLLECTOR = re.compile(
    r"(?P<sudo>sudo )?python3 netdiag_collect\.py(?P<options>(?: --?[a-z-]+(?: [^\s-]\S*)?)*)\s*(?:#.*)?"
)
_OPTION = re.compile(r"--?[a-z-]+(?: [^\s-]\S*)?")
_IN_A_CONTAINER = ("nsenter ", "docker exec ", "podman exec ")


def to_run(analysis: Analysis) -> tuple[str, ...]:
    """The lines of the block, nothing when nothing is asked for.

    First what to install, then the collector, once with every option that somebody wants, then the commands for the
    host, then those for containers: each once, those that most checks wait for first. Where the collector was not used,
    its bundle has the output of all these.
    """
    asked = _asked(analysis.outcomes)
    runs = [found for command in asked if (found := _COLLECTOR.fullmatch(command))]
    install = [command for command in asked if command.startswith("apt-get install ")]
    others = [command for command in asked if command not in install and not _COLLECTOR.fullmatch(command)]
    inside = [command for command in others if command.startswith(_IN_A_CONTAINER)]
    on_host = [command for command in others if not command.startswith(_IN_A_CONTAINER)]
    by_collector = analysis.bundle.manifest is not None
    lines = [f"{command}  # so that the collector can use it" for command in install]
    if runs or (asked and not by_collector):
        lines += ["# one file, to be sent", _joined(runs, by_root=not by_collector)]
    for where, commands in (("on the host", on_host), ("for containers, on the host", inside)):
        if commands:
            lines += [f"# {where}" if by_collector else f"# or each by itself, {where}", *commands[:_MOST]]
        if len(commands) > _MOST:
            lines.append(f"# and {len(commands) - _MOST} more like these")
    return tuple(lines)


def _asked(outcomes: Iterable[Outcome]) -> list[str]:
    """Each command that would tell what is unknown or known in part, those that most checks wait for first."""
    waiting = [each for each in outcomes if each.reason and each.verdict in (Verdict.UNKNOWN, Verdict.FINDING)]
    counts = Counter(command for outcome in waiting for command in dict.fromkeys(outcome.ask))
    return [command for command, _ in counts.most_common()]


def _joined(runs: Iterable[re.Match[str]], *, by_root: bool) -> str:
    """One run of the collector that does what several would."""
    options: dict[str, None] = {}
    for run in runs:
        by_root = by_root or bool(run["sudo"])
        options |= dict.fromkeys(_OPTION.findall(run["options"]))
    return " ".join(("sudo python3 netdiag_collect.py" if by_root else "python3 netdiag_collect.py", *options))
