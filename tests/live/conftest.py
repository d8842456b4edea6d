"""Fixtures of the live tests: real Docker hosts, lent out and checked when they come back.

Where live tests cannot run they are skipped with the reason. With ``NETDIAG_REQUIRE_LIVE`` set they fail with it: a run
that is meant to prove something on real hosts cannot pass by skipping.
"""

from __future__ import annotations

import fcntl
import os
import random
import tempfile
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import lab
import pytest

#: How many of the `sampled` tests run, all when empty; and the seed that chooses them, drawn when empty.
_PART = os.environ.get("NETDIAG_LIVE_PART", "")
_SEED = os.environ.get("NETDIAG_LIVE_SEED", "") or str(random.SystemRandom().randrange(10**6))
os.environ["NETDIAG_LIVE_SEED"] = _SEED  # the processes that pytest-xdist starts choose the same


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep a random part of the tests that are cases of a library, and those that need the same host together."""
    places = [place for place, item in enumerate(items) if item.get_closest_marker("sampled")]
    cases = sorted((items[place] for place in places), key=_host)
    for place, case in zip(places, cases, strict=True):
        items[place] = case
    if not _PART or len(cases) <= int(_PART):
        return
    left_out = set(cases) - set(random.Random(_SEED).sample(cases, int(_PART)))
    config.hook.pytest_deselected(items=[item for item in items if item in left_out])
    items[:] = [item for item in items if item not in left_out]


def _host(item: pytest.Item) -> tuple[str, str]:
    """The module, and the kind of host that a case is tried on, which is lent to one test after another: a process that
    runs a part of the tests then starts few hosts.
    """
    assert isinstance(item, pytest.Function)
    case = item.callspec.params.get("fault") or item.callspec.params.get("near_miss")
    return item.nodeid.partition("::")[0], f"{item.callspec.params['kind']} {case.daemon_args}" if case else ""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _PART:
        again = f"NETDIAG_LIVE_PART={_PART} NETDIAG_LIVE_SEED={_SEED}"
        terminalreporter.write_line(f"a random part of the live library was run; the same again: {again}")


_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let fixtures know that their test has failed."""
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


@pytest.fixture(scope="session")
def obstacle() -> str | None:
    """Why live tests cannot run here; None when they can."""
    return lab.available()


@pytest.fixture(autouse=True)
def _run_live_tests_only_where_they_can_run(request: pytest.FixtureRequest, obstacle: str | None) -> None:
    if obstacle and request.node.get_closest_marker("live"):
        if os.environ.get("NETDIAG_REQUIRE_LIVE"):
            pytest.fail(obstacle, pytrace=False)
        pytest.skip(obstacle)


@pytest.fixture(scope="session")
def have_engine() -> Callable[[str], None]:
    """Skips (or fails) the test that asks for an engine of ``lab.ENGINES`` that cannot be had here."""

    def have(engine: str) -> None:
        engine = lab.SWARMS.get(engine, engine)
        try:
            if engine:
                lab.root_of(engine)
        except lab.LabError as error:
            (pytest.fail if os.environ.get("NETDIAG_REQUIRE_LIVE") else pytest.skip)(str(error))

    return have


#: An engine of each suite of Debian, whose root has that suite's programs.
_ENGINE_OF_SUITE = {engine.suite: name for name, engine in reversed(lab.ENGINES.items())}


@pytest.fixture(params=["", *_ENGINE_OF_SUITE], ids=lambda suite: suite or "own")
def programs(request: pytest.FixtureRequest, have_engine: Callable[[str], None]) -> list[str]:
    """Whose programs are run: what stands before a command for those of another suite of Debian, nothing for the
    machine's own.
    """
    if not request.param:
        return []
    engine = _ENGINE_OF_SUITE[request.param]
    have_engine(engine)
    return ["chroot", str(lab.root_of(engine))]


@pytest.fixture(params=lab.BACKENDS)
def backend(request: pytest.FixtureRequest) -> lab.Backend:
    """Each iptables backend in turn."""
    backend: lab.Backend = request.param
    return backend


@pytest.fixture
def tracer() -> Iterator[None]:
    """The kernel's tracer for this test alone: it is one for the whole machine, and tests run in several processes."""
    with (Path(tempfile.gettempdir()) / "netdiag-live-tracer.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="module")
def host_pool() -> Iterator[lab.HostPool]:
    """The hosts that the tests of one module share."""
    with lab.HostPool() as pool:
        yield pool


@pytest.fixture
def docker_host(
    request: pytest.FixtureRequest, host_pool: lab.HostPool, have_engine: Callable[[str], None]
) -> Iterator[Callable[..., lab.DockerHost]]:
    """``docker_host(backend, "--userland-proxy=false", engine="28.5")``: a healthy host with the standard workload.

    A test that needs an engine that cannot be had here is skipped with the reason, or fails as other live tests do.

    The rule: a test that breaks something heals it before it ends. The host is looked over afterwards; one that is not
    what it was is an error of that test, and is replaced for the next one.
    """
    lent: list[lab.DockerHost] = []

    def lend(iptables: lab.Backend = "nft", *daemon_args: str, engine: str = "") -> lab.DockerHost:
        if engine:
            have_engine(engine)
        host = host_pool.lend(iptables, daemon_args, engine)
        if host not in lent:
            lent.append(host)
        return host

    yield lend
    if _FAILED in request.node.stash:  # it may have ended before it put things back that nobody looks at
        for host in lent:
            host_pool.give_up(host)
        return
    left = [f"{host.iptables} host: {line}" for host in lent for line in host_pool.take_back(host)]
    if left:
        pytest.fail("\n".join(["the test left behind on the host that it was lent:", *left]), pytrace=False)
