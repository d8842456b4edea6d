"""The document that the project was born from: its loose outputs, and just what they prove."""

from pathlib import Path

import pytest

from netdiag.analysis import analyze
from netdiag.finding import Confidence, Verdict
from netdiag.results import Analysis

SEED = Path(__file__).parents[1] / "samples" / "bundles" / "seed"


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyze(SEED)


def proof(analysis: Analysis, check: str) -> tuple[str, set[tuple[str, str]]]:
    """The message of the one finding of a check, and the lines that it points at."""
    (finding,) = [finding for finding in analysis.findings if finding.check == check]
    assert finding.confidence is Confidence.MEDIUM
    return finding.message, {(e.span.source.path, e.span.text.strip()) for e in finding.evidence}


def test_it_finds_what_the_lines_prove_and_nothing_else(analysis: Analysis) -> None:
    assert sorted(finding.check for finding in analysis.findings) == [
        "address-mac-ip-mismatch",
        "link-bridge-missing",
        "link-stale-bridge",
        "nat-masquerade-missing",
    ]


def test_no_masquerade_covers_mybridge(analysis: Analysis) -> None:
    message, _ = proof(analysis, "nat-masquerade-missing")
    assert message.startswith("no MASQUERADE covers 172.19.0.0/16 of network `mybridge`")


def test_mybridge_has_no_bridge_of_its_id(analysis: Analysis) -> None:
    message, lines = proof(analysis, "link-bridge-missing")
    assert "`mybridge` has no bridge `br-c67699db7a13`" in message
    assert ("inspect_networks.txt", '"mybridge"') in lines


def test_the_bridge_that_is_there_belongs_to_no_network(analysis: Analysis) -> None:
    message, _ = proof(analysis, "link-stale-bridge")
    assert message.startswith("bridge `br-f975a4dce9f9` belongs to no network in the bundle")


def test_the_mac_address_stands_for_another_address(analysis: Analysis) -> None:
    message, lines = proof(analysis, "address-mac-ip-mismatch")
    assert "02:42:ac:14:00:02" in message
    assert "stands for 172.20.0.2, not for 172.19.0.2" in message
    assert ("inspect_networks.txt", '"MacAddress"') in lines


def test_what_it_cannot_judge_it_says(analysis: Analysis) -> None:
    unknown = {outcome.check: outcome.ask for outcome in analysis.outcomes if outcome.verdict is Verdict.UNKNOWN}
    assert unknown.keys() >= {
        "filter-docker-chains-missing",
        "filter-docker-user-drop",
        "sysctl-ip-forward-off",
        "nat-dnat-stale",
        "link-veth-orphan",
        "link-veth-not-enslaved",
    }
    assert all(unknown.values())


def test_nothing_is_called_clean_that_the_lines_do_not_show(analysis: Analysis) -> None:
    clean = [outcome.check for outcome in analysis.outcomes if outcome.verdict is Verdict.CLEAN]
    assert clean == [
        "nat-docker-jump-missing",
        # the ping there and back, the calls of one send, the stack of one sample
        "trace-func-path-verdict",
        "trace-gso-fragmentation",
        "trace-hop-latency",
        "trace-loop",
        "trace-lost-events",
        "trace-no-container-side",
        "trace-one-way",
        "trace-queued-not-xmitted",
        "trace-xmit-rc-nonzero",
    ]


def test_every_line_of_every_file_is_read(analysis: Analysis) -> None:
    assert [each.path for each in analysis.coverage if each.unread] == []
    assert [each.path for each in analysis.coverage if each.skipped] == []
