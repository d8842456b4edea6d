"""The JSON result: a contract with other programs."""

import json
import random
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from netdiag import __version__
from netdiag.formats.records import (
    Address,
    Chain,
    Container,
    Counters,
    DaemonSetting,
    Endpoint,
    EngineInfo,
    EngineVersion,
    FdbEntry,
    Link,
    Match,
    Neighbour,
    Network,
    NetworkMember,
    NextHop,
    PolicyRule,
    Process,
    PublishedPort,
    Route,
    Rule,
    Socket,
    Subnet,
    Sysctl,
)
from netdiag.model import Dialect, Engine, Extent, Facts, FirewallChain, FirewallTable, Host, Namespace, VethPair
from netdiag.report.as_json import render
from netdiag.report.schemas import schema
from netdiag.report.visible import UNSAFE
from netdiag.results import Analysis
from netdiag.spans import Place, Source, Span

from . import host_schema

#: The types of the schema that are written by hand; those of the host are made of the model's dataclasses.
_BY_HAND = ("span", "finding", "suppressed", "subject", "evidence", "outcome", "source", "facts")


def result(analysis: Analysis, *, pedantic: bool = False) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(render(analysis, pedantic=pedantic))
    return made


def violations(value: object, *, closed: bool = False) -> list[str]:
    """What the published schema says against `value`; `closed` allows no property of the host that it does not name."""
    rules = _closed(schema("analyze")) if closed else schema("analyze")
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(rules).iter_errors(value)]


def _closed(rules: Any) -> Any:
    """The schema with no object left open; only `unevaluatedProperties` sees what stands behind the `$ref` of facts."""
    if isinstance(rules, list):
        return [_closed(item) for item in rules]
    if not isinstance(rules, dict):
        return rules
    closed = {key: _closed(item) for key, item in rules.items()}
    if rules.get("type") == "object" and "required" in rules and "extent" not in rules["required"]:
        closed["additionalProperties"] = False
    if rules.get("$ref") == "#/$defs/facts":
        closed["unevaluatedProperties"] = False
    return closed


class At(Place):
    """A place in JSON that is already located."""

    def __init__(self, where: Span) -> None:
        self._where = where

    @property
    def span(self) -> Span:
        return self._where


@pytest.fixture
def every_fact(analysis: Analysis) -> Analysis:
    """A host that has a record of every kind that the model keeps."""
    lines = "0:\tfrom all lookup local\n33:33:00:00:00:01 dev eth0 self permanent\n"
    source = Source("host/facts.txt", lines, "ip rule")
    span, place = source.span(1), At(source.span(2))
    here, web = IPv4Interface("172.18.0.2/16"), "129eed923d9c"
    link = Link("eth0", span, 6, addresses=(Address(here, span),), details={"promiscuity": "0"})
    counters = Counters(2, 120)
    rule = Rule(
        *("ipv4", "nat", "DOCKER", 1, span, counters),
        matches=(Match("dport", "8080"),),
        target="DNAT",
        target_options=(Match("to-destination", "172.18.0.2:80"),),
    )
    chain = FirewallChain(Chain("ipv4", "nat", "DOCKER", span, counters=counters), (rule,))
    root = Namespace(
        *("host", "host", (web,)),
        links=_known(link),
        routes=_known(Route(IPv4Network("0.0.0.0/0"), (NextHop(IPv4Address("172.18.0.1"), "eth0"),), span)),
        rules=_known(PolicyRule(0, "from all", "lookup local", span)),
        neighbours=_known(Neighbour(IPv4Address("172.18.0.1"), "eth0", None, "FAILED", span)),
        bridge_ports=analysis.host.root.bridge_ports,
        fdb=_known(FdbEntry("33:33:00:00:00:01", "eth0", span, details={"dst": "192.0.2.1"})),
        sockets=_known(Socket("tcp", "LISTEN", "ipv4", None, 2024, span, processes=(Process("sshd", 1, 3),))),
        sysctls=_known(Sysctl("net.ipv4.ip_forward", "1", span)),
        firewall=_known(FirewallTable("ipv4", "nat", "nft", {"DOCKER": chain})),
    )
    endpoint = Endpoint("front", "ebe2", "e1", place, here)
    port = PublishedPort("tcp", 80, None, 8080, place)
    member = NetworkMember(web, "web", here, None, place)
    subnet = Subnet(IPv4Network("172.18.0.0/16"), None, place)
    engine = Engine(
        EngineVersion("20.10.24+dfsg1", "1.41", place),
        EngineInfo("web01", None, ("name=seccomp",), None, None, None, None, place),
        _known(DaemonSetting("iptables", "false", place)),
        Dialect.UP_TO_27,
        dialect_proof=span,
    )
    host = Host(
        *("web01", (root,)),
        containers=_known(Container(web, "web", place, endpoints=(endpoint,), ports=(port,))),
        networks=_known(Network("ebe2", "front", place, options={}, subnets=(subnet,), members=(member,))),
        engine=engine,
        veth_pairs=(VethPair(link, link, f"netns:{web}"),),
    )
    return replace(analysis, host=host)


def _known(*items: object) -> Facts[Any]:
    return Facts(tuple(items), Extent.WHOLE)


def test_the_schema_of_the_host_is_that_of_the_model() -> None:
    rules: Any = schema("analyze")
    written = {name: rule for name, rule in rules["$defs"].items() if name in _BY_HAND}
    expected = {**rules, "$defs": {**written, **host_schema.definitions()}}
    host_schema.accept("analyze", expected)
    assert schema("analyze") == expected


def test_the_schema_is_a_schema_and_describes_every_property_of_the_contract() -> None:
    rules: Any = schema("analyze")
    Draft202012Validator.check_schema(rules)
    contract = {**rules, "$defs": {name: rules["$defs"][name] for name in _BY_HAND}}
    assert list(_undescribed(contract, "$")) == []


def _undescribed(rules: Any, path: str) -> Any:
    if isinstance(rules, list):
        for number, item in enumerate(rules):
            yield from _undescribed(item, f"{path}[{number}]")
    elif isinstance(rules, dict):
        for name, item in rules.get("properties", {}).items():
            if not item.get("description") and "const" not in item:
                yield f"{path}.{name}"
        for key, item in rules.items():
            yield from _undescribed(item, f"{path}.{key}")


@pytest.mark.parametrize("name", ["analysis", "hostile", "healthy", "bare", "every_fact"])
@pytest.mark.parametrize("pedantic", [False, True])
def test_the_result_follows_the_published_schema(name: str, request: pytest.FixtureRequest, *, pedantic: bool) -> None:
    assert violations(result(request.getfixturevalue(name), pedantic=pedantic)) == []


def test_the_schema_names_every_property_of_the_host(analysis: Analysis, every_fact: Analysis) -> None:
    assert violations(result(analysis), closed=True) == []
    assert violations(result(every_fact), closed=True) == []


def test_a_host_with_a_property_that_the_schema_does_not_name_is_noticed(every_fact: Analysis) -> None:
    for path in (("host",), ("host", "containers"), ("host", "namespaces", 0, "routes", "items", 0, "next_hops", 0)):
        made = result(every_fact)
        place: Any = made
        for step in path:
            place = place[step]
        place["surprise"] = 1
        assert violations(made) == []
        assert len(violations(made, closed=True)) == 1


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("surprise",), 1),
        (("schema_version",), "2.0"),
        (("summary", "error"), -1),
        (("findings", 0, "severity"), "fatal"),
        (("findings", 0, "check"), "LinkVethNotEnslaved"),
        (("findings", 0, "fingerprint"), "0"),
        (("findings", 0, "subjects", 0, "kind"), "thing"),
        (("findings", 0, "evidence"), []),
        (("findings", 0, "evidence", 0, "role"), "related"),
        (("findings", 0, "evidence", 0, "line_start"), 0),
        (("findings", 0, "help"), ""),
        (("outcomes", 0, "outcome"), "ok"),
        (("sources", 0, "unread_lines"), ["3"]),
        (("host", "namespaces"), None),
        (("host", "containers", "extent"), "most"),
        (("journeys",), None),
        (("call_trees",), None),
    ],
)
def test_the_schema_refuses_what_breaks_the_contract(analysis: Analysis, path: tuple[Any, ...], value: object) -> None:
    made = result(analysis)
    place: Any = made
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert violations(made) != []


def test_the_result_has_these_keys_in_this_order(analysis: Analysis) -> None:
    made = result(analysis)
    assert list(made) == [
        *("schema_version", "tool", "bundle", "summary", "findings", "suppressed"),
        *("outcomes", "sources", "host", "journeys", "call_trees"),
    ]
    assert made["schema_version"] == "1.1"
    assert made["tool"] == {"name": "netdiag", "version": __version__}
    assert made["bundle"] == {
        "name": "netdiag-web01-20261124T015041Z",
        "host": "web01",
        "collected_at": "2026-11-24T01:50:41Z",
        "sha256": "5f2b6a0c1d3e4f5061728394a5b6c7d8e9f00112233445566778899aabbccdde",
    }
    assert made["summary"] == {
        "error": 2,
        "warning": 1,
        "note": 1,
        "clean": 4,
        "unknown": 2,
        "not_applicable": 1,
        "crashed": 1,
        "suppressed": 0,
    }
    assert made["journeys"] == []
    assert made["call_trees"] == []


def test_a_finding_in_full(analysis: Analysis) -> None:
    assert result(analysis)["findings"][3] == {
        "check": "link-stale-bridge",
        "severity": "note",
        "confidence": "high",
        "title": "A bridge belongs to no network",
        "message": "bridge `br-0f1e2d3c4b5a` belongs to none of the 3 networks in the bundle",
        "subjects": [{"kind": "bridge", "name": "br-0f1e2d3c4b5a"}],
        "evidence": [
            {
                "source": "host/ip_addr.txt",
                "command": "ip -d addr",
                "line_start": 29,
                "line_end": 29,
                "excerpt": "14: br-0f1e2d3c4b5a: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 qdisc noqueue state DOWN "
                "group default",
                "label": "no network has this id",
                "role": "primary",
            }
        ],
        "why": "Its subnet 172.21.0.0/16 cannot be used by a new network as long as it stays.",
        "remedy": ["ip link delete br-0f1e2d3c4b5a type bridge"],
        "verify": ["ip link show dev br-0f1e2d3c4b5a"],
        "fingerprint": analysis.findings[3].fingerprint,
        "baseline": None,
    }


def test_every_check_has_one_outcome(analysis: Analysis) -> None:
    outcomes = result(analysis)["outcomes"]
    assert [outcome["check"] for outcome in outcomes] == sorted({outcome.check for outcome in analysis.outcomes})
    assert outcomes[-1] == {
        "check": "sysctl-ip-forward-off",
        "outcome": "unknown",
        "reason": "no sysctl was collected: no such command: sysctl",
        "missing": ["sysctl"],
        "ask": ["sysctl -a --pattern '^net[.]'"],
    }


def test_a_source_tells_what_was_not_read(analysis: Analysis) -> None:
    sources = {source["path"]: source for source in result(analysis)["sources"]}
    assert list(sources) == sorted(source.path for source in analysis.coverage)
    assert sources["host/iptables_save.txt"] == {
        "path": "host/iptables_save.txt",
        "format": "iptables_save",
        "lines": 19,
        "read": 18,
        "unread": 1,
        "unread_lines": [17],
        "skipped": "",
    }
    assert sources["trace/perf_trace.txt"]["skipped"] == "no format recognises it (perf trace is not read yet)"


def test_the_summary_counts_the_findings_that_are_in_the_result(analysis: Analysis) -> None:
    made = result(analysis, pedantic=True)
    assert len(made["findings"]) == 5
    assert made["summary"]["warning"] == 2


def test_the_order_in_which_files_and_checks_came_does_not_matter(analysis: Analysis) -> None:
    expected = render(analysis, pedantic=True)
    for seed in range(5):
        mixed = random.Random(seed)
        shuffled = replace(
            analysis,
            coverage=tuple(mixed.sample(analysis.coverage, len(analysis.coverage))),
            outcomes=tuple(mixed.sample(analysis.outcomes, len(analysis.outcomes))),
        )
        assert render(shuffled, pedantic=True) == expected


def test_hostile_text_is_kept_exactly_and_written_harmlessly(analysis: Analysis) -> None:
    message = "\x1b]0;owned\x07 \x9b31m \u202e \ufeff \ud800 \U000e0041 </script> 前端 \n\t"
    case = replace(analysis, findings=(replace(analysis.findings[0], message=message),))
    text = render(case, pedantic=False)
    assert UNSAFE.findall(text.replace("\n", "")) == []
    assert "前端" in text
    assert json.loads(text.encode("utf-8"))["findings"][0]["message"] == message


def test_the_text_ends_with_one_line_feed(healthy: Analysis) -> None:
    text = render(healthy, pedantic=False)
    assert text.endswith("}\n")
    assert text.startswith('{\n  "schema_version": "1.1",\n')


def test_what_was_put_aside_is_told_with_its_reason(put_aside: Analysis) -> None:
    made = result(put_aside)
    assert violations(made, closed=True) == []
    assert [(finding["check"], finding["baseline"]) for finding in made["findings"]] == [
        ("link-veth-not-enslaved", "new"),
        ("nat-masquerade-missing", "known"),
        ("address-mac-ip-mismatch", "new"),
    ]
    (suppressed,) = made["suppressed"]
    assert suppressed["finding"]["check"] == "link-stale-bridge"
    assert (suppressed["reason"], suppressed["until"]) == ("goes with the old <b>stack</b>\x1b[2J", "2027-01-31")
    assert (made["summary"]["note"], made["summary"]["suppressed"]) == (0, 1)
