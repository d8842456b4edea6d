"""The report for a terminal, in the shape that rustc made familiar: what, where, why, and how to repair it.

Worst first; then what could not be judged; then what of the bundle was not read, and what to run to know more; last
one line that counts and one next command.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from netdiag.finding import Confidence, Finding, Outcome, Role, Severity, Verdict
from netdiag.model import Grown, Host
from netdiag.report import journeys_text
from netdiag.report._asking import to_run
from netdiag.report.snippet import Look, draw
from netdiag.report.visible import columns, wrap
from netdiag.results import Analysis, CheckCard, SourceCoverage, Suppressed

# Notes on the bundle show the first few of each kind; the JSON and HTML reports list all.
_FEW = 3
_MOST_MOVED = 10
_SHORT_ID = 12

#: Of a check with more findings than this the first few are shown whole, and so many others with a line each.
_MOST_ALIKE, _SHOWN_OF_MANY, _MOST_IN_SHORT = 4, 2, 40

#: Of the checks that wait for one command more than this are counted, behind the first few; the other reports have all.
_MOST_WAITING, _SHOWN_WAITING = 8, 5

#: More open questions than this are shown by the command that would answer them; the other reports have each reason.
_MOST_REASONS = 12


def render(
    analysis: Analysis, *, colour: bool, width: int, unicode: bool, pedantic: bool, explain: bool = False
) -> str:
    """The whole report. `width` is in columns; commands and paths are never broken, so that they can be copied.

    With `explain` each check tells, with its first finding, how it comes to its answer and when that is no problem.
    """
    look = Look(colour=colour, width=width, unicode=unicode)
    findings = analysis.shown_new(pedantic=pedantic)
    blocks = [
        *_findings(findings, analysis.cards if explain else {}, look),
        _in_short("known already, by the baseline", analysis.shown_known(pedantic=pedantic), look),
        _suppressed(analysis.suppressed, look),
        _crashed(analysis.outcomes, look),
        _unjudged(analysis.outcomes, look),
        *_journeys(analysis, look),
        _moved(analysis, look),
        _notes(analysis, look),
        _please_run(analysis, look),
        [*_count(analysis, analysis.shown(pedantic=pedantic), look), *_next(analysis, findings, look)],
    ]
    return "\n".join("".join(f"{line}\n" for line in block) for block in blocks if block)


def describe(finding: Finding, *, colour: bool, width: int, unicode: bool) -> str:
    """One finding as `render` shows it."""
    look = Look(colour=colour, width=width, unicode=unicode)
    return "".join(f"{line}\n" for line in _finding(finding, look, with_why=True))


def _findings(findings: Sequence[Finding], cards: Mapping[str, CheckCard], look: Look) -> Iterator[list[str]]:
    """Each finding as a block. What follows from it is said once for all findings of a check that share it.

    Of a check that has many only the first few are blocks, the others a line each with the place of their proof.
    """
    said: set[tuple[str, str]] = set()
    numbers = Counter((finding.check, finding.severity) for finding in findings)
    shown: Counter[tuple[str, Severity]] = Counter()
    rest: dict[tuple[str, Severity], list[Finding]] = defaultdict(list)
    for finding in findings:
        kind = finding.check, finding.severity
        shown[kind] += 1
        if numbers[kind] > _MOST_ALIKE and shown[kind] > _SHOWN_OF_MANY:
            rest[kind].append(finding)
            if shown[kind] == numbers[kind]:
                yield _alike(rest[kind], look)
            continue
        reason = (finding.check, finding.why)
        block = list(_finding(finding, look, with_why=reason not in said))
        if finding.check not in {check for check, _ in said}:
            block += _explained(finding, cards.get(finding.check), look)
        said.add(reason)
        yield block


def _alike(findings: Sequence[Finding], look: Look) -> list[str]:
    """Further findings of one check, a line each."""
    first = findings[0]
    head = f"{first.severity.value}[{look.text(first.check)}]"
    lines = [look.paint(first.severity.value, head) + look.paint("strong", f": {len(findings)} more like these")]
    for finding in findings[:_MOST_IN_SHORT]:
        span = next(item.span for item in finding.evidence if item.role is Role.PRIMARY)
        place = look.text(f"({span.source.path}:{span.line})")
        lines += _hanging(f"{_prose(finding.message, look)} {place}", look)
    if len(findings) > _MOST_IN_SHORT:
        lines.append(f"  and {len(findings) - _MOST_IN_SHORT} more (--format json has all)")
    return lines


def _explained(finding: Finding, card: CheckCard | None, look: Look) -> Iterator[str]:
    """How a check comes to its answer, and when that is no problem."""
    margin = len(str(max(item.span.line_end for item in finding.evidence)))
    told = {"decided": card.decision, "not a problem when": card.exceptions} if card else {}
    for name, text in told.items():
        if text:
            indent = margin + len(f" = {name}: ")
            yield from _item(name, wrap(_prose(text, look), look.columns - indent), margin, look)


def _in_short(heading: str, findings: Sequence[Finding], look: Look) -> list[str]:
    """Findings with a line each."""
    lines = [line for finding in findings for line in _hanging(_title(finding, look), look)]
    return [_heading(heading, look), *lines] if lines else []


def _suppressed(suppressed: Sequence[Suppressed], look: Look) -> list[str]:
    """Findings that somebody decided not to act on, and why."""
    lines: list[str] = []
    for each in suppressed:
        lines += _hanging(_title(each.finding, look), look)
        told = f"{_prose(each.reason, look)} (until {each.until}, {look.text(each.origin)})"
        lines += [f"    {line}" for line in wrap(told, look.columns - 4)]
    return [_heading("suppressed", look), *lines] if lines else []


def _title(finding: Finding, look: Look) -> str:
    return f"{finding.severity.value}[{look.text(finding.check)}]: {_prose(finding.message, look)}"


def _finding(finding: Finding, look: Look, *, with_why: bool) -> Iterator[str]:
    severity = finding.severity.value
    head = f"{severity}[{look.text(finding.check)}]"
    first, *rest = wrap(f"{head}: {_prose(finding.message, look)}", look.columns - 2)
    yield look.paint(severity, head) + look.paint("strong", first.removeprefix(head))
    yield from (f"  {look.paint('strong', line)}" for line in rest)
    yield from draw(finding.evidence, severity, look)
    margin = len(str(max(item.span.line_end for item in finding.evidence)))
    if finding.confidence is not Confidence.HIGH:
        yield from _item("confidence", [finding.confidence.value], margin, look)
    if with_why and finding.why:
        indent = margin + len(" = why: ")
        yield from _item("why", wrap(_prose(finding.why, look), look.columns - indent), margin, look)
    yield from _item("repair", [look.text(command) for command in finding.remedy], margin, look)
    yield from _item("verify", [look.text(command) for command in finding.verify], margin, look)


def _item(name: str, lines: Sequence[str], margin: int, look: Look) -> Iterator[str]:
    head = f"{' ' * margin} = {name}: "
    for number, line in enumerate(lines):
        yield (look.paint("frame", head) if not number else " " * len(head)) + line


def _crashed(outcomes: Iterable[Outcome], look: Look) -> list[str]:
    crashed = [outcome for outcome in outcomes if outcome.verdict is Verdict.CRASHED]
    if not crashed:
        return []
    return [_heading("crashed, which is a fault of netdiag", look), *_reasons(crashed, look)]


def _unjudged(outcomes: Sequence[Outcome], look: Look) -> list[str]:
    """What is unknown and why, and what was found only in part."""
    unknown = [outcome for outcome in outcomes if outcome.verdict is Verdict.UNKNOWN]
    partly = [outcome for outcome in outcomes if outcome.verdict is Verdict.FINDING and outcome.reason]
    if len(unknown) + len(partly) > _MOST_REASONS:
        return _by_command(unknown, partly, look)
    lines: list[str] = []
    if unknown:
        lines += [_heading("could not be judged", look), *_reasons(unknown, look)]
    if partly:
        lines += [_heading("judged only in part, there may be more", look), *_reasons(partly, look)]
    return lines


def _please_run(analysis: Analysis, look: Look) -> list[str]:
    """What would tell more, as one block that can be pasted."""
    lines = to_run(analysis)
    return [_heading("please also run", look), *(f"  {look.text(line)}" for line in lines)] if lines else []


def _by_command(unknown: Sequence[Outcome], partly: Sequence[Outcome], look: Look) -> list[str]:
    """The missing outputs, those that most checks wait for first; each check stands with the first that it needs."""
    waiting: dict[str, list[str]] = {command: [] for outcome in (*unknown, *partly) for command in outcome.ask}
    for outcome in (*partly, *unknown):
        if outcome.ask:
            mark = " (in part)" if outcome in partly else ""
            waiting[outcome.ask[0]].append(look.text(outcome.check) + mark)
    lines = [_heading("could not be judged, for want of the output of", look)] if waiting else []
    for command in sorted(filter(waiting.get, waiting), key=lambda command: -len(waiting[command])):
        names = waiting[command]
        shown = ", ".join(names if len(names) <= _MOST_WAITING else names[:_SHOWN_WAITING])
        more = f" and {len(names) - _SHOWN_WAITING} more checks" if len(names) > _MOST_WAITING else ""
        lines.append(f"  {look.text(command)}")
        lines += [f"      {line}" for line in wrap(shown + more, look.columns - 6)]
    helpless = [outcome for outcome in (*unknown, *partly) if not outcome.ask]
    if helpless:
        lines += [_heading("could not be judged for other reasons", look), *_reasons(helpless, look)]
    return lines


def _reasons(outcomes: Iterable[Outcome], look: Look) -> Iterator[str]:
    """Each reason once, behind all checks that it holds for."""
    checks: dict[str, list[str]] = {}
    for outcome in outcomes:
        checks.setdefault(_prose(outcome.reason, look), []).append(look.text(outcome.check))
    for reason, names in checks.items():
        yield from _hanging(f"{', '.join(names)}: {reason}" if reason else ", ".join(names), look)


def _hanging(text: str, look: Look) -> Iterator[str]:
    first, *rest = wrap(text, look.columns - 4)
    yield f"  {first}"
    yield from (f"    {line}" for line in rest)


def _journeys(analysis: Analysis, look: Look) -> Iterator[list[str]]:
    """What each trace shows of packets, in short: `netdiag trace` tells more."""
    for observation in analysis.journeys:
        yield [*journeys_text.lines(observation, look, paths=4, drops=4, journeys=2)]


def _moved(analysis: Analysis, look: Look) -> list[str]:
    """What came, went or was lost while the bundle was being collected."""
    movement = analysis.host.movement
    if movement is None:
        return []
    losses = [grown for grown in movement.counters if grown.is_loss]
    items = [(f"{each.kind} {each.name}", each.how) for each in movement.objects]
    items += [(_of_whom(analysis.host, grown), f"{grown.counter} {grown.before} -> {grown.after}") for grown in losses]
    if not items:
        return []
    lines = [_heading(f"moved while the bundle was being collected ({movement.seconds:g} s)", look)]
    for place, text in items[:_MOST_MOVED]:
        lines += _hanging(f"{look.text(place)}: {_prose(text, look)}", look)
    return [*lines, *([f"  and {len(items) - _MOST_MOVED} more"] if len(items) > _MOST_MOVED else [])]


def _of_whom(host: Host, grown: Grown) -> str:
    netns = next((each.name for each in host.namespaces if each.id == grown.scope), grown.scope)
    return f"{netns} {grown.owner}".rstrip()


def _notes(analysis: Analysis, look: Look) -> list[str]:
    """What the reader must know of the bundle before a "clean" means something."""
    bundle = analysis.bundle
    kinds: Mapping[str, list[tuple[str, str]]] = {
        "problem in the bundle": [(problem.path, problem.message) for problem in bundle.problems],
        "output not collected": [(_artifact(n.scope, n.artifact), n.reason) for n in bundle.not_collected],
        "output incomplete": [(c.path, c.source.trouble) for c in analysis.coverage if c.source and c.source.trouble],
        "file not read": [(c.path, c.skipped) for c in analysis.coverage if c.skipped],
        "line unread": [(f"{c.path}:{line}", reason) for c in analysis.coverage for line, reason in c.unread],
        "remark": [(c.path, note) for c in analysis.coverage for note in c.notes],
    }
    counts = {"line unread": sum(c.unread_count for c in analysis.coverage)}
    lines = [
        line
        for kind, items in kinds.items()
        if items
        for line in _kind(kind, items, counts.get(kind, len(items)), look)
    ]
    return [*lines, *_taken_for(analysis.coverage, look)]


def _artifact(scope: str, artifact: str) -> str:
    where, _, netns = scope.partition(":")
    return f"{where}:{netns[:_SHORT_ID]}/{artifact}" if netns else f"{where}/{artifact}"


def _kind(kind: str, items: Sequence[tuple[str, str]], count: int, look: Look) -> Iterator[str]:
    yield _heading(_plural(count, kind), look)
    for place, text in items[:_FEW]:
        yield from _hanging(f"{look.text(place)}: {_prose(text, look)}" if text else look.text(place), look)
    if count > _FEW:
        yield f"  and {count - _FEW} more"


def _taken_for(coverage: Iterable[SourceCoverage], look: Look) -> Iterator[str]:
    """No manifest says what a loose file is: this tells what each was taken for."""
    taken = [f"{c.path} as {c.format}" for c in coverage if c.format and c.source and not c.source.artifact]
    if taken:
        yield _heading(f"{_plural(len(taken), 'file')} recognised by content", look)
        for entry in taken:
            yield from _hanging(look.text(entry), look)


def count_words(analysis: Analysis, shown: Sequence[Finding]) -> str:
    """What was found, what was not, and how much could not be told. What is known already is counted by itself."""
    unread = sum(source.unread_count for source in analysis.coverage)
    skipped = sum(bool(source.skipped) for source in analysis.coverage)
    parts = (
        (analysis.outcome_count(Verdict.UNKNOWN), "unknown"),
        (analysis.outcome_count(Verdict.NOT_APPLICABLE), "not applicable"),
        (analysis.outcome_count(Verdict.CRASHED), "crashed"),
        (unread, "line unread" if unread == 1 else "lines unread"),
        (skipped, "file not read" if skipped == 1 else "files not read"),
        (len(analysis.findings) - len(shown), "of low confidence hidden (--pedantic)"),
        (sum(finding in (analysis.known or ()) for finding in shown), "known already"),
        (len(analysis.suppressed), "suppressed"),
    )
    findings = [finding for finding in shown if finding not in (analysis.known or ())]
    found = [_plural(number, severity.value) for severity in Severity if (number := _number_of(severity, findings))]
    rest = [f"{analysis.outcome_count(Verdict.CLEAN)} clean", *(f"{number} {what}" for number, what in parts if number)]
    new = "" if analysis.known is None else "new: "
    return f"{new}{', '.join(found) or 'no findings'}; {', '.join(rest)}"


def _count(analysis: Analysis, findings: Sequence[Finding], look: Look) -> list[str]:
    """The numbers and the bundle, on one line when the width allows."""
    summary = count_words(analysis, findings)
    name = analysis.bundle.host or analysis.bundle.name
    bundle = look.text(f"(bundle {name}{collected_when(analysis.bundle.collected_at)})")
    new = [finding for finding in findings if finding not in (analysis.known or ())]
    colour = new[0].severity.value if new else "strong"
    if columns(f"{summary}  {bundle}") <= look.columns:
        return [f"{look.paint(colour, summary)}  {bundle}"]
    return [*(look.paint(colour, line) for line in wrap(summary, look.columns)), bundle]


def _number_of(severity: Severity, findings: Iterable[Finding]) -> int:
    return sum(finding.severity is severity for finding in findings)


def collected_when(collected_at: str) -> str:
    """`, 2026-03-04 12:07 UTC`; what is no ISO 8601 time is shown as it is."""
    if not collected_at:
        return ""
    try:
        return f", {datetime.fromisoformat(collected_at).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError):
        return f", {collected_at}"


def _next(analysis: Analysis, findings: Sequence[Finding], look: Look) -> list[str]:
    """The one command that helps most now."""
    unknown = [outcome.check for outcome in analysis.outcomes if outcome.verdict is Verdict.UNKNOWN]
    crashed = [outcome.check for outcome in analysis.outcomes if outcome.verdict is Verdict.CRASHED]
    if findings:
        command = f"netdiag explain {findings[0].check}"
    elif unknown and analysis.bundle.manifest is None:
        command = "netdiag collector > netdiag_collect.py"
    elif unknown or crashed:
        command = f"netdiag explain {(unknown or crashed)[0]}"
    else:
        command = "netdiag checks"
    return [f"next: {look.paint('strong', look.text(command))}"]


def _heading(text: str, look: Look) -> str:
    return look.paint("strong", f"{text}:")


def _prose(text: str, look: Look) -> str:
    """Text in which line feeds and runs of blanks mean nothing."""
    return look.text(re.sub(r"[ \t\n]+", " ", text).strip())


def _plural(number: int, noun: str) -> str:
    first, *rest = noun.split(" ")
    plural = " ".join([f"{first}s", *rest])
    return f"{number} {noun if number == 1 else plural}"
