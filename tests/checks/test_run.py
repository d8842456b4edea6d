"""What becomes of the checks' words: findings in order, one outcome a check, a crash that costs one check."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from netdiag.checks import Check, Fault, NotApplicable, Unjudged, Verdicts, all_checks, run
from netdiag.finding import Confidence, Evidence, Outcome, Role, Severity, Subject, Verdict
from netdiag.model import Engine, Facts, Host, Namespace
from netdiag.spans import Source

HOST = Host("web01", (Namespace("host", "host"),), Facts(), Facts(), Engine())
EVIDENCE = (Evidence(Source("a.txt", "line\n").span(1), "here"),)


def check(name: str, *words: Fault | Unjudged | NotApplicable, severity: Severity = Severity.ERROR) -> Check:
    def say(host: Host) -> Verdicts:
        yield from words

    return Check(name, "link", severity, f"{name} page.", say)


def fault(message: str, severity: Severity | None = None) -> Fault:
    return Fault(message, (Subject("host", "host"),), EVIDENCE, (), (), severity)


def test_findings_stand_worst_first_then_by_name() -> None:
    findings, _ = run(
        [check("b", fault("two"), fault("one")), check("a", fault("note", Severity.NOTE)), check("c", fault("three"))],
        HOST,
    )
    assert [finding.message for finding in findings] == ["one", "two", "three", "note"]


def test_silence_is_clean() -> None:
    assert run([check("a")], HOST) == ((), (Outcome("a", Verdict.CLEAN),))


def test_an_open_question_is_unknown_even_beside_what_does_not_apply() -> None:
    _, outcomes = run(
        [check("a", NotApplicable("no such thing"), Unjudged("why", "", ("ip-addr",), ("ip -d addr",)))], HOST
    )
    assert outcomes == (Outcome("a", Verdict.UNKNOWN, "why", ("ip-addr",), ("ip -d addr",)),)


def test_a_finding_keeps_the_open_questions_beside_it() -> None:
    _, outcomes = run([check("a", fault("bad"), Unjudged("the rest", "no ss", ("ss",), ("ss -tulpn",)))], HOST)
    assert outcomes == (Outcome("a", Verdict.FINDING, "the rest (no ss)", ("ss",), ("ss -tulpn",)),)


def test_a_crash_costs_only_the_check_that_crashed() -> None:
    def crash(host: Host) -> Iterator[Fault]:
        yield fault("before")
        raise ValueError("boom")

    findings, outcomes = run([Check("a", "link", Severity.ERROR, "A.", crash), check("b", fault("bad"))], HOST)
    assert [finding.check for finding in findings] == ["b"]
    assert [(outcome.check, outcome.verdict) for outcome in outcomes] == [
        ("a", Verdict.CRASHED),
        ("b", Verdict.FINDING),
    ]
    assert "ValueError: boom" in outcomes[0].reason


def test_a_finding_that_proves_nothing_costs_only_its_check() -> None:
    without_proof = Fault("unproven", (Subject("host", "host"),), (), (), ())
    findings, outcomes = run([check("a", without_proof), check("b", fault("bad"))], HOST)
    assert [finding.check for finding in findings] == ["b"]
    assert [outcome.verdict for outcome in outcomes] == [Verdict.CRASHED, Verdict.FINDING]


FRONT, BACK, WEB = Subject("network", "front"), Subject("network", "back"), Subject("container", "web")


def about(message: str, *subjects: Subject, affects: tuple[Subject, ...] = ()) -> Fault:
    return replace(fault(message), subjects=subjects, affects=affects)


def symptom(name: str, *causes: str, says: Fault) -> Check:
    return replace(check(name, says, severity=Severity.WARNING), symptom_of=causes)


def test_a_symptom_is_evidence_of_its_cause_when_both_are_about_one_object() -> None:
    cause = replace(check("cause", about("bridge gone", FRONT)), severity=Severity.NOTE)
    findings, outcomes = run([cause, symptom("effect", "cause", says=about("no route", FRONT))], HOST)
    assert [(f.check, f.severity, [(e.label, e.role) for e in f.evidence]) for f in findings] == [
        ("cause", Severity.WARNING, [("here", Role.PRIMARY), ("follows: no route", Role.RELATED)])
    ]
    assert outcomes[1] == Outcome("effect", Verdict.FINDING, "counted with cause")


def test_what_is_wrong_with_another_object_is_a_finding_of_its_own() -> None:
    cause = check("cause", about("bridge gone", FRONT))
    findings, outcomes = run([cause, symptom("effect", "cause", says=about("no route", BACK))], HOST)
    assert [f.check for f in findings] == ["cause", "effect"]
    assert outcomes[1] == Outcome("effect", Verdict.FINDING)


@pytest.mark.parametrize("reach", [WEB, Subject("host", "web01")])
def test_a_cause_takes_the_symptoms_of_all_that_it_affects(reach: Subject) -> None:
    cause = check("cause", about("bridge gone", FRONT, affects=(reach,)))
    findings, _ = run([cause, symptom("effect", "cause", says=about("cut off", WEB))], HOST)
    assert [f.check for f in findings] == ["cause"]


def test_a_symptom_of_a_symptom_belongs_to_the_first_cause() -> None:
    found = [
        symptom("far", "near", says=about("unreachable", WEB)),
        symptom("near", "cause", says=about("no route", FRONT, WEB)),
        check("cause", about("bridge gone", FRONT)),
    ]
    findings, _ = run(found, HOST)
    assert [(f.check, [e.label for e in f.evidence]) for f in findings] == [
        ("cause", ["here", "follows: unreachable", "follows: no route"])
    ]


def test_findings_that_call_each_other_the_cause_stay_apart() -> None:
    found = [symptom("a", "b", says=about("one", FRONT)), symptom("b", "a", says=about("two", FRONT))]
    findings, _ = run(found, HOST)
    assert [f.check for f in findings] == ["a", "b"]


def test_nothing_is_folded_into_what_is_hidden() -> None:
    doubtful = check("cause", replace(about("bridge gone", FRONT), confidence=Confidence.LOW))
    findings, _ = run([doubtful, symptom("effect", "cause", says=about("no route", FRONT))], HOST)
    assert [f.check for f in findings] == ["cause", "effect"]


def test_every_cause_that_a_check_names_is_a_check() -> None:
    names = {each.name for each in all_checks()}
    assert {each.name: set(each.symptom_of) - names for each in all_checks() if set(each.symptom_of) - names} == {}
