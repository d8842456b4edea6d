"""The hostile corpus: each input is refused with one clear line, or read as the text that it is, in bounded memory.

All of it is read in one child process that may not have more than 300 MiB of address space.
"""

import bz2
import gzip
import io
import json
import lzma
import os
import socket
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from netdiag.bundle import Limits, open_bundle
from netdiag.errors import BundleRefused

ADDRESS_SPACE = 300 * 1024 * 1024
MIB = 1024 * 1024

CHILD = """
import json, pathlib, resource, sys
from netdiag.bundle import Limits, open_bundle
from netdiag.errors import NetdiagError
size = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (size, size))
for line in sys.stdin:
    path, limits = json.loads(line)
    try:
        bundle = open_bundle(pathlib.Path(path), Limits(**limits))
        answer = {"sources": {source.path: source.text for source in bundle.sources}, "host": bundle.host}
    except NetdiagError as error:
        answer = {"refused": str(error), "exit_code": error.exit_code}
    print(json.dumps(answer), flush=True)
"""

Answer = dict[str, Any]


@pytest.fixture(scope="module")
def read_in_little_memory() -> Iterator[Callable[..., Answer]]:
    """`read_in_little_memory(path, **limits)`: what `open_bundle` gives or refuses there."""
    environment = {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(ADDRESS_SPACE)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin
        assert child.stdout
        assert child.stderr

        def read(path: Path, **limits: int) -> Answer:
            child.stdin.write(json.dumps([str(path), limits]) + "\n")
            child.stdin.flush()
            line = child.stdout.readline()
            assert line, child.stderr.read()
            return json.loads(line)

        yield read
        child.stdin.close()


@dataclass(frozen=True)
class Hostile:
    """`make` gets an empty directory, the building blocks and a valid manifest, and leaves the input as `path`."""

    name: str
    says: str
    make: Callable[["Workshop"], object]
    limits: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Workshop:
    path: Path
    raw: Any
    make_manifest: Callable[..., dict[str, Any]]

    def tar(self, *members: bytes) -> None:
        self.path.write_bytes(b"".join(members) + self.raw.end_mark)

    def named(self, name: str) -> None:
        self.tar(self.raw.member(name))

    def kind(self, kind: bytes) -> None:
        self.tar(self.raw.member("host/a.txt"), self.raw.header("host/b.txt", kind=kind, target="/etc/passwd"))

    def file(self, data: bytes) -> None:
        self.path.write_bytes(data)

    def gzip_of(self, *members: bytes) -> bytes:
        return gzip.compress(b"".join(members) + self.raw.end_mark)

    def manifest(self, text: bytes | str) -> None:
        data = text.encode() if isinstance(text, str) else text
        self.tar(self.raw.member("top/manifest.json", data), self.raw.member("top/host/a.txt"))

    def manifest_with(self, **keys: object) -> None:
        self.manifest(json.dumps(self.make_manifest({"host/a.txt": "x"}) | keys))

    def folder(self) -> Path:
        self.path.mkdir()
        (self.path / "a.txt").write_text("x")
        return self.path


def _one_hundred_thousand_members(shop: Workshop) -> None:
    with gzip.open(shop.path, "wb", compresslevel=1) as file:
        for number in range(100_000):
            file.write(shop.raw.header(f"m{number}"))
        file.write(shop.raw.end_mark)


def _two_gigabyte_extension(kind: bytes) -> Callable[[Workshop], None]:
    return lambda shop: shop.file(shop.raw.gzipped_with_zeros(shop.raw.header("x", size=2 << 30, kind=kind), 2048))


def _sparse_with_endless_map(shop: Workshop) -> None:
    """The map of format 1.0 stands before the data: 200 million numbers of it."""
    header = shop.raw.pax(**{"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "a"})
    start = header + shop.raw.header("a", size=200 * MIB) + b"100000000\n"
    shop.file(shop.raw.gzipped_with_zeros(start, 200))


def _bad_checksum(shop: Workshop) -> None:
    data = bytearray(shop.gzip_of(shop.raw.member("a.txt")))
    data[-8] ^= 1
    shop.file(bytes(data))


def _bad_deflate(shop: Workshop) -> None:
    """A deflate block of type 3, which RFC 1951 reserves."""
    data = shop.gzip_of(shop.raw.member("a.txt"))
    shop.file(data[:10] + b"\xff" + data[11:])


def _bad_second_header(shop: Workshop) -> None:
    header = bytearray(shop.raw.header("b.txt"))
    header[0:1] = b"c"
    shop.tar(shop.raw.member("a.txt"), bytes(header))


def _zip(shop: Workshop) -> None:
    with zipfile.ZipFile(shop.path, "w") as archive:
        archive.writestr("a.txt", "x")


def _socket(shop: Workshop) -> None:
    shop.folder()
    with socket.socket(socket.AF_UNIX) as endpoint:
        here = Path.cwd()
        os.chdir(shop.path)  # a socket's path has at most 108 characters (unix(7))
        endpoint.bind("s")
        os.chdir(here)


def _device(shop: Workshop) -> None:
    try:
        os.mknod(shop.folder() / "null", 0o600 | 0o020000, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root can make a device")


def _large_file_in_folder(shop: Workshop) -> None:
    (shop.folder() / "b.txt").touch()
    os.truncate(shop.path / "b.txt", 2 << 30)


def _large_file(shop: Workshop) -> None:
    shop.path.touch()
    os.truncate(shop.path, 2 << 30)


def _deep_folder(shop: Workshop) -> None:
    (shop.folder() / "/".join("d" * 17)).mkdir(parents=True)


def _two_bundles(shop: Workshop) -> None:
    shop.tar(shop.raw.member("a/manifest.json", b"{}"), shop.raw.member("b/manifest.json", b"{}"))


DEEP = 10_000

REFUSED = [
    # names
    Hostile("absolute-path", "/etc/passwd: the path is absolute", lambda s: s.named("/etc/passwd")),
    Hostile("dot-dot", "a/../../b: the path leads upwards", lambda s: s.named("a/../../b")),
    Hostile("dot-dot-behind-dot", "./.././a: the path leads upwards", lambda s: s.named("./.././a")),
    Hostile("dot-dot-that-stays-inside", "a/../b: the path leads upwards", lambda s: s.named("a/../b")),
    Hostile("dot-dot-of-a-directory", "..: the path leads up", lambda s: s.tar(s.raw.member("../", b"", b"5"))),
    Hostile("line-feed-in-a-name", r"a\nb.txt: the path has a control character", lambda s: s.named("a\nb.txt")),
    Hostile("escape-code-in-a-name", r"\x1b[2Ja: the path has a control", lambda s: s.named("\x1b[2Ja")),
    Hostile("bidi-override-in-a-name", r"a\u202etxt.sh: the path has a cont", lambda s: s.named("a\u202etxt.sh")),
    Hostile("nul-in-a-name", r"a\x00b: the path has", lambda s: s.tar(s.raw.pax(path="a\0b"), s.raw.member("c"))),
    Hostile("no-name", "a file has no name", lambda s: s.named(".//.")),
    Hostile("long-name", "the path is longer than 4096 characters", lambda s: s.named("a/" * 2048 + "b")),
    Hostile("deep-path", "more than 16 parts, --max-depth raises the limit", lambda s: s.named("d/" * 16 + "a")),
    Hostile("duplicate", "a.txt: is in the bundle twice", lambda s: s.tar(s.raw.member("a.txt") * 2)),
    Hostile(
        "duplicate-spelled-otherwise",
        "a/b: is in the bundle twice",
        lambda s: s.tar(s.raw.member("a/b"), s.raw.member("./a//./b")),
    ),
    Hostile(
        "directory-then-file",
        "a: is in the bundle twice, as a file and as a directory",
        lambda s: s.tar(s.raw.member("a/b"), s.raw.member("a")),
    ),
    Hostile(
        "file-then-directory",
        "a: is in the bundle twice, as a file and as a directory",
        lambda s: s.tar(s.raw.member("a"), s.raw.member("a/", b"", tarfile.DIRTYPE)),
    ),
    Hostile(
        "file-as-directory",
        "a/b/c: lies in a directory that the bundle also holds as a file",
        lambda s: s.tar(s.raw.member("a"), s.raw.member("a/b/c")),
    ),
    # kinds
    Hostile("symbolic-link", "host/b.txt: is a symbolic link", lambda s: s.kind(tarfile.SYMTYPE)),
    Hostile("hard-link", "host/b.txt: is a hard link", lambda s: s.kind(tarfile.LNKTYPE)),
    Hostile("character-device", "host/b.txt: is a character device", lambda s: s.kind(tarfile.CHRTYPE)),
    Hostile("block-device", "host/b.txt: is a block device", lambda s: s.kind(tarfile.BLKTYPE)),
    Hostile("fifo", "host/b.txt: is a fifo", lambda s: s.kind(tarfile.FIFOTYPE)),
    Hostile("unknown-kind", "host/b.txt: is of an unknown kind (b'V')", lambda s: s.kind(b"V")),
    Hostile("gnu-sparse-file", "host/b.txt: is a sparse file", lambda s: s.kind(tarfile.GNUTYPE_SPARSE)),
    Hostile("pax-sparse-file-with-endless-map", "a: is a sparse file", _sparse_with_endless_map),
    # sizes
    Hostile("hundred-thousand-members", "holds more than 20000 files and dir", _one_hundred_thousand_members),
    Hostile(
        "two-gigabytes-of-zeros",
        "zeros: is larger than 268435456 bytes, --max-member-bytes raises the limit",
        lambda s: s.file(s.raw.gzipped_with_zeros(s.raw.header("zeros", size=2 << 30), 2048, s.raw.end_mark)),
    ),
    Hostile(
        "two-gigabytes-of-zeros-behind-the-end",
        "holds more than 1073741824 bytes, --max-total-bytes raises the limit",
        lambda s: s.file(s.raw.gzipped_with_zeros(s.raw.member("a.txt"), 2048)),
    ),
    Hostile(
        "two-gigabytes-of-zeros-and-no-tar",
        "holds more than 1073741824 bytes, --max-total-bytes raises the limit",
        lambda s: s.file(s.raw.gzipped_with_zeros(b"", 2048)),
    ),
    Hostile(
        "many-large-members",
        "m3: the bundle holds more than 67108864 bytes, --max-total-bytes raises the limit",
        lambda s: s.file(s.gzip_of(*(s.raw.member(f"m{number}", bytes(20 * MIB)) for number in range(4)))),
        {"total_bytes": 64 * MIB},
    ),
    Hostile(
        "bytes-that-swell-as-text",
        "a: the text of the bundle takes more than 16777216 bytes of memory, --max-total-bytes",
        lambda s: s.file(s.gzip_of(s.raw.member("a", b"\xff" * 8 * MIB))),
        {"total_bytes": 16 * MIB},
    ),
    Hostile("size-of-exabytes", "a: is larger than 268435456", lambda s: s.tar(s.raw.header("a", size=1 << 62))),
    Hostile("negative-size", "a: corrupt tar: its size is negative", lambda s: s.tar(s.raw.header("a", size=-512))),
    Hostile("two-gigabyte-pax-header", "has an extended header larger", _two_gigabyte_extension(tarfile.XHDTYPE)),
    Hostile("two-gigabyte-global-header", "has an extended header larger", _two_gigabyte_extension(tarfile.XGLTYPE)),
    Hostile("two-gigabyte-long-name", "has an extended header lar", _two_gigabyte_extension(tarfile.GNUTYPE_LONGNAME)),
    Hostile("two-gigabyte-long-link", "has an extended header lar", _two_gigabyte_extension(tarfile.GNUTYPE_LONGLINK)),
    Hostile(
        "hundred-thousand-pax-headers",
        "corrupt tar: more than 4 extended headers before one member",
        lambda s: s.file(s.gzip_of(s.raw.pax(comment="x") * 100_000, s.raw.member("a"))),
    ),
    # damage
    Hostile("nothing-there", "cannot be read: No such file or directory", lambda s: None),
    Hostile("empty-file", "is empty", lambda s: s.file(b"")),
    Hostile("empty-tar", "holds no files", lambda s: s.tar()),
    Hostile("empty-gzip", "holds no tar archive, it is empty", lambda s: s.file(gzip.compress(b""))),
    Hostile("only-directories", "holds no files", lambda s: s.tar(s.raw.member("a/", b"", tarfile.DIRTYPE))),
    Hostile("empty-directory", "holds no files", lambda s: s.path.mkdir()),
    Hostile(
        "gzip-cut-off",
        "truncated: its gzip stops after",
        lambda s: s.file(s.gzip_of(s.raw.member("a"))[:-20]),
    ),
    Hostile(
        "gzip-cut-off-in-its-checksum",
        "truncated: its gzip stops after 2048 unpacked bytes",
        lambda s: s.file(s.gzip_of(s.raw.member("a"))[:-1]),
    ),
    Hostile("gzip-cut-off-in-its-header", "truncated: its gzip stops after 0", lambda s: s.file(b"\x1f\x8b\x08\x00")),
    Hostile("gzip-with-bad-checksum", "corrupt gzip after 2048 unpacked bytes: CRC check failed", _bad_checksum),
    Hostile("gzip-with-bad-data", "corrupt gzip after 0 unpacked bytes: ", _bad_deflate),
    Hostile(
        "gzip-with-garbage-behind",
        "corrupt gzip after 2048 unpacked bytes: Not a gzipped file",
        lambda s: s.file(s.gzip_of(s.raw.member("a")) + b"garbage"),
    ),
    Hostile("gzip-of-text", "holds no tar archive", lambda s: s.file(gzip.compress(b"Kernel IP routing table\n" * 99))),
    Hostile("gzip-of-short-text", "truncated: the tar stops at byte 1", lambda s: s.file(gzip.compress(b"x"))),
    Hostile(
        "tar-cut-off-in-a-member",
        "b.txt: truncated: the tar stops at byte 2100, before its end mark",
        lambda s: s.file((s.raw.member("a.txt") + s.raw.member("b.txt", b"x" * 4096))[:2100]),
    ),
    Hostile("tar-cut-off-in-a-header", "truncated: the tar stops", lambda s: s.file(s.raw.header("a.txt")[:300])),
    Hostile("tar-without-end-mark", "stops at byte 1024, before its end", lambda s: s.file(s.raw.member("a.txt"))),
    Hostile(
        "tar-with-half-an-end-mark",
        "truncated: the tar stops at byte 1536, before its end mark",
        lambda s: s.file(s.raw.member("a.txt") + bytes(512)),
    ),
    Hostile("tar-with-bad-header", "corrupt tar header at byte 1024: bad checksum", _bad_second_header),
    Hostile(
        "tar-behind-a-tar",
        "has data after the end mark of its tar",
        lambda s: s.tar(s.raw.member("a.txt") + s.raw.end_mark + s.raw.member("b.txt")),
    ),
    Hostile(
        "tar-ends-behind-a-pax-header",
        "corrupt tar: it ends between an extended header and its member",
        lambda s: s.tar(s.raw.pax(path="a.txt")),
    ),
    Hostile(
        "pax-record-longer-than-its-header",
        "corrupt tar: an extended header cannot be read",
        lambda s: s.tar(s.raw.member("pax", b"99999 path=a\n", tarfile.XHDTYPE), s.raw.member("b")),
    ),
    Hostile(
        "pax-record-without-end",
        "corrupt tar: an extended header cannot be read",
        lambda s: s.tar(s.raw.member("pax", b"1 path=a\n", tarfile.XHDTYPE), s.raw.member("b")),
    ),
    Hostile("pax-size-is-no-number", "is not a number", lambda s: s.tar(s.raw.pax(size="-1"), s.raw.member("b"))),
    Hostile("xz", "is packed with xz: unpack it first", lambda s: s.file(lzma.compress(b"x"))),
    Hostile("bzip2", "is packed with bzip2: unpack it first", lambda s: s.file(bz2.compress(b"x"))),
    Hostile("zip", "is packed with zip: unpack it first", _zip),
    # manifests
    Hostile("manifest-is-no-json", "top/manifest.json: is not JSON", lambda s: s.manifest("{schema_version: 1}")),
    Hostile("manifest-is-empty", "top/manifest.json: is not JSON", lambda s: s.manifest("")),
    Hostile("manifest-is-no-utf8", "is not JSON: Invalid \\escape", lambda s: s.manifest(b'{"host": "\xff"}')),
    Hostile("manifest-with-huge-number", "top/manifest.json: is not JSON", lambda s: s.manifest("9" * 5000)),
    Hostile("manifest-with-nan", "is not JSON: NaN is not a JSON number", lambda s: s.manifest('{"uid": NaN}')),
    Hostile(
        "manifest-of-deep-arrays",
        "is nested more than 32 deep, --max-manifest-nesting raises the limit",
        lambda s: s.manifest("[" * DEEP + "]" * DEEP),
    ),
    Hostile(
        "manifest-of-deep-objects",
        "is nested more than 32 deep, --max-manifest-nesting raises the limit",
        lambda s: s.manifest('{"a\\"]":' * DEEP + "1" + "}" * DEEP),
    ),
    Hostile(
        "manifest-deeper-than-python-reads",
        "is nested too deeply for this Python",
        lambda s: s.manifest("[" * 10 * DEEP + "]" * 10 * DEEP),
        {"manifest_nesting": 100 * DEEP},
    ),
    Hostile(
        "manifest-too-large",
        "is larger than 16777216 bytes, --max-manifest-bytes raises the limit",
        lambda s: s.manifest(b'{"host": "' + b"a" * 16 * MIB + b'"}'),
    ),
    Hostile("manifest-of-a-string", "breaks the manifest's JSON Schema at $: ", lambda s: s.manifest('"manifest"')),
    Hostile(
        "manifest-with-object-for-artifacts",
        "top/manifest.json: breaks the manifest's JSON Schema at $.artifacts: ",
        lambda s: s.manifest_with(artifacts={"a" * 5000: "\x1b[2J\n"}),
    ),
    Hostile(
        "manifest-of-a-foreign-version", "has schema version 2.0, ", lambda s: s.manifest_with(schema_version="2.0")
    ),
    Hostile("two-bundles-in-one", "holds several bundles (a/manifest.json, b/manifest.json)", _two_bundles),
    # directories
    Hostile("link-in-a-directory", "b: is a symbolic link", lambda s: (s.folder() / "b").symlink_to("/etc/passwd")),
    Hostile("link-to-a-directory", "b: is a symbolic link", lambda s: (s.folder() / "b").symlink_to("/etc")),
    Hostile("broken-link-in-a-directory", "b: is a symbolic link", lambda s: (s.folder() / "b").symlink_to("b")),
    Hostile("fifo-in-a-directory", "b: is a fifo", lambda s: os.mkfifo(s.folder() / "b")),
    Hostile("fifo-as-a-bundle", "is neither a file nor a directory", lambda s: os.mkfifo(s.path)),
    Hostile("socket-in-a-directory", "s: is a socket", _socket),
    Hostile("device-in-a-directory", "null: is a character device", _device),
    Hostile("control-character-in-a-directory", r"a\x07: the path has", lambda s: (s.folder() / "a\a").touch()),
    Hostile("deep-directory", "the path has more than 16 parts, --max-depth", _deep_folder),
    Hostile("large-file-in-a-directory", "b.txt: is larger than 268435456 bytes, --max-m", _large_file_in_folder),
    Hostile("large-file", "is larger than 1073741824 bytes, --max-total-bytes raises the limit", _large_file),
    Hostile(
        "many-files-in-a-directory",
        "holds more than 50 files and directories, --max-members raises the limit",
        lambda s: [(s.path / str(number)).mkdir(parents=True) for number in range(60)],
        {"members": 50},
    ),
]


@pytest.fixture
def workshop(tmp_path: Path, raw, make_manifest) -> Workshop:
    return Workshop(tmp_path / "hostile", raw, make_manifest)


@pytest.mark.parametrize("hostile", REFUSED, ids=lambda hostile: hostile.name)
def test_a_hostile_input_is_refused_with_one_clear_line_in_little_memory(
    hostile: Hostile, workshop: Workshop, read_in_little_memory: Callable[..., Answer]
) -> None:
    hostile.make(workshop)
    answer = read_in_little_memory(workshop.path, **hostile.limits)
    assert answer.get("exit_code") == 2, answer
    message = answer["refused"]
    assert message.startswith(f"{workshop.path}: ")
    assert hostile.says in message
    assert message.isprintable()
    assert len(message) < 1000


INSPECT = '[\n {"Name": "/%s"}\n]\n'

KEPT = {
    "script-in-a-container-name": INSPECT % "<script>alert(1)</script>",
    "escape-codes-in-a-container-name": INSPECT % "\x1b[2J\x1b]0;owned\x07",
    "nul-bytes": "a\0\0b\n",
    "json-nested-10000-deep": "[" * DEEP + "]" * DEEP,
    "one-line-of-8-megabytes": "x" * 8 * MIB,
}


@pytest.mark.parametrize("text", KEPT.values(), ids=KEPT.keys())
def test_hostile_text_is_kept_as_it_is_for_those_who_read_it(
    text: str, workshop: Workshop, read_in_little_memory: Callable[..., Answer]
) -> None:
    workshop.tar(workshop.raw.member("docker/inspect.json", text.encode()))
    assert read_in_little_memory(workshop.path)["sources"] == {"docker/inspect.json": text}


def test_bytes_that_are_not_utf8_are_read_visibly(workshop: Workshop, read_in_little_memory) -> None:
    workshop.tar(workshop.raw.member("a.txt", b"\xff\xfe\x00caf\xe9"))
    assert read_in_little_memory(workshop.path)["sources"] == {"a.txt": "\\xff\\xfe\0caf\\xe9"}


def test_a_hostile_host_name_is_kept_as_text(workshop: Workshop, read_in_little_memory) -> None:
    workshop.manifest_with(host="<script>\x1b[2J")
    assert read_in_little_memory(workshop.path)["host"] == "<script>\x1b[2J"


def test_the_child_would_die_of_what_the_limits_keep_out(workshop: Workshop, read_in_little_memory) -> None:
    """The bound on memory is a real one: without the limit the same bomb is read, and does not fit."""
    workshop.file(workshop.raw.gzipped_with_zeros(workshop.raw.header("zeros", size=2 << 30), 2048))
    program = CHILD.replace("for line in sys.stdin", "for line in [sys.argv[2]]")
    limits = {"member_bytes": 4 << 30, "total_bytes": 4 << 30}
    child = subprocess.run(
        [sys.executable, "-c", program, str(ADDRESS_SPACE), json.dumps([str(workshop.path), limits])],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "MemoryError" in child.stderr


def test_each_limit_can_be_raised_by_the_option_that_its_refusal_names(tmp_path: Path, make_bundle) -> None:
    path = make_bundle({"host/a.txt": "x" * 2000})
    for limits, option in (
        (Limits(members=1), "--max-members"),
        (Limits(member_bytes=1999), "--max-member-bytes"),
        (Limits(total_bytes=5000), "--max-total-bytes"),
        (Limits(depth=2), "--max-depth"),
        (Limits(manifest_bytes=100), "--max-manifest-bytes"),
        (Limits(manifest_nesting=2), "--max-manifest-nesting"),
    ):
        with pytest.raises(BundleRefused, match=f"{option} raises the limit"):
            open_bundle(path, limits)
    assert open_bundle(path).problems == ()


def test_an_unreadable_file_is_refused_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret.txt").write_text("x")
    really_open = os.open

    def deny(path: str, *arguments: int, **options: int) -> int:
        if path == "secret.txt":
            raise PermissionError(13, "Permission denied", path)
        return really_open(path, *arguments, **options)

    monkeypatch.setattr("os.open", deny)
    with pytest.raises(BundleRefused, match=r"secret\.txt: cannot be read: Permission denied"):
        open_bundle(tmp_path)


def test_a_file_that_grows_while_it_is_read_is_stopped_at_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a file of /proc, which states no size."""
    monkeypatch.setattr("netdiag.bundle.directory.open", lambda *_, **__: io.BytesIO(bytes(3 * MIB)), raising=False)
    (tmp_path / "a.txt").touch()
    with pytest.raises(BundleRefused, match=r"a\.txt: is larger than 2097152 bytes"):
        open_bundle(tmp_path, Limits(member_bytes=2 * MIB))
