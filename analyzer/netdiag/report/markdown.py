"""The report as Markdown (CommonMark with GitHub's tables), for an issue or a wiki.

Names come from a bundle: whatever Markdown or HTML would act on is escaped, and text in code is fenced by more
backticks than it holds.
"""

import re
from collections.abc import Iterable, Iterator

from netdiag.finding import Confidence, Evidence, Finding, Outcome, Verdict
from netdiag.report._asking import to_run
from netdiag.report.terminal import collected_when, count_words
from netdiag.report.visible import excerpt, shorten, visible
from netdiag.results import Analysis

# What acts within a line. What acts only at the beginning of one (`-`, `+`, `1.`) never gets there: our own words do.
_ACTIVE = re.compile(r"([\\`*_\[\]<>#|~&@!])")
_CODE = re.compile(r"`([^`]+)`")
_MOST_LINES = 12
_LONGEST_COMMAND = 100


def render(analysis: Analysis, *, pedantic: bool) -> str:
    """The whole report."""
    bundle = analysis.bundle
    name = bundle.host or bundle.name
    lines = [
        f"# {prose(f'Network of {name}')}",
        "",
        prose(count_words(analysis, analysis.shown(pedantic=pedantic))),
        "",
    ]
    if bundle.collected_at:
        lines += [f"Bundle {code(bundle.name)}{prose(collected_when(bundle.collected_at))}.", ""]
    for finding in analysis.shown_new(pedantic=pedantic):
        lines += _finding(finding)
    lines += _set_aside(analysis, pedantic=pedantic)
    lines += _unjudged(analysis)
    return "\n".join(lines).rstrip() + "\n"


def prose(text: str) -> str:
    """A sentence of ours with names of a bundle in it: what stands between backticks is code, the rest is text."""
    flat = visible(" ".join(text.split()))
    pieces = _CODE.split(flat)
    return "".join(code(piece) if number % 2 else _plain(piece) for number, piece in enumerate(pieces))


def cell(text: str) -> str:
    """A text of a bundle for a cell of a table."""
    return _plain(visible(" ".join(text.split())))


def prose_cell(text: str) -> str:
    """A sentence of ours for a cell of a table, which a bar would end even in code."""
    return re.sub(r"(?<!\\)\|", r"\|", prose(text))


def code(text: str) -> str:
    """Text as code within a line."""
    shown = visible(text)
    fence = "`" * (_longest_run(shown) + 1)
    blank = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{blank}{shown}{blank}{fence}" if shown.strip() else ""


def block(lines: Iterable[str], language: str = "") -> Iterator[str]:
    """Lines as a block of code."""
    shown = [visible(line) for line in lines]
    fence = "`" * max(3, _longest_run("\n".join(shown)) + 1)
    yield fence + language
    yield from shown
    yield fence


def _plain(text: str) -> str:
    return _ACTIVE.sub(r"\\\1", text)


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def _finding(finding: Finding) -> Iterator[str]:
    yield f"## {finding.severity.value}: {prose(finding.message)}"
    yield ""
    about = f"Check {code(finding.check)}"
    if finding.confidence is not Confidence.HIGH:
        about += f", confidence {finding.confidence.value}"
    yield f"{about}. {prose(finding.why)}".rstrip()
    yield ""
    for item in dict.fromkeys(finding.evidence):
        yield from _evidence(item)
    for name, commands in (("Repair", finding.remedy), ("Verify", finding.verify)):
        if commands:
            yield f"{name}:"
            yield ""
            yield from block(commands, "sh")
            yield ""


def _evidence(evidence: Evidence) -> Iterator[str]:
    span = evidence.span
    shown = shorten(span.source.command, _LONGEST_COMMAND, "…")
    command = f" ({code(f'$ {shown}')})" if shown else ""
    label = f": {prose(evidence.label)}" if evidence.label else ""
    yield f"{code(f'{span.source.path}:{span.line}')}{command}{label}"
    yield ""
    lines = excerpt(span).split("\n")
    more = [f"… {len(lines) - _MOST_LINES} lines more"] if len(lines) > _MOST_LINES else []
    yield from block([*lines[:_MOST_LINES], *more])
    yield ""


def _set_aside(analysis: Analysis, *, pedantic: bool) -> Iterator[str]:
    """Findings that are known already, and those that somebody decided not to act on."""
    known = analysis.shown_known(pedantic=pedantic)
    if known:
        yield from ("## Known already", "")
        yield from (f"- {finding.severity.value}: {prose(finding.message)}" for finding in known)
        yield ""
    if analysis.suppressed:
        yield from ("## Suppressed", "", "| finding | until | why |", "|---|---|---|")
        for each in analysis.suppressed:
            what = f"{each.finding.severity.value}: {each.finding.message}"
            yield f"| {prose_cell(what)} | {each.until} | {cell(each.reason)} |"
        yield ""


def _unjudged(analysis: Analysis) -> list[str]:
    open_ = [
        o for o in analysis.outcomes if o.reason and o.verdict in (Verdict.UNKNOWN, Verdict.FINDING, Verdict.CRASHED)
    ]
    lines = []
    if open_:
        lines += ["## Not judged", "", "| check | outcome | why |", "|---|---|---|"]
        lines += [f"| {cell(o.check)} | {_verdict(o)} | {prose_cell(o.reason)} |" for o in open_]
    if asked := to_run(analysis):
        lines += ["", "Please also run:", "", *block(asked, "sh")]
    return lines


def _verdict(outcome: Outcome) -> str:
    words = {Verdict.FINDING: "judged in part", Verdict.CRASHED: "crashed"}
    return words.get(outcome.verdict, outcome.verdict.value)
