"""What the collector does to a host that is busy, full or strange: little, and it says so."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import netdiag_collect as collect
from netdiag import places

from .fakes import COLLECTOR, WEB, FakeHost, with_constant


def _is_nft(fake_host: FakeHost) -> None:
    """Let the firewall commands lead where they lead on a host with the nft backend."""
    for tool in ("iptables", "ip6tables"):
        (fake_host.bin / tool).rename(fake_host.bin / f"{tool}-nft-multi")
        (fake_host.bin / tool).symlink_to(f"{tool}-nft-multi")


def test_a_dry_run_prints_every_command_and_runs_and_writes_nothing(fake_host: FakeHost) -> None:
    ran = fake_host.folder / "ran"
    for tool in ("ip", "docker", "nsenter", "iptables-save", "sysctl", "ionice"):
        fake_host.script(tool, f"echo {tool} >>'{ran}'")
    _is_nft(fake_host)
    ended = subprocess.run(
        fake_host.command("--dry-run"), env=fake_host.environment, capture_output=True, text=True, check=True
    )
    assert ended.stderr == ""
    lines = ended.stdout.splitlines()
    commands = ("ip -d -s addr", "iptables -t nat -L -v -n -x", "docker inspect '<each id>'", "cat /etc/resolv.conf")
    assert [command for command in commands if command.replace("'", "") not in ended.stdout.replace("'", "")] == []
    assert lines.index("ip -d -s addr") < lines.index("ip rule")
    assert not ran.exists()
    assert list(fake_host.output.iterdir()) == []


def test_what_a_dry_run_prints_is_what_a_run_runs(fake_host: FakeHost) -> None:
    fake_host.hide_machine_tools()
    fake_host.remove("nsenter")  # the rehearsal knows no containers
    _is_nft(fake_host)
    dry = subprocess.run(
        fake_host.command("--dry-run"), env=fake_host.environment, capture_output=True, text=True, check=True
    ).stdout
    rows = fake_host.collect().manifest["artifacts"]
    ran = {" ".join(row["argv"]) for row in rows if row["argv"] and not row["skipped"] and row["scope"] == "host"}
    assert ran - {line.replace("'", "") for line in dry.splitlines()} == set()


def test_the_list_names_every_item_with_its_reason() -> None:
    printed = subprocess.run([sys.executable, str(COLLECTOR), "--list"], capture_output=True, text=True, check=True)
    assert [item.id for item in collect.ITEMS if f"{item.id:24} " not in printed.stdout] == []
    assert [item.id for item in collect.ITEMS if item.why not in printed.stdout] == []


def test_the_whole_run_has_a_time_limit_and_says_what_it_cost(fake_host: FakeHost) -> None:
    fake_host.behave("ip", "rule", "exec /bin/sleep 1000")
    clock = time.monotonic()
    bundle = fake_host.collect("--max-time", "2")
    assert time.monotonic() - clock < 20
    reasons = {row["skipped"] for row in bundle.manifest["artifacts"] if row["skipped"]}
    assert "the time limit of the whole run (2 s) was reached" in reasons
    assert bundle.artifact("ip-rule")["timed_out"] is True


def test_it_does_not_begin_where_the_disk_is_nearly_full(fake_host: FakeHost) -> None:
    source = fake_host.collector.read_text()
    fake_host.collector.write_text(with_constant(source, "MIN_FREE", 1 << 62))
    ended = subprocess.run(fake_host.command(), env=fake_host.environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert re.fullmatch(r"netdiag: no bundle: less than \d+ MB are free in \S+\n", ended.stderr)


def test_a_namespace_that_hangs_costs_one_time_limit(fake_host: FakeHost) -> None:
    fake_host.script("nsenter", "exec /bin/sleep 1000")
    rows = fake_host.collect("--timeout", "0.5").manifest["artifacts"]
    there = [row for row in rows if row["scope"] == f"netns:{WEB}" and row["argv"]]
    assert [row["timed_out"] for row in there] == [True] + [False] * (len(there) - 1)
    reasons = {row["skipped"] for row in there[1:]} - {
        row["skipped"] for row in there if "which tables" in str(row["skipped"])
    }
    assert reasons == {"an earlier command here did not answer within 0.5 s"}


def test_after_three_namespaces_that_hang_no_other_one_is_entered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = collect.Runner(0.2, 1024)
    monkeypatch.setattr(runner, "has", lambda *_: True)
    ran: list[str] = []

    def hang(argv: list[str], **_: Any) -> collect.Result:
        ran.append(argv[0])
        return collect.Result(list(argv), b"", b"", None, signal=9, timed_out=True)

    monkeypatch.setattr(runner, "run", hang)
    collector = collect.Collector(str(tmp_path), runner, collect.Masker(), lambda _: None)
    for number in range(5):
        collector._take(collect.ITEM["ip-rule"], collect.Space(f"netns:{number}", f"netns/{number}", ("nsenter",)))
    assert ran == ["nsenter"] * 3
    assert {row["skipped"] for row in collector.rows} == {
        None,
        "commands in 3 other namespaces did not answer within 0.2 s",
    }


def test_it_steps_back_behind_everything_else(fake_host: FakeHost) -> None:
    fake_host.collector.write_text(with_constant(fake_host.collector.read_text(), "NICENESS", 7))
    fake_host.script("ionice", f"echo \"$*\" >'{fake_host.folder}/ionice'")
    fake_host.behave("ip", "rule", "/usr/bin/nice")
    bundle = fake_host.collect()
    assert int(bundle.text("ip-rule")) >= 7
    assert re.fullmatch(r"-c 3 -p \d+\n", (fake_host.folder / "ionice").read_text())


def test_namespaces_that_are_no_containers_are_collected_once_each(
    fake_host: FakeHost, container_netns: str, tmp_path: Path
) -> None:
    named = tmp_path / "named"
    named.mkdir()
    (named / "ingress_sbox").symlink_to("/proc/self/ns/net")  # the collector's own
    (named / "lb_x").symlink_to(container_netns)
    (named / "odd name").symlink_to(container_netns)
    for container in fake_host.containers:
        container["State"]["Running"] = False
    fake_host.set_containers()
    fake_host.collector.write_text(with_constant(fake_host.collector.read_text(), "NAMESPACES", (str(named),)))
    rows = fake_host.collect().manifest["artifacts"]
    assert {row["scope"] for row in rows if row["scope"].startswith("netns:")} == {"netns:lb_x"}
    prefix = next(row["argv"][:3] for row in rows if (row["id"], row["scope"]) == ("ip-addr", "netns:lb_x"))
    assert prefix == ["nsenter", f"--net={named}/lb_x", "--"]


def test_of_docker_inspect_only_what_a_diagnosis_needs_is_kept(fake_host: FakeHost) -> None:
    fake_host.containers[0]["Config"]["Labels"] = {"com.example.secret-project": "merger"}
    fake_host.containers[0]["State"]["Health"] = {"Status": "unhealthy", "Log": [{"Output": "health says: no"}]}
    fake_host.containers[0]["HostConfig"]["Binds"] = ["/home/eve/keys:/keys"]
    fake_host.set_containers()
    bundle = fake_host.collect()
    text = bundle.files["docker/inspect.json"].decode()
    kept = json.loads(text)
    assert [word for word in ("merger", "/home/eve", '"Cmd"', "GraphDriver", "health says") if word in text] == []
    assert kept[0]["State"]["Health"] == {"Status": "unhealthy"}
    assert kept[0]["NetworkSettings"] == fake_host.containers[0]["NetworkSettings"]
    assert set(kept[0]) <= set(collect.INSPECT_KEYS)
    assert bundle.manifest["redaction"][collect.LEFT_OUT] > 50
    whole = fake_host.collect("--keep-inspect", "--label", "all").files["docker/inspect.json"].decode()
    assert "/home/eve" in whole


def test_the_keys_that_parsers_rely_on_are_kept() -> None:
    schema = json.loads((places.grammars() / "docker_inspect.schema.json").read_text())
    items = schema["items"]["properties"] if "items" in schema else schema["properties"]
    assert set(items) - set(collect.INSPECT_KEYS) == set()
    for key, wanted in collect.INSPECT_KEYS.items():
        inner = items.get(key, {}).get("properties", {}) if wanted else {}
        assert set(inner) - set(wanted.split()) == set(), key


def test_the_sha256_of_the_bundle_is_told(fake_host: FakeHost) -> None:
    bundle = fake_host.collect()
    checksum = bundle.path.with_name(bundle.path.name + ".sha256").read_text().split()[0]
    assert f"netdiag: sha256 {checksum}\n" in bundle.stderr
