"""The bundle as a whole: its name, its members, its manifest."""

import hashlib
import json
import os
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import netdiag

from .fakes import CAPTURED, WEB, Collected, FakeHost, is_private

SCHEMA: dict[str, Any] = json.loads(
    Path(netdiag.__file__).with_name("bundle").joinpath("manifest.schema.json").read_text()
)
ARTIFACT_KEYS = (
    *("id", "format", "argv", "scope", "path", "exit_code", "signal", "timed_out", "truncated"),
    *("bytes", "sha256", "started", "duration_s", "stderr_path", "skipped"),
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, container_netns: str) -> Collected:
    return FakeHost(tmp_path_factory.mktemp("host"), container_netns).collect("--label", "ticket 7/b")


def _violations(instance: object) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(SCHEMA).iter_errors(instance)]


def test_the_manifest_is_valid_by_its_schema(bundle: Collected) -> None:
    assert _violations(bundle.manifest) == []


def test_the_schema_is_sound_describes_every_property_and_lets_readers_ignore_unknown_keys() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    objects = [SCHEMA, *SCHEMA["$defs"].values(), *SCHEMA["properties"].values()]
    with_properties = [node for node in objects if "properties" in node]
    assert [node["additionalProperties"] for node in with_properties] == [True] * len(with_properties)
    undescribed = [
        name for node in with_properties for name, of in node["properties"].items() if not of.get("description")
    ]
    assert undescribed == []


@pytest.mark.parametrize(
    ("key", "value"),
    [("schema_version", "2.0"), ("clock", {}), ("uid", "root"), ("artifacts", {}), ("redaction", {"rule": "secret"})],
)
def test_the_schema_refuses_what_is_not_a_manifest(bundle: Collected, key: str, value: object) -> None:
    assert len(_violations(bundle.manifest | {key: value})) > 0


def test_every_artifact_has_all_keys_in_the_order_of_the_contract(bundle: Collected) -> None:
    assert {tuple(row) for row in bundle.manifest["artifacts"]} == {ARTIFACT_KEYS}


def test_the_name_tells_host_label_and_time(bundle: Collected) -> None:
    host = re.escape(os.uname().nodename)
    assert re.fullmatch(rf"netdiag-{host}-ticket-7-b-[0-9]{{8}}T[0-9]{{6}}Z\.tar\.gz", bundle.path.name)


def test_the_manifest_is_the_first_member_and_one_directory_holds_all(bundle: Collected) -> None:
    top = bundle.path.name.removesuffix(".tar.gz")
    assert bundle.names[0] == f"{top}/manifest.json"
    assert {name.partition("/")[0] for name in bundle.names} == {top}
    assert len(set(bundle.names)) == len(bundle.names)


def test_members_are_plain_files_of_root_that_only_the_owner_reads(bundle: Collected) -> None:
    with tarfile.open(bundle.path) as archive:
        kinds = {(m.type, m.mode, m.uid, m.gid, m.uname, m.gname) for m in archive.getmembers()}
    assert kinds == {(tarfile.REGTYPE, 0o600, 0, 0, "root", "root")}


def test_bundle_and_checksum_are_private_and_agree(bundle: Collected) -> None:
    checksum = bundle.path.with_name(bundle.path.name + ".sha256")
    assert (is_private(bundle.path), is_private(checksum)) == (True, True)
    assert checksum.read_text() == f"{hashlib.sha256(bundle.path.read_bytes()).hexdigest()}  {bundle.path.name}\n"


def test_the_manifest_lists_every_file_with_its_size_and_hash(bundle: Collected) -> None:
    rows = [row for row in bundle.manifest["artifacts"] if row["path"]]
    listed = {row["path"]: (row["bytes"], row["sha256"]) for row in rows}
    actual = {
        path: (len(data), hashlib.sha256(data).hexdigest())
        for path, data in bundle.files.items()
        if path != "manifest.json" and not path.endswith(".stderr.txt")
    }
    assert listed == actual
    errors = {row["stderr_path"] for row in rows if row["stderr_path"]}
    assert errors == {path for path in bundle.files if path.endswith(".stderr.txt")}


def test_a_path_follows_from_scope_and_id(bundle: Collected) -> None:
    paths = {(row["scope"], row["id"]): row["path"] for row in bundle.manifest["artifacts"]}
    assert paths["host", "ip-addr"] == "host/ip-addr.txt"
    assert paths[f"netns:{WEB}", "ip-addr"] == f"netns/{WEB}/ip-addr.txt"
    assert paths["docker", "docker-inspect"] == "docker/inspect.json"
    assert paths["docker", "docker-network-inspect"] == "docker/network_inspect.json"
    assert paths["docker", "docker-ps"] == "docker/ps.txt"
    assert paths["files", "os-release"] == "files/etc/os-release"
    assert paths["logs", "collector-log"] == "logs/collector.log"


def _as_stored(captured: Path) -> str:
    """What a tool printed; settings of the kernel as sysctl(8) would print them."""
    text = captured.read_text()
    if captured.stem != "sysctl":
        return text
    settings = (line.removeprefix("/proc/sys/").partition(":") for line in text.splitlines())
    return "".join(f"{path.translate(str.maketrans('./', '/.'))} = {value}\n" for path, _, value in settings)


@pytest.mark.parametrize("captured", sorted((CAPTURED / "host").glob("*.txt")), ids=lambda path: path.stem)
def test_what_a_tool_printed_arrives_unchanged(bundle: Collected, captured: Path) -> None:
    assert bundle.text(captured.stem) == _as_stored(captured)


@pytest.mark.parametrize("captured", sorted((CAPTURED / "netns").glob("*.txt")), ids=lambda path: path.stem)
def test_a_container_is_asked_in_its_own_namespace(bundle: Collected, captured: Path) -> None:
    missing = bundle.artifact("iptables-filter", f"netns:{WEB}")["skipped"]
    assert missing == "table filter does not exist; listing it could create it"
    if captured.stem != "iptables-filter":
        assert bundle.text(captured.stem, f"netns:{WEB}") == _as_stored(captured)


@pytest.mark.parametrize("name", ["version", "info", "network_inspect"])
def test_json_arrives_with_the_same_content_one_key_a_line(bundle: Collected, name: str) -> None:
    stored = bundle.files[f"docker/{name}.json"].decode()
    assert json.loads(stored) == json.loads((CAPTURED / f"docker/{name}.txt").read_text())
    assert stored.count("\n") > stored.count('": ')


def test_without_secrets_docker_inspect_is_stored_byte_for_byte(fake_host: FakeHost) -> None:
    printed = (CAPTURED / "docker/inspect.txt").read_text()
    fake_host.answer("docker", "inspect *", printed)
    assert fake_host.collect("--keep-inspect").files["docker/inspect.json"].decode() == printed


def test_the_manifest_says_what_was_run_and_how_it_ended(bundle: Collected) -> None:
    row = bundle.artifact("iptables-nat")
    assert row["argv"] == ["iptables", "-t", "nat", "-L", "-v", "-n", "-x"]
    assert (row["exit_code"], row["signal"], row["timed_out"], row["truncated"]) == (0, None, False, False)
    inside = bundle.artifact("ip-addr", f"netns:{WEB}")["argv"]
    assert (inside[0], inside[2:]) == ("nsenter", ["--", "ip", "-d", "-s", "addr"])
    ids = re.findall("(?m)^[0-9a-f]{64}", (CAPTURED / "docker/ps.txt").read_text())
    assert bundle.artifact("docker-inspect", "docker")["argv"] == ["docker", "inspect", *ids]


def test_the_manifest_says_who_collected_and_how(bundle: Collected) -> None:
    manifest = bundle.manifest
    assert re.fullmatch("[0-9a-f]{64}", manifest["collector"]["sha256"])
    assert (manifest["host"], manifest["kernel"]) == (os.uname().nodename, os.uname().release)
    assert manifest["uid"] == os.geteuid()
    assert manifest["options"] == {
        "allow_system_changes": False,
        "conntrack": False,
        "dry_run": False,
        "during": "",
        "jobs": 2,
        "keep_inspect": False,
        "label": "ticket 7/b",
        "list": False,
        "mask": True,
        "max_bytes": 16 * 1024 * 1024,
        "max_time": 300.0,
        "quiet": False,
        "seconds": 0.0,
        "timeout": 20.0,
        "trace": 0.0,
        "trace_command": "",
        "trace_functions": False,
    }


def test_the_manifest_names_the_script_by_its_hash(fake_host: FakeHost) -> None:
    written = hashlib.sha256(fake_host.collector.read_bytes()).hexdigest()
    assert fake_host.collect().manifest["collector"]["sha256"] == written


def test_the_manifest_says_what_was_there_when_the_run_began_and_ended(bundle: Collected) -> None:
    before, after = (bundle.manifest["fingerprints"][moment] for moment in ("before", "after"))
    assert before == after
    assert list(before["interfaces"]) == ["lo"]
    assert sorted(before["rules"]) == ["ip6tables-save", "iptables-save"]


def test_an_error_output_is_stored_beside_and_listed(fake_host: FakeHost) -> None:
    fake_host.behave("ip", "rule", "echo 'some rules'; echo 'Dump terminated' >&2; exit 2")
    bundle = fake_host.collect()
    row = bundle.artifact("ip-rule")
    assert (row["exit_code"], row["stderr_path"]) == (2, "host/ip-rule.txt.stderr.txt")
    assert bundle.files["host/ip-rule.txt"] == b"some rules\n"
    assert bundle.files[row["stderr_path"]] == b"Dump terminated\n"


def test_the_path_of_the_bundle_is_printed_last_and_quiet_says_nothing_else(fake_host: FakeHost) -> None:
    assert "please send this file" in fake_host.collect().stderr
    assert fake_host.collect("-q", "--label", "again").stderr == ""


def test_output_that_is_not_utf8_is_kept_byte_for_byte(fake_host: FakeHost) -> None:
    fake_host.behave("ip", "neigh", r"printf 'a\377\200b\000c\n'")
    assert fake_host.collect().files["host/ip-neigh.txt"] == b"a\xff\x80b\0c\n"
