"""Long traces stay where they lie: their lines are found there, and limits of their own hold."""

import gzip
import hashlib
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from netdiag.bundle import Bundle, Limits, open_bundle, open_stream, stored
from netdiag.errors import BundleRefused
from netdiag.spans import Source, StoredLines, StoredSource

BYTES = b"\xef\xbb\xbffirst\r\nsecond \xc3\xa9\n\n\xff?\nlast without an end"
LINES = ["first", "second é", "", "\\xff?", "last without an end"]
OTHER = b"x" * 5_000
Make = Callable[..., Path]


@pytest.fixture(autouse=True)
def a_trace_is_long_from_20_bytes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "LONG", 20)


def trace_format(source: Source) -> str:
    """Takes for a trace what the manifest calls one, or what begins with `first`."""
    if source.format:
        return source.format if source.format == "trace" else ""
    return "trace" if source.lines and source.lines[0] == "first" else ""


def opened(path: Path, limits: Limits | None = None) -> Bundle:
    return open_bundle(path, limits or Limits(), trace_format)


def loose_file(folder: Path, make_tar: Make) -> Bundle:
    path = folder / "trace.txt"
    path.write_bytes(BYTES)
    return opened(path)


def directory(folder: Path, make_tar: Make) -> Bundle:
    (folder / "b").mkdir()
    (folder / "b" / "trace.txt").write_bytes(BYTES)
    (folder / "b" / "other").write_bytes(OTHER)
    return opened(folder / "b")


def packed(folder: Path, make_tar: Make) -> Bundle:
    return opened(make_tar({"b/other": OTHER, "b/trace.txt": BYTES, "b/z": OTHER}, "b.tar.gz"))


def unpacked(folder: Path, make_tar: Make) -> Bundle:
    return opened(make_tar({"b/other": OTHER, "b/trace.txt": BYTES, "b/z": OTHER}, "b.tar"))


def piped(folder: Path, make_tar: Make) -> Bundle:
    return open_stream(io.BytesIO(BYTES), "trace.txt", Limits(), trace_format)


def archive_piped(folder: Path, make_tar: Make) -> Bundle:
    path = make_tar({"b/other": OTHER, "b/trace.txt": BYTES}, "b.tar.gz")
    return open_stream(io.BytesIO(path.read_bytes()), "stdin", Limits(), trace_format)


def the_trace(bundle: Bundle) -> StoredSource:
    (found,) = [source for source in bundle.sources if isinstance(source, StoredSource)]
    assert found.path.endswith("trace.txt")
    return found


@pytest.mark.parametrize("given", [loose_file, directory, packed, unpacked, piped, archive_piped])
def test_lines_are_found_where_they_lie(given: Callable[[Path, Make], Bundle], tmp_path: Path, make_tar: Make) -> None:
    bundle = given(tmp_path, make_tar)
    source = the_trace(bundle)
    assert (source.text, source.size, source.format) == ("", len(BYTES), "trace")
    assert list(source.lines) == LINES
    assert source.lines[-1] == LINES[-1]
    assert source.span(2, 8).text == "é"
    assert source.span_of_lines(2, 4).excerpt == "second é\n\n\\xff?"
    with source.open() as file:
        assert (file.read(), file.seek(-3, io.SEEK_END), file.read()) == (BYTES, len(BYTES) - 3, b"end")
    assert {each.text for each in bundle.sources} <= {"", OTHER.decode()}


def test_a_single_file_has_its_own_hash(tmp_path: Path) -> None:
    path = tmp_path / "trace.txt"
    path.write_bytes(BYTES)
    assert opened(path).sha256 == hashlib.sha256(BYTES).hexdigest()
    assert open_stream(io.BytesIO(BYTES), "stdin", Limits(), trace_format).sha256 == opened(path).sha256


def test_a_short_trace_is_held(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(stored, "LONG", len(BYTES))
    bundle = loose_file(tmp_path, lambda: tmp_path)
    assert [(type(source), list(source.lines)) for source in bundle.sources] == [(Source, LINES)]


def test_the_manifest_tells_what_a_trace_is_and_its_hash_is_compared(make_bundle: Make) -> None:
    told = {"host/trace.txt": {"format": "trace", "argv": ["perf", "script"], "truncated": True}}
    bundle = opened(make_bundle({"host/trace.txt": BYTES, "host/a.txt": "a"}, artifacts=told))
    trace = the_trace(bundle)
    assert (trace.command, trace.format, trace.scope, trace.trouble) == ("perf script", "trace", "host", "truncated")
    assert (list(trace.lines), bundle.problems) == (LINES, ())
    told["host/trace.txt"]["sha256"] = "0" * 64
    (problem,) = opened(make_bundle({"host/trace.txt": BYTES}, artifacts=told)).problems
    assert (problem.path, problem.message.split(":")[0]) == (
        "host/trace.txt",
        "its SHA-256 is not the one in the manifest",
    )


def test_what_the_manifest_takes_for_no_trace_is_held_within_the_limits(make_bundle: Make) -> None:
    path = make_bundle({"host/a.txt": b"first\n" + OTHER})
    (source,) = opened(path).sources
    assert (type(source), source.format, source.text) == (Source, "a", "first\n" + OTHER.decode())
    with pytest.raises(BundleRefused, match=r"host/a\.txt: is larger than 5000 bytes, --max-member-bytes"):
        opened(path, Limits(member_bytes=5_000))


@pytest.mark.parametrize("name", ["b.tar.gz", "b.tar"])
def test_a_trace_counts_against_its_own_limit_alone(name: str, make_tar: Make) -> None:
    files = {"b/a": b"first\n" + OTHER, "b/b": b"x" * 100, "b/c": b"first\n" + OTHER}
    path = make_tar(files, name)
    rest = path.stat().st_size if name.endswith("tar") else len(gzip.decompress(path.read_bytes()))
    rest -= 2 * len(files["b/a"])
    limits = Limits(member_bytes=100, total_bytes=rest, trace_bytes=10_012)
    assert [type(each) for each in opened(path, limits).sources] == [StoredSource, Source, StoredSource]
    with pytest.raises(BundleRefused, match=r"larger than .*--max-total-bytes|holds more than .*--max-total-bytes"):
        opened(path, replace(limits, total_bytes=rest - 1))
    with pytest.raises(BundleRefused, match="b/c: the long traces of the bundle take more than 10011 bytes, --max-tr"):
        opened(path, replace(limits, trace_bytes=10_011, total_bytes=rest + 1))


def test_a_bomb_that_begins_like_a_trace_is_refused(raw, tmp_path: Path) -> None:
    path = tmp_path / "bomb.tar.gz"
    path.write_bytes(raw.gzipped_with_zeros(raw.header("a", size=64 << 20) + b"first\n", 64))
    with pytest.raises(BundleRefused, match="a: the long traces of the bundle take more than 2097152 bytes"):
        opened(path, Limits(trace_bytes=2 << 20, member_bytes=128 << 20))


def test_a_pipe_without_an_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleRefused, match="stdin: is larger than 3000 bytes"):
        open_stream(io.BytesIO(b"x" * 5_000), "stdin", Limits(total_bytes=1_000, trace_bytes=2_000), trace_format)


def test_no_room_for_a_packed_trace_is_told(make_tar: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_tar({"b/trace.txt": BYTES})

    class Full(io.BytesIO):
        def write(self, data: object, /) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", Full)
    with pytest.raises(BundleRefused, match=r"b/trace\.txt: cannot be kept in .* \(No space left on device\), TMPDIR"):
        opened(path)


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


def test_of_an_endless_line_only_the_beginning_is_kept() -> None:
    step = 1024 * 1024
    lines = StoredLines(lambda: io.BytesIO(b"a\n" + b"x" * (3 * step + 5) + b"\nb"))
    assert [len(line) for line in lines] == [1, step, 1]
    assert (len(lines), len(lines[1]), lines[2]) == (3, step, "b")


class Follower:
    """Reads what is there each time that it is told of more."""

    def __init__(self, source: StoredSource) -> None:
        self.source = source
        self.seen: list[bytes] = []
        self.idle = self.stopped = False

    def written(self, size: int) -> None:
        with self.source.open() as file:
            self.seen.append(file.read())
        assert len(self.seen[-1]) == size

    def busy(self) -> bool:
        return not self.idle

    def stop(self) -> None:
        self.stopped = True


class Followers(list[Follower]):
    """All that were begun."""

    idle = False

    def follow(self, source: StoredSource) -> Follower:
        self.append(Follower(source))
        self[-1].idle = self.idle
        return self[-1]


def test_a_trace_can_be_followed_while_it_is_unpacked(make_tar: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netdiag.bundle.archive._CHUNK", 25)
    path = make_tar({"b/other": OTHER, "b/trace.txt": BYTES, "b/z": OTHER}, "b.tar.gz")
    followers = Followers()
    trace = the_trace(open_bundle(path, Limits(), trace_format, followers.follow))
    (follower,) = followers
    assert follower.seen == [BYTES[:25], BYTES]
    assert (follower.source.path, follower.source.format, follower.source.size) == (trace.path, "trace", trace.size)
    assert trace.reading is follower
    assert not follower.stopped


@pytest.mark.parametrize(("idle", "count"), [(True, 2), (False, 1)])
def test_one_trace_is_followed_at_a_time(*, idle: bool, count: int, make_tar: Make) -> None:
    path = make_tar({"b/a": BYTES, "b/b": BYTES}, "b.tar.gz")
    followers = Followers()
    followers.idle = idle
    bundle = open_bundle(path, Limits(), trace_format, followers.follow)
    assert [isinstance(source, StoredSource) for source in bundle.sources] == [True, True]
    assert len(followers) == count


def test_who_follows_is_told_when_the_bundle_is_refused(make_tar: Make) -> None:
    path = make_tar({"b/trace.txt": BYTES + OTHER, "b/z": OTHER}, "b.tar.gz")
    followers = Followers()
    with pytest.raises(BundleRefused, match="b/z: is larger than 1000 bytes"):
        open_bundle(path, Limits(member_bytes=1_000), trace_format, followers.follow)
    assert [each.stopped for each in followers] == [True]


def test_what_lies_as_it_is_is_not_followed(make_tar: Make) -> None:
    path = make_tar({"b/trace.txt": BYTES}, "b.tar")
    assert the_trace(open_bundle(path, Limits(), trace_format, Followers().follow)).reading is None
