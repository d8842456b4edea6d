"""One file for every Python from 3.6 on."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .fakes import COLLECTOR, DEBIAN_PATH, INTERPRETERS, Collected, FakeHost, read_bundle


def _content(bundle: Collected) -> tuple[dict[str, bytes], dict[str, Any]]:
    """All that does not depend on when and by what the bundle was written; the machine's own counters move."""
    own = ("manifest.json", "collector.log", "softnet_stat", "conntrack-stats.txt")
    files = {path: data for path, data in bundle.files.items() if not path.endswith(own)}
    manifest: dict[str, Any] = {key: value for key, value in bundle.manifest.items() if key not in ("argv", "clock")}
    manifest["artifacts"] = [
        {key: value for key, value in row.items() if key not in ("started", "duration_s")}
        for row in manifest["artifacts"]
        if row["id"] not in ("collector-log", "softnet-stat", "conntrack-stats")
    ]
    return files, manifest


def test_the_bundle_is_the_same_on_every_python(fake_host: FakeHost, interpreter: str) -> None:
    fake_host.containers[0]["Config"]["Env"] = ["DB_PASSWORD=Tr0ub4dor-and-3", "PATH=/bin"]
    fake_host.set_containers()
    fake_host.behave("ip", "neigh", r"printf '\377 password=x\n'; echo 'u:Tr0ub4dor-and-3' >&2; exit 1")
    expected = fake_host.collect(python=sys.executable)
    assert expected.manifest["redaction"]["environment"] == 2
    files, manifest = _content(fake_host.collect("--label", "", python=interpreter))
    expected_files, expected_manifest = _content(expected)
    assert [row for row in manifest["artifacts"] if row not in expected_manifest["artifacts"]] == []
    order = [(row["scope"], row["id"]) for row in manifest["artifacts"]]
    assert order == [(row["scope"], row["id"]) for row in expected_manifest["artifacts"]]
    assert [key for key in expected_manifest if manifest.get(key) != expected_manifest[key]] == []
    assert files == expected_files


@pytest.mark.skipif(not shutil.which("ip", path=DEBIAN_PATH), reason="needs ip (Debian: iproute2)")
@pytest.mark.skipif(not Path("/proc/sys").exists(), reason="needs /proc, which is not mounted")
def test_it_runs_on_this_machine_with_every_python(interpreter: str, tmp_path: Path) -> None:
    # among its own processes, so that it finds no namespaces of others, which may be many
    alone = ["unshare", "--pid", "--fork", "--mount-proc", "--"] if os.geteuid() == 0 else []
    ended = subprocess.run(
        [*alone, interpreter, str(COLLECTOR), "-o", str(tmp_path), "--timeout", "60"],
        env={"PATH": DEBIAN_PATH, "PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert "Warning" not in ended.stderr
    bundle = read_bundle(Path(ended.stdout.splitlines()[-1]))
    assert bundle.artifact("ip-addr")["exit_code"] == 0
    assert "LOOPBACK" in bundle.text("ip-addr")
    assert "net.ipv4.ip_forward = " in bundle.text("sysctl")


def test_there_is_more_than_one_python_to_try() -> None:
    assert len(INTERPRETERS) >= 1
