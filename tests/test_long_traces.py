"""A trace that is too long to be held is reported as a short one is; here every trace is long."""

import json
import re
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netdiag.analysis import analyze_bundle, length, read_bundle
from netdiag.bundle import Bundle, Limits, open_bundle, stored
from netdiag.model.traces import TraceDocument, trace_format
from netdiag.report import render
from netdiag.results import Analysis
from netdiag.spans import StoredSource
from netdiag.traces import _reader

SAMPLES = Path(__file__).parents[1] / "samples"
JOURNEY = SAMPLES / "bundles" / "journey-docker-user.tar.gz"
TRACE = "trace/perf-script.txt"


@pytest.fixture
def every_trace_is_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "LONG", 1_000)


def opened(path: Path) -> Bundle:
    return open_bundle(path, Limits(), trace_format)


def told(analysis: Analysis) -> list[bytes]:
    return [render(analysis, name) for name in ("text", "json", "html", "sarif", "markdown")]


def unpacked(folder: Path) -> Path:
    with tarfile.open(JOURNEY) as archive:
        for member in archive:
            content = archive.extractfile(member)  # Python before 3.11.4 has no filters for extractall
            if content:
                path = folder / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.read())
    return folder


@pytest.mark.parametrize("kind", ["archive", "directory", "loose files"])
def test_reports_are_the_same(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = {"archive": lambda: JOURNEY, "directory": lambda: unpacked(tmp_path / "b")}.get(kind, loose)()
    held = told(analyze_bundle(opened(path)))
    monkeypatch.setattr(stored, "LONG", 1_000)
    bundle = opened(path)
    assert sum(isinstance(source, StoredSource) for source in bundle.sources) == (3 if kind == "loose files" else 1)
    assert told(analyze_bundle(bundle)) == held


def loose() -> Path:
    return SAMPLES / "bundles" / "seed"


@pytest.mark.usefixtures("every_trace_is_long")
def test_a_finding_cites_the_lines_of_the_trace_and_no_text_is_held() -> None:
    analysis = analyze_bundle(opened(JOURNEY))
    (document,) = [each for each in analysis.documents if each.source.path == TRACE]
    assert isinstance(document, TraceDocument)
    assert (document.source.text, document.records, analysis.bundle.problems) == ("", (), ())
    items = [item for finding in analysis.findings for item in finding.evidence]
    cited = [item.span for item in items if item.span.source.path == TRACE]
    assert cited
    assert all("kfree_skb" in span.excerpt and "NETFILTER_DROP" in span.excerpt for span in cited)


@pytest.mark.usefixtures("every_trace_is_long")
def test_unread_lines_are_counted_and_shown(tmp_path: Path) -> None:
    path = tmp_path / "trace.txt"
    lines = (SAMPLES / "formats" / "perf_trace" / "seed.txt").read_text().splitlines() * 20
    path.write_text("\n".join([*lines, "no event at all", lines[0], "nor this"]))
    (coverage,) = read_bundle(opened(path)).coverage
    assert (coverage.lines, coverage.read) == (len(lines) + 3, len(lines) + 1)
    assert [line for line, _ in coverage.unread] == [len(lines) + 1, len(lines) + 3]
    assert "no event at all" in render(analyze_bundle(opened(path)), "html").decode()


@pytest.mark.usefixtures("every_trace_is_long")
def test_of_very_many_unread_lines_the_first_are_shown_and_all_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_reader, "MOST_UNREAD", 70)
    path = tmp_path / "trace.txt"
    lines = (SAMPLES / "formats" / "perf_trace" / "seed.txt").read_text().splitlines() * 400
    path.write_text("\n".join([*lines, *(f"no event {number}" for number in range(3_000))]))
    analysis = analyze_bundle(opened(path))
    (coverage,) = analysis.coverage
    assert (coverage.lines, coverage.read, coverage.unread_count) == (len(lines) + 3_000, len(lines), 3_000)
    assert [line for line, _ in coverage.unread] == [*range(len(lines) + 1, len(lines) + 71)]
    assert '<p class="soft">50 of 3000 shown</p>' in render(analysis, "html").decode()
    text = render(analysis, "text").decode()
    assert "3000 lines unread" in text
    assert "and 2997 more" in text
    (source,) = json.loads(render(analysis, "json"))["sources"]
    assert (source["read"], source["unread"], len(source["unread_lines"])) == (len(lines), 3_000, 70)
    assert "3000 of" in render(analysis, "sarif").decode()


@pytest.mark.usefixtures("every_trace_is_long")
def test_a_page_shows_a_long_trace_cut_with_its_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trace.txt"
    path.write_text((SAMPLES / "formats" / "perf_trace" / "seed.txt").read_text() * 300)
    count = path.read_text().count("\n")
    page = render(analyze_bundle(opened(path)), "html").decode()
    (left_out,) = (int(found.replace(",", "")) for found in re.findall(r"… ([\d,]+) lines left out", page)[-1:])
    assert left_out > count // 4
    assert f"{count:,} lines" in page or f"{count} lines" in page


@pytest.mark.usefixtures("every_trace_is_long")
def test_progress_is_told_as_a_trace_is_read(tmp_path: Path) -> None:
    bundle = opened(JOURNEY)
    steps: list[int] = []

    @contextmanager
    def stage(name: str, total: int | None) -> Iterator[Callable[[int], None]]:
        assert (name, total) == ("reading", sum(map(length, bundle.sources)))
        yield steps.append

    read_bundle(bundle, stage)
    assert sum(steps) == sum(map(length, bundle.sources))
