"""What `open_bundle` makes of sound bundles, whatever they come as."""

import bz2
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from netdiag.bundle import Bundle, Limits, open_bundle

Make = Callable[..., Path]
Texts = Callable[[Bundle], dict[str, str]]

# ip -o link and route -n of a Debian 12 host
LINK = "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN mode DEFAULT group default qlen 1000\n"
ROUTE = "Kernel IP routing table\nDestination     Gateway         Genmask         Flags Metric Ref    Use Iface\n"


def test_a_bundle_gives_its_host_its_time_its_hash_and_its_sources_in_path_order(make_bundle: Make) -> None:
    path = make_bundle(
        {"netns/7f3a/ip_link.txt": LINK, "host/route.txt": ROUTE, "host/ip_link.txt": LINK},
        artifacts={
            "host/ip_link.txt": {"argv": ["ip", "-d", "link"], "format": "ip_link"},
            "netns/7f3a/ip_link.txt": {"argv": ["nsenter", "--net=/run/docker/netns/a b", "ip", "link"]},
        },
    )
    bundle = open_bundle(path)
    assert (bundle.name, bundle.host, bundle.collected_at) == (
        "netdiag-web01-20261123T101500Z",
        "web01",
        "2026-11-23T10:15:00Z",
    )
    assert bundle.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [(s.path, s.command, s.scope, s.artifact, s.format, s.trouble, s.text) for s in bundle.sources] == [
        ("host/ip_link.txt", "ip -d link", "host", "ip_link", "ip_link", "", LINK),
        ("host/route.txt", "", "host", "route", "route", "", ROUTE),
        (
            "netns/7f3a/ip_link.txt",
            "nsenter '--net=/run/docker/netns/a b' ip link",
            "netns:7f3a",
            "ip_link",
            "ip_link",
            "",
            LINK,
        ),
    ]
    assert (bundle.problems, bundle.not_collected) == ((), ())
    assert bundle.manifest is not None
    assert bundle.manifest["kernel"] == "6.1.0-27-amd64"


def test_an_unpacked_bundle_reads_like_the_archive_from_the_top_directory_and_from_above_it(
    make_bundle: Make, unpack: Callable[[Path, Path], Path], tmp_path: Path, texts: Texts
) -> None:
    archive = make_bundle({"host/ip_link.txt": LINK, "files/proc/sys/net/ipv4/ip_forward": "1\n"})
    above = unpack(archive, tmp_path / "above")
    expected = open_bundle(archive)
    for directory in (above, above / expected.name):
        bundle = open_bundle(directory)
        assert texts(bundle) == texts(expected)
        assert bundle.manifest == expected.manifest
        assert (bundle.name, bundle.sha256, bundle.problems) == (directory.name, "", ())


def test_a_manifest_at_the_root_of_an_archive_and_behind_the_other_members_is_found(
    make_manifest: Callable[..., object], make_tar: Make, texts: Texts
) -> None:
    files = {"./host/route.txt": ROUTE}
    manifest = json.dumps(make_manifest({"host/route.txt": ROUTE}))
    bundle = open_bundle(make_tar({**files, "./manifest.json": manifest}))
    assert (texts(bundle), bundle.host, bundle.problems) == ({"host/route.txt": ROUTE}, "web01", ())


@pytest.mark.parametrize("name", ["mail.tar.gz", "mail.tgz", "mail.tar", "mail"])
def test_an_archive_without_a_manifest_gives_each_file_as_a_source_of_no_known_format(
    make_tar: Make, name: str
) -> None:
    bundle = open_bundle(make_tar({"case/route.txt": ROUTE, "case/.DS_Store": "\0\0", "case/link.txt~": LINK}, name))
    assert [(s.path, s.text, s.command, s.scope, s.artifact, s.format) for s in bundle.sources] == [
        ("case/.DS_Store", "\0\0", "", "host", "", ""),
        ("case/link.txt~", LINK, "", "host", "", ""),
        ("case/route.txt", ROUTE, "", "host", "", ""),
    ]
    assert (bundle.name, bundle.host, bundle.collected_at, bundle.manifest) == ("mail", "", "", None)


def test_a_directory_of_loose_files_is_read_with_what_lies_deeper(tmp_path: Path, texts: Texts) -> None:
    (tmp_path / "web01" / "docker").mkdir(parents=True)
    (tmp_path / "web01" / "route.txt").write_text(ROUTE)
    (tmp_path / "web01" / "docker" / "inspect.json").write_text("[]")
    bundle = open_bundle(tmp_path / "web01")
    assert texts(bundle) == {"docker/inspect.json": "[]", "route.txt": ROUTE}
    assert (bundle.name, bundle.sha256) == ("web01", "")


def test_the_working_directory_is_named_after_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "web01").mkdir()
    (tmp_path / "web01" / "route.txt").write_text(ROUTE)
    monkeypatch.chdir(tmp_path / "web01")
    assert open_bundle(Path()).name == "web01"


def test_a_single_loose_file_is_a_bundle_of_one_source(tmp_path: Path) -> None:
    path = tmp_path / "route.txt"
    path.write_text(ROUTE)
    bundle = open_bundle(path)
    assert [(source.path, source.text) for source in bundle.sources] == [("route.txt", ROUTE)]
    assert (bundle.name, bundle.sha256) == ("route.txt", hashlib.sha256(ROUTE.encode()).hexdigest())


def test_a_link_given_on_the_command_line_is_followed(tmp_path: Path, make_bundle: Make) -> None:
    (tmp_path / "latest").symlink_to(make_bundle({"host/route.txt": ROUTE}))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "route.txt").write_text(ROUTE)
    (tmp_path / "case").symlink_to(tmp_path / "folder")
    assert open_bundle(tmp_path / "latest").host == "web01"
    assert [source.path for source in open_bundle(tmp_path / "case").sources] == ["route.txt"]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"eth0 caf\xe9\n", "eth0 caf\\xe9\n"),
        ("br-café ✓ 😀\n".encode(), "br-café ✓ 😀\n"),
        (b"a\0b\n", "a\0b\n"),
        (b"one\r\ntwo\r\n", "one\r\ntwo\r\n"),
        (b"\xef\xbb\xbfKernel IP routing table\n", "Kernel IP routing table\n"),
        (b"cut off \xe2\x9c", "cut off \\xe2\\x9c"),
        (b"\xed\xb0\x80", "\\xed\\xb0\\x80"),
    ],
)
def test_text_is_kept_and_bytes_that_are_not_utf8_stay_visible(make_tar: Make, data: bytes, text: str) -> None:
    assert open_bundle(make_tar({"a.txt": data})).sources[0].text == text


def test_a_name_that_is_not_utf8_stays_visible(tmp_path: Path, raw, texts: Texts) -> None:
    (tmp_path / "a.tar").write_bytes(raw.member("caf\udce9.txt", b"x") + raw.end_mark)
    assert texts(open_bundle(tmp_path / "a.tar")) == {"caf\\xe9.txt": "x"}


def test_a_backslash_in_a_name_is_only_a_character(make_tar: Make, texts: Texts) -> None:
    assert texts(open_bundle(make_tar({"..\\..\\a.txt": "x"}))) == {"..\\..\\a.txt": "x"}


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_paths_are_read_in_every_tar_format(tmp_path: Path, form: int, texts: Texts) -> None:
    long = "/".join(["a" * 60] * 3) + "/ip_addr.txt"
    with tarfile.open(tmp_path / "a.tar", "w", format=form) as archive:
        for path in (long, "short.txt"):
            archive.addfile(tarfile.TarInfo(path), io.BytesIO())
    assert texts(open_bundle(tmp_path / "a.tar")) == {long: "", "short.txt": ""}


@pytest.mark.skipif(not shutil.which("tar"), reason="needs GNU tar")
@pytest.mark.parametrize("form", ["v7", "oldgnu", "gnu", "ustar", "posix"])
def test_what_gnu_tar_writes_is_read(tmp_path: Path, form: str, texts: Texts) -> None:
    (tmp_path / "case" / "host").mkdir(parents=True)
    (tmp_path / "case" / "host" / "route.txt").write_text(ROUTE)
    subprocess.run(["tar", "-C", tmp_path, f"--format={form}", "-cf", tmp_path / "a.tar", "case"], check=True)
    assert texts(open_bundle(tmp_path / "a.tar")) == {"case/host/route.txt": ROUTE}


def test_a_global_extended_header_as_git_archive_writes_it_is_no_file(tmp_path: Path, raw, texts: Texts) -> None:
    head = raw.member("pax_global_header", raw.pax_record("comment", "8d1f"), tarfile.XGLTYPE)
    (tmp_path / "a.tar").write_bytes(head + raw.member("a.txt", b"x") + raw.end_mark)
    assert texts(open_bundle(tmp_path / "a.tar")) == {"a.txt": "x"}


def test_a_gzip_of_several_streams_and_with_padding_is_one_archive(tmp_path: Path, raw, texts: Texts) -> None:
    tar = raw.member("a.txt", b"one") + raw.member("b.txt", b"two") + raw.end_mark
    (tmp_path / "a.tgz").write_bytes(gzip.compress(tar[:700]) + gzip.compress(tar[700:]) + bytes(512))
    assert texts(open_bundle(tmp_path / "a.tgz")) == {"a.txt": "one", "b.txt": "two"}


def test_a_directory_may_come_twice(tmp_path: Path, raw, texts: Texts) -> None:
    folder = raw.member("host/", b"", tarfile.DIRTYPE)
    (tmp_path / "a.tar").write_bytes(folder + raw.member("host/a.txt", b"x") + folder + raw.end_mark)
    assert texts(open_bundle(tmp_path / "a.tar")) == {"host/a.txt": "x"}


def test_limits_that_are_just_met_refuse_nothing(tmp_path: Path, raw, texts: Texts) -> None:
    tar = raw.member("a/b.txt", b"0123456789") + raw.end_mark
    (tmp_path / "a.tar").write_bytes(tar)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.txt").write_bytes(b"0123456789")
    limits = Limits(members=1, member_bytes=10, total_bytes=len(tar), depth=2)
    assert texts(open_bundle(tmp_path / "a.tar", limits)) == {"a/b.txt": "0123456789"}
    limits = Limits(members=1, member_bytes=10, total_bytes=10, depth=1)
    assert texts(open_bundle(tmp_path / "a", limits)) == {"b.txt": "0123456789"}


def test_the_same_bundle_gives_the_same_result(make_bundle: Make) -> None:
    path = make_bundle({"host/b.txt": "b", "host/a.txt": "a"}, extra={"loose.txt": "c"})
    first, second = (open_bundle(path) for _ in range(2))
    assert [(s.path, s.text) for s in first.sources] == [(s.path, s.text) for s in second.sources]
    assert (first.problems, first.sha256) == (second.problems, second.sha256)


def test_nothing_is_written_beside_the_bundle(make_bundle: Make, tmp_path: Path) -> None:
    path = make_bundle({"host/route.txt": ROUTE})
    open_bundle(path)
    assert list(tmp_path.iterdir()) == [path]


def test_only_a_file_loads_tarfile_and_only_a_manifest_loads_jsonschema(make_bundle: Make, tmp_path: Path) -> None:
    archive = make_bundle({"host/a.txt": "a"})
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose" / "route.txt").write_text(ROUTE)
    program = (
        "import sys, pathlib, netdiag.bundle\n"
        "for path in sys.argv[1:]:\n"
        "    netdiag.bundle.open_bundle(pathlib.Path(path))\n"
        "    print(*(name for name in ('jsonschema', 'tarfile') if name in sys.modules))\n"
    )
    arguments = [tmp_path / "loose", tmp_path / "loose" / "route.txt", archive]
    child = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert child.stdout.splitlines() == ["", "tarfile", "jsonschema tarfile"]


def test_bzip2_inside_a_directory_is_only_text_that_nobody_can_read(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "trace.bz2").write_bytes(bz2.compress(b"x"))
    assert open_bundle(tmp_path / "a").sources[0].text.startswith("BZh9")
