"""Several processes that read one trace make of it what one does, whoever reads what, and whatever befalls them."""

import gc
import os
import tarfile
from itertools import count
from pathlib import Path

import pandas as pd
import pytest

from netdiag import formats
from netdiag.bundle import Limits, open_bundle
from netdiag.bundle import stored as bundle_stored
from netdiag.errors import BundleRefused
from netdiag.model.traces import trace_format
from netdiag.spans import Source, StoredSource
from netdiag.traces import TraceTable, _parallel, _reader, read_table, reading, table_of
from netdiag.traces.folded import folded

from .alike import SAMPLES, TRACES, both, cells, said, stored, text_of

PIECE = 12_000
FORMATS = ("perf_script", "perf_trace", "trace_cmd_report")


@pytest.fixture(autouse=True)
def pieces_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_parallel, "_PIECE", PIECE)
    monkeypatch.setattr(_parallel, "_WINDOWS", (100, 2_000))
    by_so_many(monkeypatch, 3)


def by_so_many(monkeypatch: pytest.MonkeyPatch, processes: int) -> None:
    monkeypatch.setattr(reading, "processes", lambda _: processes)


def all_samples(name: str) -> str:
    return "\n".join(text_of(trace) for trace in TRACES if trace.parent.name == name)


def source_of(folder: Path, text: str, name: str) -> StoredSource:
    path = folder / "trace.txt"
    path.write_text(text)
    return stored(path, name)


def tables(table: TraceTable) -> list[pd.DataFrame]:
    return [table.events(), table.calls(), table.losses.frame()]


@pytest.mark.parametrize("name", FORMATS)
def test_a_long_file_is_read_alike(name: str, tmp_path: Path) -> None:
    text = all_samples(name)
    source = source_of(tmp_path, text, name)
    seen: list[tuple[int, int]] = []
    table = read_table(source, lambda done, size: seen.append((done, size)))
    _, slow = both(name, text)
    assert said(table) == slow
    assert seen[-1] == (source.size, source.size)
    assert list(source.lines) == list(Source("", text).lines)
    assert folded(table) == folded(table_of(formats.get(name).read(Source("", text))))


@pytest.mark.parametrize("name", FORMATS)
def test_the_codes_do_not_depend_on_who_read_what(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = source_of(tmp_path, all_samples(name), name)
    found = []
    for processes in (2, 5):
        by_so_many(monkeypatch, processes)
        found.append(read_table(source))
    first, second = found
    for one, other in zip(tables(first), tables(second), strict=True):
        pd.testing.assert_frame_equal(one, other)
    assert [*cells(first)] == [*cells(second)]
    assert first.stacks.frames.tolist() == second.stacks.frames.tolist()


def test_pieces_begin_where_a_line_has_a_time_and_each_is_read_by_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = all_samples("perf_script")
    source = source_of(tmp_path, text, "perf_script")
    handed = _parallel.Reading(source, 3, grows=False)
    handed.written(source.size)
    bounds = handed._pieces
    assert [start for start, _ in bounds] == [0, *(end for _, end in bounds[:-1])]
    assert bounds[-1][1] == source.size
    assert len(bounds) > 4
    first_lines = [text.encode()[start:end].decode().partition("\n")[0] for start, end in bounds[1:]]
    assert [line for line in first_lines if not formats.get("perf_script").read(Source("", line)).records] == []
    monkeypatch.setattr(_parallel, "blocks", lambda *_, **__: pytest.fail("this process reads nothing"))
    assert handed.reader(source, None).table(source).lines == len(Source("", text).lines)


def test_what_has_no_time_for_long_is_one_piece(tmp_path: Path) -> None:
    garbage = f"no time here {'x' * 100}\n" * 900
    text = text_of(SAMPLES / "perf_script" / "debian12-perf6.1-linux6.18.txt")
    text = text + garbage + text + "\n" + "x" * 20_000
    source = source_of(tmp_path, text, "perf_script")
    _, slow = both("perf_script", text)
    assert said(read_table(source)) == slow


def test_of_unread_lines_the_first_are_kept_and_all_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_reader, "MOST_UNREAD", 100)
    usual = text_of(SAMPLES / "perf_trace" / "seed.txt").splitlines()
    lines = [line for number in range(4_000) for line in (usual[number % len(usual)], f"no event {number}")]
    unread = [*range(2, 202, 2)]
    for source in (
        Source("", "\n".join(lines), format="perf_trace"),
        source_of(tmp_path, "\n".join(lines), "perf_trace"),
    ):
        table = read_table(source)
        assert (table.lines, table.read) == (8_000, 4_000)
        assert [line for line, _ in table.unread] == unread


@pytest.mark.parametrize("worker", [0, 1])
def test_what_a_process_that_dies_had_taken_is_read_again(
    worker: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell = _parallel._Slot.tell
    turn = count()

    def dies(slot: _parallel._Slot, part: object) -> None:
        if (0 in part.pieces) == (worker == 0):  # type: ignore[attr-defined]
            os._exit(next(turn) + 1)
        tell(slot, part)  # type: ignore[arg-type]

    monkeypatch.setattr(_parallel._Slot, "tell", dies)
    text = text_of(SAMPLES / "perf_script" / "debian12-perf6.1-linux6.18.txt") * 5
    source = source_of(tmp_path, text, "perf_script")
    _, slow = both("perf_script", text)
    assert said(read_table(source)) == slow
    assert list(source.lines) == list(Source("", text).lines)


def test_where_no_process_can_be_made_one_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(_parallel, "_fork", none)
    text = all_samples("perf_trace")
    source = source_of(tmp_path, text, "perf_trace")
    assert said(read_table(source)) == both("perf_trace", text)[1]
    assert reading.follow(source) is None


def archive_of(folder: Path, files: dict[str, bytes]) -> Path:
    path = folder / "b.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            (folder / "file").write_bytes(data)
            tar.add(folder / "file", name)
    return path


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize("name", FORMATS)
def test_a_trace_is_read_while_it_is_unpacked(
    name: str, processes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_so_many(monkeypatch, processes)
    monkeypatch.setattr(bundle_stored, "LONG", 5_000)
    monkeypatch.setattr(bundle_stored, "_CHUNK", 1_000)
    monkeypatch.setattr("netdiag.bundle.archive._CHUNK", 1_000)
    text = all_samples(name)
    (source,) = open_bundle(
        archive_of(tmp_path, {"a.txt": text.encode()}), Limits(), lambda _: name, reading.follow
    ).sources
    assert isinstance(source, StoredSource)
    assert isinstance(source.reading, _parallel.Reading)
    slow = both(name, text)[1]
    for _ in range(2):  # the second time there is nobody left who reads already
        assert said(read_table(source)) == slow
    assert list(source.lines) == list(Source("", text).lines)


def test_nothing_is_left_of_a_bundle_that_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_stored, "LONG", 5_000)
    started: list[_parallel.Reading] = []
    processes: list[int] = []
    fork = _parallel._fork

    def forked() -> int:
        processes.append(fork())
        return processes[-1]

    def follow(source: StoredSource) -> _parallel.Reading | None:
        started.extend(filter(None, [reading.follow(source)]))
        return started[-1]

    monkeypatch.setattr(_parallel, "_fork", forked)
    files = {"a.txt": all_samples("perf_script").encode(), "b.txt": b"x" * 4_000}
    gc.collect()
    open_files = len(os.listdir("/proc/self/fd"))
    with pytest.raises(BundleRefused, match=r"b\.txt: is larger than 3000 bytes"):
        open_bundle(archive_of(tmp_path, files), Limits(member_bytes=3_000), trace_format, follow)
    (only,) = started
    assert not only.busy()
    (process,) = processes
    with pytest.raises(ChildProcessError):  # it has been waited for
        os.waitpid(process, os.WNOHANG)
    assert len(os.listdir("/proc/self/fd")) == open_files + 1  # the unpacked trace, which `only` still has
