"""The report as JUnit XML, for build servers: a suite is a subject, a case is a check of it.

A finding fails its case, with the terminal's text; a note does not, it stands in the case's output. What is known
already by the baseline, or suppressed, is skipped with the reason. The suite of the
bundle has the checks without a finding: a clean one passes, one that was not judged is skipped with the reason, a
crashed one is an error. There is no standard; elements and attributes are those of the schema of Jenkins' xUnit plug-in
(junit-10.xsd).
"""

from collections.abc import Iterable, Mapping, Sequence
from xml.etree import ElementTree as ET

from netdiag.finding import Finding, Outcome, Severity, Verdict
from netdiag.report.terminal import describe
from netdiag.report.visible import visible
from netdiag.results import Analysis

_WIDTH = 100


def render(analysis: Analysis, *, pedantic: bool) -> str:
    """The analysis as one XML document. The same analysis gives the same bytes."""
    findings = analysis.shown_new(pedantic=pedantic)
    excuses = dict.fromkeys(analysis.shown_known(pedantic=pedantic), "known already, by the baseline")
    excuses |= {each.finding: f"suppressed until {each.until}: {each.reason}" for each in analysis.suppressed}
    bundle = f"bundle {analysis.bundle.host or analysis.bundle.name}"
    grouped = _by_subject([*findings, *excuses])
    suites = [_subject_suite(name, group, excuses) for name, group in grouped.items()]
    shown = {finding.check for finding in (*findings, *excuses)}
    suites.append(_suite(bundle, _bundle_cases(bundle, analysis.outcomes, shown)))
    return _document(suites)


def render_results(differences: Mapping[str, Sequence[str]]) -> str:
    """The results of `netdiag test` as one XML document: a case is a bundle, which fails with what differs."""
    cases = []
    for bundle, lines in differences.items():
        case = _case("netdiag test", bundle)
        if lines:
            text = "\n".join(visible(line) for line in lines)
            ET.SubElement(case, "failure", type="different", message=visible(lines[0])).text = text
        cases.append(case)
    return _document([_suite("netdiag test", cases)])


def _document(suites: Sequence[ET.Element]) -> str:
    root = ET.Element("testsuites", {"name": "netdiag", **_totals(suites)})
    root.extend(suites)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _by_subject(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    grouped: dict[str, list[Finding]] = {}
    for finding in findings:
        subject = finding.subjects[0] if finding.subjects else None
        grouped.setdefault(f"{subject.kind} {subject.name}" if subject else "host", []).append(finding)
    return grouped


def _subject_suite(name: str, findings: Iterable[Finding], excuses: Mapping[Finding, str]) -> ET.Element:
    by_check: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        by_check.setdefault((finding.check, excuses.get(finding, "")), []).append(finding)
    cases = [_excused(name, group, why) if why else _found(name, group) for (_, why), group in by_check.items()]
    return _suite(name, cases)


def _excused(suite: str, findings: Sequence[Finding], why: str) -> ET.Element:
    """The case of a check whose findings on one subject do not count."""
    case = _case(suite, findings[0].check)
    message = "; ".join(finding.message for finding in findings)
    ET.SubElement(case, "skipped", message=visible(f"{why}: {message}"))
    return case


def _found(suite: str, findings: Sequence[Finding]) -> ET.Element:
    """The case of a check that has findings on one subject, worst first."""
    case = _case(suite, findings[0].check)
    text = "\n".join(describe(finding, colour=False, width=_WIDTH, unicode=True) for finding in findings)
    worst = findings[0].severity
    if worst is Severity.NOTE:
        ET.SubElement(case, "system-out").text = text
    else:
        message = "; ".join(visible(finding.message) for finding in findings)
        ET.SubElement(case, "failure", type=worst.value, message=message).text = text
    return case


def _bundle_cases(suite: str, outcomes: Iterable[Outcome], shown: set[str]) -> list[ET.Element]:
    cases = []
    for outcome in sorted(outcomes, key=lambda outcome: outcome.check):
        if outcome.verdict is Verdict.FINDING and outcome.check in shown and not outcome.reason:
            continue
        case = _case(suite, outcome.check)
        if outcome.verdict is Verdict.CRASHED:
            ET.SubElement(case, "error", type="crashed", message=visible(outcome.reason))
        elif outcome.verdict is not Verdict.CLEAN:
            ET.SubElement(case, "skipped", message=visible(_why_skipped(outcome)))
        cases.append(case)
    return cases


def _why_skipped(outcome: Outcome) -> str:
    if outcome.verdict is Verdict.NOT_APPLICABLE:
        return f"not applicable: {outcome.reason}"
    if outcome.verdict is Verdict.FINDING and not outcome.reason:
        return "findings of low confidence only, --pedantic shows them"
    ask = f"; ask for the output of: {', '.join(outcome.ask)}" if outcome.ask else ""
    what = "unknown" if outcome.verdict is Verdict.UNKNOWN else "judged only in part"
    return f"{what}: {outcome.reason}{ask}"


def _case(suite: str, check: str) -> ET.Element:
    return ET.Element("testcase", classname=visible(suite), name=visible(check))


def _suite(name: str, cases: Sequence[ET.Element]) -> ET.Element:
    suite = ET.Element(
        "testsuite",
        name=visible(name),
        tests=str(len(cases)),
        failures=str(_number(cases, "failure")),
        errors=str(_number(cases, "error")),
        skipped=str(_number(cases, "skipped")),
    )
    suite.extend(cases)
    return suite


def _number(cases: Iterable[ET.Element], result: str) -> int:
    return sum(case.find(result) is not None for case in cases)


def _totals(suites: Sequence[ET.Element]) -> dict[str, str]:
    return {key: str(sum(int(suite.get(key, "0")) for suite in suites)) for key in ("tests", "failures", "errors")}
