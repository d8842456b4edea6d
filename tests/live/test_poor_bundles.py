"""What a bundle says of itself when it was collected in the wrong place, without rights, in too little time or while
things changed. Each is said in one finding, nothing else is an alarm because of it, and a good bundle says none of it.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import lab
import pytest
from reduce import write_sample

from netdiag.analysis import analyze
from netdiag.finding import Severity, Verdict
from netdiag.results import Analysis

pytestmark = pytest.mark.live

Lend = Callable[..., lab.DockerHost]

SAMPLES = Path(__file__).parents[2] / "samples" / "checks"

WITHOUT_ADMIN = "setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin --"
WITHOUT_ROOT = "setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --"

#: The checks that speak of the bundle rather than of the host.
OF_THE_BUNDLE = frozenset(
    {"bundle-incomplete", "bundle-inconsistent-snapshot", "bundle-netns-partial", "bundle-wrong-netns"}
)


@dataclass(frozen=True)
class Mode:
    """A way to collect that makes a bundle poorer than its host: what stands before the collector and behind it, and
    what happens meanwhile. `check` says so, and `words` are in its message. `can_be_pasted` is whether a laboratory
    host can run its remedy, which collects anew: it has no sudo. `near_miss` are the artifacts of a good bundle that a
    careless check would stumble over.
    """

    check: str
    words: str
    before: str = ""
    options: str = ""
    meanwhile: Callable[[lab.DockerHost], AbstractContextManager[None]] = lambda _: nullcontext()
    variant: str = ""
    can_be_pasted: bool = True
    near_miss: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.check}-{self.variant}" if self.variant else self.check


@contextmanager
def hanging(host: lab.DockerHost) -> Iterator[None]:
    """A tool that does not end: it waits for a lock that somebody holds, say."""
    host.shell("mkdir -p /usr/local/sbin && printf '#!/bin/sh\\nexec sleep 100\\n' >/usr/local/sbin/nft")
    host.shell("chmod +x /usr/local/sbin/nft")
    try:
        yield
    finally:
        host.shell("rm /usr/local/sbin/nft")


@contextmanager
def restarting(host: lab.DockerHost) -> Iterator[None]:
    """A container that is started again and again meanwhile."""
    loop = "while :; do docker restart -t 0 db >/dev/null; done"
    host.shell(f"setsid sh -c '{loop}' >/dev/null 2>&1 </dev/null & echo $! >/run/loop.pid")
    time.sleep(1)
    try:
        yield
    finally:
        host.shell("kill $(cat /run/loop.pid); while pgrep -x docker >/dev/null; do sleep 0.1; done")
        lab.assert_healthy(host)


_BAN = "INPUT -s 192.0.2.66 -j DROP"


@contextmanager
def a_rule_is_added(host: lab.DockerHost) -> Iterator[None]:
    """A firewall that bans somebody while the bundle is collected."""
    yield
    host.shell(f"iptables -D {_BAN}")


_PLACE = frozenset({"netns", "dockerd", "ip-link", "docker-info", "docker-inspect", "docker-network-inspect"})
_LOOKS = frozenset({"docker-inspect", "iptables-save"})
_LEFT_OUT = frozenset(
    {"collector-log", "daemon-json", "docker-unit", "iptables-legacy-save", "iptables-raw", "networkctl", "nmcli"}
    | {"podman-info"}
)

MODES = (
    Mode("bundle-wrong-netns", "works in another network namespace", "unshare --net --", near_miss=_PLACE),
    Mode("bundle-netns-partial", "inside of 3 running containers", WITHOUT_ADMIN, can_be_pasted=False),
    Mode("bundle-incomplete", "permission denied", WITHOUT_ROOT, can_be_pasted=False, near_miss=_LEFT_OUT),
    Mode("bundle-inconsistent-snapshot", "container `db` ", meanwhile=restarting, near_miss=_LOOKS),
    Mode(
        "bundle-inconsistent-snapshot",
        "what `iptables` shows was changed",
        options=f"--during 'iptables -A {_BAN}'",
        meanwhile=a_rule_is_added,
        variant="rule",
    ),
    Mode("bundle-incomplete", "nft-ruleset (", options="--timeout 2", meanwhile=hanging, variant="slow"),
)

#: The mode of each check that its samples are taken from.
FIRST = {mode.check: mode for mode in reversed(MODES)}


def collect(host: lab.DockerHost, directory: Path, before: str = "", options: str = "") -> Path:
    """A bundle of the host, made by the collector as `before` starts it, in a directory that everybody may write to."""
    script = lab.COLLECTOR.read_text(encoding="utf-8").replace("NICENESS = 19", "NICENESS = 0")
    host.write_file("/tmp/collect/netdiag_collect.py", script)
    host.shell("chmod 777 /tmp/collect")
    return fetched(host, directory, f"{before} python3 netdiag_collect.py {options}")


def fetched(host: lab.DockerHost, directory: Path, command: str) -> Path:
    """The bundle that a command makes in that directory."""
    path = host.shell(f"cd /tmp/collect && {command}", timeout=300).stdout.rstrip().rpartition("\n")[2]
    bundle = directory / Path(path).name
    host.copy_out(path, bundle)
    return bundle


def said(analysis: Analysis, *checks: str) -> list[str]:
    return [finding.message for finding in analysis.findings if finding.check in checks]


def other_alarms(analysis: Analysis, check: str) -> list[str]:
    return [
        f"{each.check}: {each.message}"
        for each in analysis.findings
        if each.severity is not Severity.NOTE and each.check != check
    ]


@pytest.mark.parametrize("mode", MODES, ids=str)
def test_a_bundle_says_in_one_finding_what_it_does_not_show(mode: Mode, docker_host: Lend, tmp_path: Path) -> None:
    host = docker_host("nft")
    with mode.meanwhile(host):
        bundle = collect(host, tmp_path, mode.before, mode.options)
    analysis = analyze(bundle)
    (message,) = said(analysis, *OF_THE_BUNDLE)
    (finding,) = (each for each in analysis.findings if each.check == mode.check)
    assert mode.words in message
    assert other_alarms(analysis, mode.check) == []
    if os.environ.get("ACCEPT") and mode is FIRST[mode.check]:
        write_sample(bundle, SAMPLES / mode.check / "fires", mode.check)

    *prepared, again = finding.remedy
    for command in prepared:
        host.shell(command)
    time.sleep(1)  # the name of a bundle has the second in it
    good = fetched(host, tmp_path, again) if mode.can_be_pasted else collect(host, tmp_path)
    healthy = analyze(good)
    assert said(healthy, *OF_THE_BUNDLE) == []
    assert other_alarms(healthy, "") == []
    outcome = next(each for each in healthy.outcomes if each.check == mode.check)
    assert outcome.verdict is Verdict.CLEAN, outcome.reason
    if os.environ.get("ACCEPT") and mode is FIRST[mode.check]:
        write_sample(good, SAMPLES / mode.check / "quiet", mode.check, mode.near_miss)
