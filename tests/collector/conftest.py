"""Fixtures of the collector's tests: a host of fake tools, and the Pythons that the collector runs on."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .fakes import INTERPRETERS, FakeHost


@pytest.fixture(autouse=True)
def _interrupts_are_not_ignored() -> Iterator[None]:
    """A run that a shell started in the background ignores SIGINT, and so would all that it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def container_netns() -> Iterator[str]:
    """The path of a network namespace that is not the tests'."""
    if os.geteuid() != 0:
        pytest.skip("entering network namespaces needs root")
    if not os.path.exists("/proc/self/ns/net"):
        pytest.skip("entering network namespaces needs /proc, which is not mounted")
    with ExitStack() as stack:
        command = ["unshare", "--net", "--", "sh", "-c", "echo ready; exec sleep infinity"]
        process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        stack.callback(process.kill)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield f"/proc/{process.pid}/ns/net"


@pytest.fixture
def fake_host(tmp_path: Path, container_netns: str) -> FakeHost:
    return FakeHost(tmp_path, container_netns)


@pytest.fixture(params=list(INTERPRETERS.values()), ids=list(INTERPRETERS))
def interpreter(request: pytest.FixtureRequest) -> str:
    """Each Python that the collector promises to run on, of those that are here."""
    path: str = request.param
    return path
