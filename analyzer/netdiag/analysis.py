"""The whole line: open the bundle, read each source, build the host, run the checks. Newcomers start here."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeAlias

from netdiag import checks, formats
from netdiag.bundle import Bundle, Limits, open_bundle
from netdiag.errors import BundleRefused
from netdiag.formats import Document
from netdiag.journeys import observations
from netdiag.model import build
from netdiag.model.traces import TRACE_FORMATS, follow_trace, read_trace, trace_format
from netdiag.results import Analysis, CheckCard, Reading, SourceCoverage
from netdiag.spans import Source, StoredSource

#: What is told of the stages of the work: the name of one, and how much there is to do in it, None when nobody knows.
#: It gives what to tell, while the stage lasts, how much more was done.
Stage: TypeAlias = Callable[[str, int | None], AbstractContextManager[Callable[[int], None]]]

#: The format of what the collector keeps for people, such as what a command of the customer printed.
_FOR_PEOPLE = "text"


def analyze(path: Path, limits: Limits | None = None) -> Analysis:
    """Analyse one bundle. Raises `BundleRefused` when it cannot be read; what else is wrong is in the result."""
    return analyze_bundle(open_bundle(path, limits or Limits(), trace_format, follow_trace))


@contextmanager
def unwatched(name: str, total: int | None) -> Iterator[Callable[[int], None]]:  # noqa: ARG001 - a `Stage`
    """A stage of which nobody is told."""
    yield lambda _: None


def analyze_bundle(bundle: Bundle, stage: Stage = unwatched) -> Analysis:
    """Analyse a bundle that is open already."""
    reading = read_bundle(bundle, stage)
    ran = checks.all_checks()
    with stage("judging", len(ran)) as judged:
        findings, outcomes = checks.run(_each(ran, judged), reading.host)
    with stage("following packets", None):
        journeys = observations(reading.host)
    return Analysis(
        bundle=bundle,
        documents=reading.documents,
        coverage=reading.coverage,
        host=reading.host,
        findings=findings,
        outcomes=outcomes,
        journeys=journeys,
        cards={each.name: _card(each) for each in ran},
    )


def _each(ran: Iterable[checks.Check], judged: Callable[[int], None]) -> Iterator[checks.Check]:
    for each in ran:
        yield each
        judged(1)


def _card(check: checks.Check) -> CheckCard:
    exceptions, decision = (check.section(heading) for heading in ("Not a problem when", "How it is decided"))
    return CheckCard(check.layer, check.title, check.why, exceptions, decision)


def read_bundle(bundle: Bundle, stage: Stage = unwatched) -> Reading:
    """Read a bundle without judging it."""
    with stage("reading", sum(map(length, bundle.sources))) as progress:
        read = [(source, _read(source, progress)) for source in bundle.sources]
    documents = tuple(document for _, document in read if document)
    coverage = tuple(_coverage(source, document) for source, document in read)
    return Reading(bundle, documents, coverage, build(bundle, documents))


def refuse_unknown(reading: Reading) -> None:
    """Raise `BundleRefused` when nothing in a bundle is an output that netdiag reads: it is something else."""
    if not any(coverage.format in formats.names() for coverage in reading.coverage):
        files = len(reading.coverage)
        told = "it is no output" if files == 1 else f"none of its {files} files is an output"
        raise BundleRefused(f"{reading.bundle.name}: {told} that netdiag reads; `netdiag formats` lists those")


def length(source: Source) -> int:
    """How much there is to read: characters of a text, bytes of a stored one."""
    return source.size if isinstance(source, StoredSource) else len(source.text)


def _read(source: Source, progress: Callable[[int], None]) -> Document | None:
    """As `read_source` does; but a trace, which may be long, becomes a table and no records."""
    name = _format_of(source)
    told = 0

    def further(done: int, _: int) -> None:
        nonlocal told
        progress(done - told)
        told = done

    document = read_trace(source, name, further) if name in TRACE_FORMATS else _read_as(source, name)
    further(length(source), length(source))
    return document


def read_source(source: Source) -> Document | None:
    """The source as its format reads it, None when netdiag has no grammar for it, or it is kept for people only."""
    return _read_as(source, _format_of(source))


def _read_as(source: Source, name: str) -> Document | None:
    return formats.get(name).read(source) if name else None


def _format_of(source: Source) -> str:
    """The name of the format that the source is in, empty when netdiag has none."""
    if source.format:
        return source.format if source.format in formats.names() else ""
    found = formats.recognise(source)
    return found.name if found else ""


def _coverage(source: Source, document: Document | None) -> SourceCoverage:
    if document is None:
        skipped = f"unknown format {source.format}" if source.format else "no format recognises this text"
        if source.format == _FOR_PEOPLE:
            skipped = "kept for people: netdiag does not read it"
        return SourceCoverage(source.path, source.command, source.format, len(source.lines), 0, (), skipped, (), source)
    unread = tuple((entry.line, entry.reason) for entry in document.unread)
    return SourceCoverage(
        source.path, source.command, document.format, document.lines, document.read, unread, "", document.notes, source
    )
