"""Counters are read when the run begins and when it ends, and around what the customer lets happen."""

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

from .fakes import COLLECTOR, WEB, Collected, FakeHost

MOVING = {
    *(
        "softnet-stat",
        "xfrm-stat",
        "ip-addr",
        "tc-qdisc",
        "nstat",
        "conntrack-stats",
        "iptables-save",
        "ip6tables-save",
    ),
}


def _counting(fake_host: FakeHost) -> Path:
    """Let nstat print how often it was asked on the host. Returns the file that counts."""
    fake_host.hide_machine_tools()
    fake_host.script("conntrack", "echo cpu=0 found=0")
    counter = fake_host.folder / "asked"
    fake_host.behave(
        "nstat",
        "-asz",
        f"echo x >>'{counter}'; echo \"#kernel\"; echo \"IpInReceives $(/usr/bin/wc -l <'{counter}') 0.0\"",
    )
    return counter


def _ids(bundle: Collected, scope: str) -> set[str]:
    return {row["id"] for row in bundle.manifest["artifacts"] if row["scope"] == scope}


def _number(text: str) -> int:
    return int(re.findall(r"IpInReceives\s+(\d+)", text)[0])


def test_the_hosts_counters_are_read_before_all_else_and_after_all_else(fake_host: FakeHost) -> None:
    _counting(fake_host)
    bundle = fake_host.collect()
    looks = [bundle.text("nstat", scope) for scope in ("before:host", "host", "after:host")]
    assert [_number(text) for text in looks] == [1, 2, 3]
    assert _ids(bundle, "before:host") == _ids(bundle, "after:host") == MOVING
    assert _ids(bundle, f"before:netns:{WEB}") == set()
    assert bundle.artifact("nstat", "after:host")["path"] == "after/host/nstat.txt"


def test_the_customers_command_runs_between_two_looks_at_all_namespaces(fake_host: FakeHost) -> None:
    counter = _counting(fake_host)
    fake_host.script("reproduce", f"echo \"asked $(/usr/bin/wc -l <'{counter}') times, $1\"")
    bundle = fake_host.collect("--during", "reproduce 'with blanks'")
    assert _number(bundle.text("nstat", "before:host")) == 2  # once for the state of the host
    assert bundle.text("during", "trace") == "asked 2 times, with blanks\n"
    assert _number(bundle.text("nstat", "after:host")) == 3
    assert (
        _ids(bundle, f"before:netns:{WEB}")
        == _ids(bundle, f"after:netns:{WEB}")
        == MOVING
        - {
            "softnet-stat",
            "xfrm-stat",
            "conntrack-stats",
        }
    )


def test_secrets_in_the_customers_command_are_masked(fake_host: FakeHost) -> None:
    fake_host.script("curl", "echo done")
    bundle = fake_host.collect("--during", "curl -u admin:Tr0ub4dor-and-3 http://198.51.100.7/")
    assert b"Tr0ub4dor" not in b"".join(bundle.files.values())
    assert bundle.artifact("during", "trace")["argv"][-2:] == ["admin:<masked>", "http://198.51.100.7/"]
    assert bundle.manifest["options"]["during"] == "curl -u admin:<masked> http://198.51.100.7/"


def test_waiting_takes_the_place_of_a_command(fake_host: FakeHost) -> None:
    fake_host.script("sleep", 'echo "slept $1"')
    assert fake_host.collect("--for", "7.5").text("during", "trace") == "slept 7.5\n"


def test_an_interrupt_of_the_waiting_still_leaves_the_second_look_out_and_all_else_in(
    fake_host: FakeHost, tmp_path: Path
) -> None:
    marker = tmp_path / "waiting"
    fake_host.script("reproduce", f"echo >'{marker}'; exec /bin/sleep 1000")
    with subprocess.Popen(
        fake_host.command("--during", "reproduce"),
        env=fake_host.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not marker.exists():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=60)
    bundle = fake_host.read(stdout)
    assert bundle.artifact("during", "trace")["signal"] == signal.SIGKILL
    assert bundle.artifact("nstat", "before:host")["exit_code"] == 0
    assert bundle.artifact("nstat", "after:host")["skipped"] == "interrupted"


def test_a_container_that_was_started_again_and_rules_that_changed_differ_in_the_fingerprints(
    fake_host: FakeHost,
) -> None:
    fake_host.answer("docker", "ps --quiet --no-trunc", f"{WEB}\n")
    asked = fake_host.folder / "times"
    fake_host.behave(
        "docker",
        "inspect --format {{.Id}} {{.State.StartedAt}}*",
        f"echo x >>'{asked}'; echo \"{WEB} 2026-01-01T00:00:0$(/usr/bin/wc -l <'{asked}' | /usr/bin/tr -d ' ')Z\"",
    )
    saved = fake_host.folder / "saved"
    fake_host.behave(
        "iptables-save",
        "-c",
        f"echo x >>'{saved}'; printf '*filter\\n:INPUT ACCEPT [%s:0]\\n' \"$(/usr/bin/wc -l <'{saved}')\"\n"
        f"[ \"$(/usr/bin/wc -l <'{saved}')\" -lt 4 ] || echo '[0:0] -A INPUT -j DROP'; echo COMMIT",
    )
    fake_host.set_containers()
    fingerprints = fake_host.collect().manifest["fingerprints"]
    before, after = fingerprints["before"], fingerprints["after"]
    assert before["containers"] == {WEB: "2026-01-01T00:00:01Z"}
    assert after["containers"] == {WEB: "2026-01-01T00:00:02Z"}
    assert before["rules"]["iptables-save"] == after["rules"]["iptables-save"], "only a counter differs"
    saved.write_text("x\n" * 3)
    again = fake_host.collect("--label", "again").manifest["fingerprints"]
    assert again["before"]["rules"]["iptables-save"] == again["after"]["rules"]["iptables-save"]
    assert again["before"]["rules"] != before["rules"]


@pytest.mark.parametrize(
    "options",
    [
        ["--for", "0"],
        ["--for", "5", "--during", "true"],
        ["--trace", "1", "--trace-command", "true"],
        ["--trace-functions"],
        ["--trace-functions", "--for", "2"],
    ],
    ids=" ".join,
)
def test_contradictions_are_refused(options: list[str], tmp_path: Path) -> None:
    ended = subprocess.run(
        ["python3", str(COLLECTOR), "-o", str(tmp_path), *options], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (2, "")


def test_the_ledger_counts_by_rule_and_by_file(fake_host: FakeHost) -> None:
    fake_host.containers[0]["Config"]["Env"] = ["DB_PASSWORD=Tr0ub4dor-and-3"]
    fake_host.set_containers()
    fake_host.behave("ip", "rule", "echo 'Tr0ub4dor-and-3'; echo 'password=hunter2hunter2' >&2; exit 1")
    bundle = fake_host.collect()
    ledger = json.loads(bundle.files["redaction.json"])
    assert ledger["rules"] == bundle.manifest["redaction"]
    assert ledger["files"]["docker/inspect.json"]["environment"] == 1
    assert ledger["files"]["host/ip-rule.txt"] == {"seen-elsewhere": 1}
    assert ledger["files"]["host/ip-rule.txt.stderr.txt"] == {"assignment": 1}
    assert b"Tr0ub4dor" not in bundle.files["redaction.json"]
