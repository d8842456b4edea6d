"""The report as a table for spreadsheets."""

import csv
import io
from dataclasses import replace

import pytest

from netdiag.finding import Outcome, Subject, Verdict
from netdiag.report.as_csv import render, table, text
from netdiag.report.visible import UNSAFE
from netdiag.results import Analysis


def rows(analysis: Analysis, *, pedantic: bool = False) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(render(analysis, pedantic=pedantic), newline="")))


def test_a_finding_is_a_row_with_its_place_and_its_repair(analysis: Analysis) -> None:
    row = rows(analysis)[1]
    assert row == {
        "outcome": "finding",
        "severity": "error",
        "confidence": "high",
        "layer": "",
        "check": "nat-masquerade-missing",
        "message": "no rule in nat `POSTROUTING` masquerades 172.19.0.0/16 of network `back`",
        "subjects": "network back\naddress 172.19.0.0/16",
        "source": "docker/network_inspect.json",
        "line": "5",
        "command": analysis.findings[1].evidence[0].span.source.command,
        "remedy": "iptables -t nat -I POSTROUTING 1 -s 172.19.0.0/16 ! -o br-7cd2356a9d4d -j MASQUERADE",
        "verify": "iptables -t nat -C POSTROUTING -s 172.19.0.0/16 ! -o br-7cd2356a9d4d -j MASQUERADE",
        "status": "",
        "ask": "",
    }


@pytest.mark.parametrize("name", ["analysis", "hostile", "healthy", "bare", "put_aside"])
def test_every_check_has_a_row_and_nothing_acts(name: str, request: pytest.FixtureRequest) -> None:
    case: Analysis = request.getfixturevalue(name)
    found = rows(case, pedantic=True)
    assert {row["check"] for row in found} >= {outcome.check for outcome in case.outcomes}
    assert UNSAFE.findall(render(case, pedantic=True).replace("\r\n", "").replace("\n", "")) == []
    assert not [cell for row in found for cell in row.values() if cell.startswith(("=", "+", "-", "@"))]


def test_what_became_of_a_check_stands_with_what_to_ask_for(analysis: Analysis) -> None:
    told = {row["check"]: (row["outcome"], row["message"], row["ask"]) for row in rows(analysis)}
    assert told["link-bridge-down"] == ("clean", "", "")
    assert told["sysctl-ip-forward-off"] == (
        "unknown",
        "no sysctl was collected: no such command: sysctl",
        "sysctl -a --pattern '^net[.]'",
    )


def test_a_check_that_judged_only_in_part_has_a_row_for_that(analysis: Analysis) -> None:
    outcome = Outcome("nat-masquerade-missing", Verdict.FINDING, "2 namespaces are missing", (), ("ip -d link",))
    last = rows(replace(analysis, outcomes=(outcome,)))[-1]
    assert (last["check"], last["severity"], last["message"], last["ask"]) == (
        "nat-masquerade-missing",
        "",
        "judged only in part: 2 namespaces are missing",
        "ip -d link",
    )


def test_what_was_put_aside_says_so(put_aside: Analysis) -> None:
    assert {row["check"]: row["status"] for row in rows(put_aside) if row["severity"]} == {
        "link-veth-not-enslaved": "new",
        "nat-masquerade-missing": "known",
        "address-mac-ip-mismatch": "new",
        "link-stale-bridge": "suppressed until 2027-01-31: goes with the old <b>stack</b>␛[2J",
    }


def test_a_name_that_a_spreadsheet_would_compute_is_text(analysis: Analysis) -> None:
    finding = replace(analysis.findings[0], message="=HYPERLINK(1)", subjects=(Subject("container", "x"),))
    assert rows(replace(analysis, findings=(finding,)))[0]["message"] == "'=HYPERLINK(1)"
    assert [text(cell) for cell in ("-1", "@x", "\tx", 7, None, ("a", "=b"))] == ["'-1", "'@x", "␉x", "7", "", "a\n=b"]


def test_cells_are_quoted_as_rfc_4180_says() -> None:
    assert table(("a", "b"), [('x "y"', "1,2")]) == 'a,b\r\n"x ""y""","1,2"\r\n'
