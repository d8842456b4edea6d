"""Files that stay where they lie: their lines are found there, and nothing else is let in than into a bundle."""

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest

from netdiag.bundle import Limits, stored_sources
from netdiag.errors import BundleRefused
from netdiag.spans import StoredLines, StoredSource

TEXT = "first\r\nsecond é\n\n\xff?\nlast without an end"
BYTES = b"\xef\xbb\xbffirst\r\nsecond \xc3\xa9\n\n\xff?\nlast without an end"
LINES = ["first", "second é", "", "\\xff?", "last without an end"]


def archive(path: Path, members: dict[str, bytes], mode: str) -> Path:
    with tarfile.open(path, mode) as tar:
        for name, data in members.items():
            header = tarfile.TarInfo(name)
            header.size = len(data)
            tar.addfile(header, io.BytesIO(data))
    return path


def plain(folder: Path) -> Path:
    path = folder / "trace.txt"
    path.write_bytes(BYTES)
    return path


def packed(folder: Path) -> Path:
    return archive(folder / "b.tar.gz", {"b/other": b"x" * 5_000, "b/trace.txt": BYTES}, "w:gz")


def unpacked(folder: Path) -> Path:
    return archive(folder / "b.tar", {"b/other": b"x" * 5_000, "b/trace.txt": BYTES}, "w")


def the_trace(path: Path) -> StoredSource:
    (found,) = [source for source in stored_sources(path) if source.path.endswith("trace.txt")]
    return found


@pytest.mark.parametrize("lies_in", [plain, packed, unpacked])
def test_lines_are_found_where_they_lie(tmp_path: Path, lies_in: object) -> None:
    source = the_trace(lies_in(tmp_path))  # type: ignore[operator]
    assert (source.text, source.size) == ("", len(BYTES))
    assert list(source.lines) == LINES
    assert source.lines[-1] == LINES[-1]
    assert source.span(2, 8).text == "é"
    assert source.span_of_lines(2, 4).excerpt == "second é\n\n\\xff?"
    with source.open() as file:
        assert file.read() == BYTES


def test_a_line_is_found_from_the_nearest_mark(tmp_path: Path) -> None:
    path = tmp_path / "trace.txt"
    path.write_text("".join(f"line {number}\n" for number in range(1_000)))
    read: list[int] = []

    class Counted(io.FileIO):
        def readline(self, size: int | None = -1, /) -> bytes:
            line = super().readline(size)
            read.append(len(line))
            return line

    lines = StoredLines(lambda: Counted(path))  # type: ignore[arg-type,return-value]
    lines.mark(900, path.read_bytes().index(b"line 900\n"))
    lines.end_at(1_000)
    lines.keep((950, 903, 903))
    assert (lines[903], lines[950]) == ("line 903", "line 950")
    assert len(read) == 51
    assert len(lines) == 1_000


def test_the_manifest_tells_what_a_file_is(tmp_path: Path) -> None:
    sample = Path(__file__).resolve().parents[2] / "samples" / "bundles" / "three-faults.tar.gz"
    from netdiag.bundle import open_bundle

    told = [(each.path, each.command, each.scope, each.format, each.artifact) for each in open_bundle(sample).sources]
    found = stored_sources(sample)
    assert [(each.path, each.command, each.scope, each.format, each.artifact) for each in found] == told
    texts = {each.path: list(each.lines) for each in open_bundle(sample).sources}
    assert {each.path: list(each.lines) for each in found[:3]} == {each.path: texts[each.path] for each in found[:3]}


@pytest.mark.parametrize(
    ("members", "limits", "reason"),
    [
        ({"../up": b"x"}, Limits(), "leads upwards"),
        ({"big": b"x" * 100}, Limits(member_bytes=99), "is larger than 99 bytes"),
        ({"a": b"x" * 100, "b": b"x" * 100}, Limits(total_bytes=3_000), "holds more than 3000 bytes"),
        ({}, Limits(), "holds no files"),
        ({"manifest.json": json.dumps({"schema": 1}).encode()}, Limits(), "manifest.json"),
    ],
)
def test_what_a_bundle_refuses_is_refused(
    tmp_path: Path, members: dict[str, bytes], limits: Limits, reason: str
) -> None:
    with pytest.raises(BundleRefused, match=reason):
        stored_sources(archive(tmp_path / "b.tar.gz", members, "w:gz"), limits)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path)
    whole = path.read_bytes()
    for damaged in (whole[:-20], whole[:40] + b"\0\1\2\3" * 8 + whole[72:], gzip.compress(b"no tar" * 200)):
        path.write_bytes(damaged)
        with pytest.raises(BundleRefused):
            stored_sources(path)
    for name in ("missing.tar", "."):
        with pytest.raises(BundleRefused):
            stored_sources(tmp_path / name)
