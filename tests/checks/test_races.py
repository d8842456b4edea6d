"""A finding about something that moved during the collection says so and is less sure."""

import json
import shutil
from pathlib import Path
from typing import Any

from netdiag.analysis import analyze
from netdiag.checks._races import with_races_marked
from netdiag.finding import Confidence, Evidence, Finding, Severity, Subject, Verdict
from netdiag.model import Facts, Host, Moved, Movement, Namespace
from netdiag.model.engine import Engine
from netdiag.spans import Source

SAMPLES = Path(__file__).parents[2] / "samples" / "checks"


def finding(*subjects: Subject, **more: Any) -> Finding:
    evidence = (Evidence(Source("a.txt", "x\n").span_of_lines(1, 1), "here"),)
    facts = {"severity": Severity.ERROR, "confidence": Confidence.HIGH, "title": "t", "message": "it is down"}
    return Finding(
        "a-check", subjects=subjects, evidence=evidence, why="", remedy=("true",), verify=("true",), **{**facts, **more}
    )


def host(*moved: Moved) -> Host:
    movement = Movement(5.0, moved, ())
    return Host("web01", (Namespace("host", "host"),), Facts(), Facts(), Engine(), movement=movement)


def test_a_finding_about_a_container_that_was_restarted_is_less_sure() -> None:
    (marked,) = with_races_marked([finding(Subject("container", "web"))], host(Moved("container", "web", "restarted")))
    assert marked.confidence is Confidence.MEDIUM
    assert marked.message == (
        "it is down (container web was restarted while the bundle was being collected: possibly a race)"
    )


def test_its_fingerprint_stays_the_same() -> None:
    before = finding(Subject("container", "web"))
    (marked,) = with_races_marked([before], host(Moved("container", "web", "restarted")))
    assert marked.fingerprint == before.fingerprint


def test_a_finding_about_rules_that_changed_says_so() -> None:
    (marked,) = with_races_marked(
        [finding(Subject("chain", "nat POSTROUTING"))], host(Moved("rule", "iptables", "changed"))
    )
    assert "rules of iptables were changed while" in marked.message


def test_others_and_hosts_of_which_nothing_is_known_stay_as_they_are() -> None:
    other = finding(Subject("container", "db"))
    assert with_races_marked(
        [other], host(Moved("container", "web", "gone"), Moved("rule", "iptables", "changed"))
    ) == [other]
    still = Host("web01", (Namespace("host", "host"),), Facts(), Facts(), Engine())
    assert with_races_marked([other], still) == [other]


def test_a_veth_that_went_away_meanwhile_is_no_orphan(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(SAMPLES / "link-veth-orphan" / "fires", bundle)
    (orphan,) = analyze(bundle).findings
    (veth,) = (subject.name for subject in orphan.subjects if subject.kind == "interface")

    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["fingerprints"] = {"before": {"interfaces": {veth: 9}}, "after": {"interfaces": {}}}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    assert [each.check for each in analyze(bundle).findings] == ["bundle-inconsistent-snapshot"]


def test_a_sandbox_that_is_empty_while_a_container_is_restarted_is_an_open_question(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(SAMPLES / "link-netns-leak" / "fires", bundle)
    manifest = json.loads((bundle / "manifest.json").read_text())
    (container, *_) = manifest["fingerprints"]["after"]["containers"]
    manifest["fingerprints"]["after"]["containers"][container] = "2026-11-28T05:20:00Z"
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    (outcome,) = (each for each in analyze(bundle).outcomes if each.check == "link-netns-leak")
    assert outcome.verdict is Verdict.UNKNOWN
    assert "was restarted meanwhile: collect again" in outcome.reason
