"""No check is quadratic in containers, networks or rules: the work for twice the host is twice the work.

Work is counted in calls of functions, which are the same on a busy machine.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
from hosts import host_with

from netdiag import checks
from netdiag.analysis import read_source
from netdiag.bundle import Bundle
from netdiag.formats import Document
from netdiag.model import build
from netdiag.spans import Source

SIZES = (12, 24, 48)
CONTAINERS_OF_A_NETWORK = 6
RULES = (20, 40, 80)
# how much more is done for the second doubling than for the first: twice as much by a straight line, four times by a
# square. Lists in the heads of findings (`and 40 more`) make small steps.
MOST = 2.7
SMALL = 600


class Calls:
    """How many functions were called."""

    def __init__(self) -> None:
        self.count = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        def note(_frame: object, event: str, _argument: object) -> None:
            if event in ("call", "c_call"):
                self.count += 1

        before = sys.getprofile()
        sys.setprofile(note)
        try:
            yield
        finally:
            sys.setprofile(before)


def without(pattern: str) -> Callable[[str], str]:
    return lambda text: "".join(line for line in text.splitlines(keepends=True) if not re.search(pattern, line))


def other_addresses(text: str) -> str:
    return re.sub(r"--to-destination 10\.(\d+)\.0\.", r"--to-destination 10.\1.200.", text)


def ports_down(text: str) -> str:
    return re.sub(r"(veth\w+@if\d+: <BROADCAST,MULTICAST),UP,LOWER_UP(> .* )state UP", r"\1\2state DOWN", text)


def one_address_for_all(text: str) -> str:
    containers: list[dict[str, Any]] = json.loads(text)
    for container in containers:
        for endpoint in container["NetworkSettings"]["Networks"].values():
            endpoint.update(IPAddress="10.100.0.2", MacAddress="02:42:0a:64:00:02")
    return json.dumps(containers)


def same_text(text: str) -> str:
    return text


#: What is wrong on a host, and the check that finds it: the output of the host that shows it, and how it is changed.
FAULTS: Mapping[str, tuple[str, Callable[[str], str]]] = {
    "": ("", same_text),
    "filter-docker-chains-missing": ("iptables-save", without(" -A .*DOCKER")),
    "filter-port-accept-missing": ("iptables-save", without(" -A DOCKER -d")),
    "nat-dnat-missing": ("iptables-save", without("DNAT")),
    "nat-dnat-stale": ("iptables-save", other_addresses),
    "link-veth-down": ("ip-addr", ports_down),
    "port-proxy-missing": ("ss", without("docker-proxy")),
    "address-duplicate-ip": ("docker-inspect", one_address_for_all),
}


@cache
def read(size: int, rules: int) -> tuple[Bundle, tuple[tuple[Source, Document | None], ...]]:
    bundle = host_with(size, size // CONTAINERS_OF_A_NETWORK, rules)
    return bundle, tuple((source, read_source(source)) for source in bundle.sources)


def documents_of(size: int, rules: int, artifact: str, change: Callable[[str], str]) -> tuple[Bundle, list[Document]]:
    """Those of a host whose output was changed."""
    bundle, documents = read(size, rules)
    found = []
    for source, document in documents:
        if source.artifact == artifact and source.scope in ("host", "docker"):
            text = change(source.text)
            changed = Source(source.path, text, source.command, source.scope, source.artifact, source.format)
            document = read_source(changed)  # noqa: PLW2901 - read anew
        if document:
            found.append(document)
    return bundle, found


def work(bundle: Bundle, documents: list[Document]) -> tuple[dict[str, int], set[str]]:
    """What the model costs and each check, the first of them all that it shares with others; and those that find."""
    calls = Calls()
    with calls.counted():
        host = build(bundle, documents)
    found, finds = {"model": calls.count}, set()
    for check in checks.own_checks():
        calls = Calls()
        with calls.counted():
            findings, (outcome,) = checks.run([check], host)
        assert outcome.verdict.value != "crashed", outcome.reason
        found[check.name] = calls.count
        finds |= {finding.check for finding in findings}
    return found, finds


def grows_too_fast(costs: list[dict[str, int]]) -> dict[str, list[int]]:
    least, middle, most = costs
    steps = {name: (middle[name] - least[name], most[name] - middle[name]) for name in least}
    return {
        name: [cost[name] for cost in costs]
        for name, (first, second) in steps.items()
        if second > MOST * max(first, 0) + SMALL
    }


@pytest.fixture(scope="module", autouse=True)
def all_is_loaded() -> None:
    """What is imported when it is first asked for counts for no size."""
    work(*documents_of(SIZES[0], RULES[0], *FAULTS[""]))


@pytest.mark.parametrize("fault", FAULTS)
def test_the_work_grows_as_the_containers_do(fault: str) -> None:
    measured = [work(*documents_of(size, RULES[0], *FAULTS[fault])) for size in SIZES]
    assert not fault or fault in measured[-1][1]
    assert grows_too_fast([costs for costs, _ in measured]) == {}


def test_the_work_grows_as_the_rules_do() -> None:
    measured = [work(*documents_of(SIZES[0], rules, *FAULTS[""])) for rules in RULES]
    assert grows_too_fast([costs for costs, _ in measured]) == {}


def test_a_square_is_seen() -> None:
    assert grows_too_fast([{"check": size * size * 10} for size in SIZES])
    assert not grows_too_fast([{"check": size * 1000} for size in SIZES])
