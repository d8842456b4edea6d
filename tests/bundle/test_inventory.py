"""What the manifest says against what the bundle holds: every difference is told, none is fatal."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from netdiag.bundle import NotCollected, Problem, open_bundle

Make = Callable[..., Path]
UNLISTED = "present in the bundle, but not listed in its manifest"
ABSENT = "listed in the manifest, but absent from the bundle"


def test_a_file_that_was_changed_after_the_collection_is_a_problem_and_still_a_source(make_bundle: Make) -> None:
    bundle = open_bundle(
        make_bundle(
            {"host/a.txt": "changed", "host/b.txt": "cut"},
            artifacts={"host/a.txt": {"sha256": "0" * 64}, "host/b.txt": {"bytes": 4000}},
        )
    )
    assert bundle.problems == (
        Problem("host/a.txt", "its SHA-256 is not the one in the manifest: it was changed after it was collected"),
        Problem("host/b.txt", "has 3 bytes, the manifest says 4000"),
    )
    assert [(source.path, source.text) for source in bundle.sources] == [
        ("host/a.txt", "changed"),
        ("host/b.txt", "cut"),
    ]


def test_a_file_without_a_hash_in_the_manifest_cannot_differ_from_it(make_bundle: Make) -> None:
    path = make_bundle({"host/a.txt": "a"}, artifacts={"host/a.txt": {"sha256": None, "bytes": None}})
    assert open_bundle(path).problems == ()


def test_what_is_listed_but_absent_is_a_problem(make_bundle: Make) -> None:
    lost = {
        "id": "route",
        "format": "route",
        "scope": "host",
        "path": "host/route.txt",
        "stderr_path": "host/route.err",
    }
    assert open_bundle(make_bundle({"host/a.txt": "a"}, skipped=(lost,))).problems == (
        Problem("host/route.err", ABSENT),
        Problem("host/route.txt", ABSENT),
    )


def test_what_is_present_but_unlisted_is_a_problem_and_a_loose_source(make_bundle: Make) -> None:
    bundle = open_bundle(make_bundle({"host/a.txt": "a"}, extra={"notes.txt": "call me"}))
    assert bundle.problems == (Problem("notes.txt", UNLISTED),)
    assert [(source.path, source.text, source.format) for source in bundle.sources] == [
        ("host/a.txt", "a", "a"),
        ("notes.txt", "call me", ""),
    ]


def test_what_lies_outside_of_the_top_directory_is_unlisted(make_manifest, make_tar: Make) -> None:
    manifest = json.dumps(make_manifest({"host/a.txt": "a"}))
    bundle = open_bundle(make_tar({"top/manifest.json": manifest, "top/host/a.txt": "a", "._top": "Mac OS X"}))
    assert bundle.problems == (Problem("._top", UNLISTED),)
    assert [source.path for source in bundle.sources] == ["._top", "host/a.txt"]


def test_stderr_and_logs_are_neither_sources_nor_problems(make_bundle: Make) -> None:
    bundle = open_bundle(
        make_bundle(
            {"host/a.txt": "a", "host/a.err": "warning\n"},
            artifacts={"host/a.txt": {"stderr_path": "host/a.err"}},
            extra={"logs/collector.log": "10:15:00 host\n"},
        )
    )
    assert bundle.problems == ()
    assert [(source.path, source.trouble) for source in bundle.sources] == [("host/a.txt", "")]


@pytest.mark.parametrize(
    ("facts", "trouble"),
    [
        ({"exit_code": 0}, ""),
        ({"exit_code": 1}, "exit code 1: iptables v1.8.9: Permission denied"),
        ({"exit_code": None, "signal": 9}, "killed by signal 9: iptables v1.8.9: Permission denied"),
        ({"exit_code": None, "signal": 9, "timed_out": True}, "timed out: iptables v1.8.9: Permission denied"),
        ({"truncated": True}, "truncated: iptables v1.8.9: Permission denied"),
        ({"exit_code": 4, "truncated": True}, "exit code 4, truncated: iptables v1.8.9: Permission denied"),
    ],
)
def test_a_source_says_why_it_may_not_be_the_whole_answer(make_bundle: Make, facts: dict, trouble: str) -> None:
    errors = "\n  iptables v1.8.9: Permission denied \nyou must be root\n"
    path = make_bundle(
        {"host/a.txt": "a", "host/a.err": errors},
        artifacts={"host/a.txt": {"stderr_path": "host/a.err", **facts}},
    )
    assert open_bundle(path).sources[0].trouble == trouble


def test_a_failed_command_without_stderr_gives_its_exit_code(make_bundle: Make) -> None:
    path = make_bundle({"host/a.txt": ""}, artifacts={"host/a.txt": {"exit_code": 2}})
    assert open_bundle(path).sources[0].trouble == "exit code 2"


def test_what_the_collector_left_out_is_named_with_its_reason(make_bundle: Make) -> None:
    nat = {
        "id": "iptables_nat",
        "format": "iptables_list",
        "scope": "netns:7f3a",
        "argv": ["iptables", "-t", "nat", "-L", "-v", "-n", "-x"],
        "path": None,
        "skipped": "the table is not loaded",
    }
    nothing = {"id": "arp", "format": "arp", "scope": "host"}
    bundle = open_bundle(make_bundle({"host/a.txt": "a"}, skipped=(nat, nothing)))
    assert bundle.not_collected == (
        NotCollected(
            "iptables_nat", "netns:7f3a", "iptables -t nat -L -v -n -x", "iptables_list", "the table is not loaded"
        ),
        NotCollected("arp", "host", "", "arp", "the manifest names no file for it"),
    )
    assert bundle.problems == ()


def test_a_bundle_that_got_nothing_is_read(make_bundle: Make) -> None:
    bundle = open_bundle(make_bundle({}, skipped=({"id": "a", "format": "a", "scope": "host", "skipped": "not root"},)))
    assert (bundle.sources, len(bundle.not_collected)) == ((), 1)


def test_a_file_that_is_listed_twice_counts_once(make_bundle: Make) -> None:
    again = {"id": "again", "format": "again", "scope": "host", "path": "host/a.txt"}
    bundle = open_bundle(make_bundle({"host/a.txt": "a"}, skipped=(again,)))
    assert bundle.problems == (
        Problem("host/a.txt", "listed in the manifest more than once, the first listing counts"),
    )
    assert [(source.path, source.format) for source in bundle.sources] == [("host/a.txt", "a")]


def test_a_manifest_that_lists_files_of_this_machine_does_not_get_them(make_bundle: Make) -> None:
    theft = [
        {"id": "a", "format": "a", "scope": "host", "path": path, "stderr_path": path}
        for path in ("/etc/passwd", "../../../../../../etc/passwd")
    ]
    bundle = open_bundle(make_bundle({"host/a.txt": "a"}, skipped=tuple(theft)))
    assert [source.text for source in bundle.sources] == ["a"]
    assert {problem.path for problem in bundle.problems} == {"/etc/passwd", "../../../../../../etc/passwd"}


def test_keys_that_we_do_not_know_are_ignored_and_a_newer_minor_version_is_read(make_bundle: Make) -> None:
    path = make_bundle(
        {"host/a.txt": "a"},
        artifacts={"host/a.txt": {"colour": "green"}},
        schema_version="1.7",
        phase_of_the_moon={"waning": True},
    )
    assert open_bundle(path).problems == ()


def test_a_name_that_the_collector_could_not_decode_is_the_same_name_in_the_manifest_and_in_the_tar(
    make_manifest, make_tar: Make, raw, tmp_path: Path
) -> None:
    """The collector's Python reads the byte 0xe9 as U+DCE9 and JSON writes that as an escape; tar keeps the byte."""
    manifest = json.dumps(make_manifest({"files/caf\udce9": "a"}, host='\ud83d\ude00 \\udce9 \ud800 "'))
    members = raw.member("t/manifest.json", manifest.encode()), raw.member("t/files/caf\udce9", b"a"), raw.end_mark
    (tmp_path / "a.tar").write_bytes(b"".join(members))
    bundle = open_bundle(tmp_path / "a.tar")
    assert ([source.path for source in bundle.sources], bundle.problems) == (["files/caf\\xe9"], ())
    assert bundle.host == '😀 \\udce9 \\ud800 "'
