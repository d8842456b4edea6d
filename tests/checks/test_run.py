"""What becomes of the checks' words: findings in order, one outcome a check, a crash that costs one check."""

from collections.abc import Iterator

from netdiag.checks import Check, Fault, NotApplicable, Unjudged, Verdicts, run
from netdiag.finding import Evidence, Outcome, Severity, Subject, Verdict
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
