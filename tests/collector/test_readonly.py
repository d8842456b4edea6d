"""The collector changes nothing on the host but its output directory."""

import subprocess
from pathlib import Path

import pytest

from .fakes import DEBIAN_PATH, FakeHost, is_private


def test_it_leaves_two_files_and_nothing_else(fake_host: FakeHost, tmp_path: Path) -> None:
    for place in ("here", "tmp"):
        (tmp_path / place).mkdir()
    subprocess.run(
        fake_host.command("-q"),
        env=fake_host.environment | {"TMPDIR": str(tmp_path / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=tmp_path / "here",
        check=True,
        stdout=subprocess.DEVNULL,
    )
    written = sorted(fake_host.output.iterdir())
    assert [path.suffix for path in written] == [".gz", ".sha256"]
    assert [is_private(path) for path in written] == [True, True]
    assert [list((tmp_path / place).iterdir()) for place in ("here", "tmp", "home")] == [[], [], []]


def test_it_works_where_only_the_output_directory_can_be_written(fake_host: FakeHost) -> None:
    expected = fake_host.collect("-q")
    output, elsewhere = fake_host.output, fake_host.folder / "file"
    only_output = (
        f"mount --make-rprivate / && mount --bind '{output}' '{output}' && mount -o remount,bind,ro / "
        f"&& ! /usr/bin/touch '{elsewhere}' 2>/dev/null && PATH='{fake_host.bin}' exec \"$@\""
    )
    environment = fake_host.environment | {"PATH": f"{fake_host.bin}:{DEBIAN_PATH}"}
    trial = subprocess.run(
        ["unshare", "--mount", "--", "true"], env=environment, capture_output=True, text=True, check=False
    )
    if trial.returncode:
        pytest.skip(f"needs a mount namespace: {trial.stderr.strip()}")
    command = ["unshare", "--mount", "--", "sh", "-c", only_output, "sh", *fake_host.command("-q")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert fake_host.read(ended.stdout).files.keys() == expected.files.keys()


def test_a_run_that_fails_leaves_nothing_behind(fake_host: FakeHost) -> None:
    command = ["sh", "-c", 'ulimit -f 20; exec "$@"', "sh", *fake_host.command("-q")]
    environment = fake_host.environment | {"PATH": f"{fake_host.bin}:{DEBIAN_PATH}"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "netdiag: no bundle: [Errno 27] File too large\n"
    assert list(fake_host.output.iterdir()) == []
