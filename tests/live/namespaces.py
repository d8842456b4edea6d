"""A network namespace that lives as long as a test needs it, without a host around it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import lab


@contextmanager
def network_namespace() -> Iterator[int]:
    """An empty network namespace: the number of the process that holds it."""
    unshare = shutil.which("unshare", path=lab.DEBIAN_PATH) or "unshare"
    holder = subprocess.Popen([unshare, "--net", "sleep", "infinity"])
    try:
        while os.readlink(f"/proc/{holder.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            time.sleep(0.01)
        yield holder.pid
    finally:
        holder.kill()
        holder.wait()


def entering(pid: int, argv: Sequence[str]) -> list[str]:
    """The command that runs another in the namespace of a process."""
    return ["nsenter", f"--net=/proc/{pid}/ns/net", "--", *argv]


def attempt(pid: int, argv: Sequence[str], text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command in the namespace of a process, `text` being its input."""
    return subprocess.run(
        entering(pid, argv), input=text, capture_output=True, text=True, check=False, env=lab.ENVIRONMENT
    )


def run(pid: int, argv: Sequence[str], text: str = "") -> str:
    """What a command in the namespace of a process prints. Raises `ValueError` with its error when it fails."""
    done = attempt(pid, argv, text)
    if done.returncode:
        raise ValueError(done.stderr)
    return done.stdout
