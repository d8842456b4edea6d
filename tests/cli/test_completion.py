"""Completion in real shells: what the documentation says to put into the shell's file, and the key pressed."""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the command `netdiag` of these sources, and nothing else."""
    script = tmp_path / "netdiag"
    script.write_text(f"#!{sys.executable}\nfrom netdiag.cli import main\nmain()\n")
    script.chmod(0o755)
    return tmp_path


def typed(folder: Path, argv: list[str], commands: list[str], begun: str, wanted: str) -> str:
    """What a shell shows, after these commands, of a line that is begun and completed, until `wanted` is shown."""
    paths = os.pathsep.join(path for path in sys.path if path)
    environment = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "PYTHONPATH": paths,
        "TERM": "xterm",
        "LANG": "C.UTF-8",
        "HOME": str(folder),
    }
    terminal, its = pty.openpty()
    # a terminal of its own, or the shell has no key that completes
    shell = subprocess.Popen(["setsid", "--ctty", *argv], stdin=its, stdout=its, stderr=its, env=environment)
    os.close(its)
    try:
        # the shell echoes what is typed: only its answer has the word without quotes
        os.write(terminal, "".join(f"{command}\n" for command in [*commands, "echo REA''DY"]).encode())
        _until("READY", terminal)
        os.write(terminal, f"{begun}\t".encode())
        return _until(wanted, terminal)
    finally:
        shell.kill()
        shell.wait()
        os.close(terminal)


def _until(wanted: str, terminal: int) -> str:
    """What is written until `wanted` is there, which may take a minute; without the escape sequences."""
    written = b""
    while select.select([terminal], [], [], 60)[0]:
        try:
            written += os.read(terminal, 65_536)
        except OSError:  # the shell has ended
            break
        shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode("utf-8", errors="replace"))
        if wanted in shown:
            return shown
    return written.decode("utf-8", errors="replace")


def command_of(shell: str) -> str:
    """What the documentation says to put into the shell's file."""
    text = (DOCS / "exit-codes.md").read_text(encoding="utf-8")
    return re.search(rf"(?m)^    (.*_NETDIAG_COMPLETE={shell}_source.*?)(?: +#.*)?$", text)[1]  # type: ignore[index]


SHELLS = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes_what_is_begun(shell: str, folder: Path) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    prepared = ["autoload -Uz compinit && compinit -u"] if shell == "zsh" else []
    shown = typed(folder, SHELLS[shell], [*prepared, command_of(shell)], "netdiag explain link-stale", "stale-bridge")
    assert "link-stale-bridge" in shown
