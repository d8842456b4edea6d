"""Regression tests of a user's own: a folder of bundles, and beside them `expected.toml` with what netdiag must say.

    [[bundle]]
    path = "web01.tar.gz"
    note = "the outage of March"
    nothing_else = true                       # no other finding may be there
    must_not_fire = ["link-veth-orphan"]
    outcomes = { "dns-upstream-unreachable" = "unknown" }

    [[bundle.must_fire]]
    check = "nat-masquerade-missing"
    severity = "error"
    subjects = ["network front"]

All but `path` may be left out. A finding is the one that is asked for when it has the check, the severity and all of
the subjects. What needs `--pedantic` to be shown is not looked at.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from netdiag.analysis import analyze, refuse_unknown
from netdiag.errors import BundleRefused, UsageError
from netdiag.finding import Finding, Outcome, Severity, Verdict
from netdiag.report.visible import visible
from netdiag.results import Analysis

FILE_NAME = "expected.toml"

_HEAD = (
    "# What netdiag must say of the bundles here: `netdiag test` compares, `netdiag test --accept` writes this anew."
)
_ARCHIVES = (".tar", ".tar.gz", ".tgz")
_KEYS = {"path", "note", "nothing_else", "must_fire", "must_not_fire", "outcomes"}


@dataclass(frozen=True)
class Wanted:
    """A finding that must be there. An empty severity stands for any."""

    check: str
    severity: str = ""
    subjects: tuple[str, ...] = ()

    def fits(self, finding: Finding) -> bool:
        told = {_subject(finding, number) for number in range(len(finding.subjects))}
        return (
            finding.check == self.check
            and self.severity in ("", finding.severity.value)
            and told.issuperset(self.subjects)
        )

    @property
    def words(self) -> str:
        about = f" {', '.join(self.subjects)}" if self.subjects else ""
        return f"{self.severity or 'any'}[{self.check}]{about}"


@dataclass(frozen=True)
class Expected:
    """What netdiag must say of one bundle. `path` is its place in the folder, `outcomes` has by check a word of
    `Verdict`.
    """

    path: str
    note: str = ""
    nothing_else: bool = False
    must_fire: tuple[Wanted, ...] = ()
    must_not_fire: tuple[str, ...] = ()
    outcomes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What differs, a line each: `-` is what was expected, `+` what is there.

    `now` are the expectations that would make the bundle pass; of one that cannot be `read` they are those that there
    were, if any.
    """

    path: str
    differences: tuple[str, ...]
    now: Expected | None
    read: bool = True

    @property
    def passed(self) -> bool:
        return not self.differences


def run(folder: Path, analyzed: Callable[[Path], Analysis] = analyze) -> Iterator[Result]:
    """Analyse each bundle of a folder and compare. Raises `UsageError` when the file of expectations is wrong."""
    expected = {each.path: each for each in read_file(folder / FILE_NAME)}
    paths = sorted({*expected, *bundles_in(folder)})
    if not paths:
        raise UsageError(f"{folder} has no bundles")
    for path in paths:
        yield _judged(partial(analyzed, folder / path), path, expected.get(path))


def _judged(analyzed: Callable[[], Analysis], path: str, expected: Expected | None) -> Result:
    try:
        analysis = analyzed()
        refuse_unknown(analysis)
    except BundleRefused as error:
        return Result(path, (f"- can be read: {visible(str(error))}",), expected, read=False)
    if expected is None:
        now = accepted(analysis, Expected(path, nothing_else=True))
        return Result(path, (f"- {FILE_NAME} tells what must fire; --accept writes it", *_all_new(now)), now)
    return Result(path, tuple(differences(analysis, expected)), accepted(analysis, expected))


def _all_new(now: Expected) -> Iterator[str]:
    return (f"+ {wanted.words}" for wanted in now.must_fire)


def bundles_in(folder: Path) -> list[str]:
    """Archives, and directories with a manifest."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise UsageError(f"{folder}: {error.strerror}") from None
    return [
        entry.name
        for entry in entries
        if (entry.is_file() and entry.name.endswith(_ARCHIVES)) or (entry / "manifest.json").is_file()
    ]


# --- compare ----------------------------------------------------------------------------------------------------------


def differences(analysis: Analysis, expected: Expected) -> Iterator[str]:
    """What netdiag says other than expected."""
    findings = analysis.shown()
    outcomes = {outcome.check: outcome for outcome in analysis.outcomes}
    for wanted in expected.must_fire:
        if not any(wanted.fits(finding) for finding in findings):
            yield f"- {wanted.words}{_instead(outcomes.get(wanted.check))}"
    for finding in findings:
        unwanted = not any(wanted.fits(finding) for wanted in expected.must_fire)
        if finding.check in expected.must_not_fire:
            yield f"+ {_found(finding)} (must not fire)"
        elif unwanted and expected.nothing_else:
            yield f"+ {_found(finding)}"
    for check in expected.must_not_fire:
        if check not in outcomes:
            yield f"- {check} must not fire (there is no such check)"
    for check, verdict in expected.outcomes.items():
        outcome = outcomes.get(check)
        if outcome is None or outcome.verdict.value != verdict:
            yield f"- {check} is {verdict}"
            yield f"+ {check} is {_verdict(outcome)}"


def _instead(outcome: Outcome | None) -> str:
    """What became of a check that did not say what it should."""
    if outcome is None:
        return " (there is no such check)"
    return "" if outcome.verdict is Verdict.FINDING else f" (it is {_verdict(outcome)})"


def _verdict(outcome: Outcome | None) -> str:
    if outcome is None:
        return "not there"
    reason = visible(" ".join(outcome.reason.split()))
    return f"{outcome.verdict.value}: {reason}" if reason else outcome.verdict.value


def _subject(finding: Finding, number: int) -> str:
    """A subject as it stands in the file: a name of a bundle may hold what TOML cannot."""
    subject = finding.subjects[number]
    return f"{subject.kind} {visible(subject.name)}"


def _wanted(finding: Finding) -> Wanted:
    subjects = tuple(_subject(finding, number) for number in range(len(finding.subjects)))
    return Wanted(finding.check, finding.severity.value, subjects)


def _found(finding: Finding) -> str:
    return _wanted(finding).words


def accepted(analysis: Analysis, expected: Expected) -> Expected:
    """The expectations with the fewest changes that make the bundle pass."""
    findings = analysis.shown()
    kept = [wanted for wanted in expected.must_fire if any(wanted.fits(finding) for finding in findings)]
    fired = {finding.check for finding in findings}
    if expected.nothing_else:
        kept += [_wanted(finding) for finding in findings if not any(wanted.fits(finding) for wanted in kept)]
    verdicts = {outcome.check: outcome.verdict.value for outcome in analysis.outcomes}
    return replace(
        expected,
        must_fire=tuple(dict.fromkeys(kept)),
        must_not_fire=tuple(check for check in expected.must_not_fire if check in verdicts and check not in fired),
        outcomes={check: verdicts[check] for check in expected.outcomes if check in verdicts},
    )


# --- the file ---------------------------------------------------------------------------------------------------------


def read_file(path: Path) -> tuple[Expected, ...]:
    """The expectations of a file, none when it does not exist. Raises `UsageError` in one line."""
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no TOML: {error}") from None
    entries = told.pop("bundle", [])
    try:
        _only_keys(told, set())
        return _once(_expected(entry) for entry in _tables(entries))
    except _Wrong as wrong:
        raise UsageError(f"{path}: {wrong}") from None


class _Wrong(ValueError):
    """Something in the file is not as it must be."""


def _expected(entry: Mapping[str, Any]) -> Expected:
    _only_keys(entry, _KEYS)
    outcomes = entry.get("outcomes", {})
    verdicts = [verdict.value for verdict in Verdict]
    if not isinstance(outcomes, dict) or not all(verdict in verdicts for verdict in outcomes.values()):
        raise _Wrong(f"outcomes are, by check, one of {', '.join(verdicts)}")
    if not isinstance(entry.get("nothing_else", False), bool):
        raise _Wrong("nothing_else is true or false")
    return Expected(
        path=_text(entry, "path"),
        note=_text(entry, "note", ""),
        nothing_else=entry.get("nothing_else", False),
        must_fire=tuple(_wanted_of(each) for each in _tables(entry.get("must_fire", []))),
        must_not_fire=_texts(entry, "must_not_fire"),
        outcomes=outcomes,
    )


def _once(expected: Iterable[Expected]) -> tuple[Expected, ...]:
    """All of them, each of a bundle of its own."""
    found: dict[str, Expected] = {}
    for each in expected:
        if each.path in found:
            raise _Wrong(f"{each.path} is there twice")
        found[each.path] = each
    return tuple(found.values())


def _wanted_of(entry: Mapping[str, Any]) -> Wanted:
    _only_keys(entry, {"check", "severity", "subjects"})
    severity = _text(entry, "severity", "")
    if severity not in ("", *(each.value for each in Severity)):
        raise _Wrong(f"there is no severity {severity!r}")
    return Wanted(_text(entry, "check"), severity, _texts(entry, "subjects"))


def _only_keys(entry: Mapping[str, Any], allowed: set[str]) -> None:
    for key in entry:
        if key not in allowed:
            raise _Wrong(f"there is no setting {key!r}")


def _tables(value: object) -> Sequence[Mapping[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise _Wrong("bundles begin with [[bundle]], what must fire with [[bundle.must_fire]]")
    return value


def _text(entry: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = entry.get(key, default)
    if not isinstance(value, str) or (not value and default is None):
        raise _Wrong(f"{key} is a text")
    return value


def _texts(entry: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = entry.get(key, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _Wrong(f"{key} is a list of texts")
    return tuple(value)


def write_file(path: Path, expected: Iterable[Expected]) -> None:
    """Write the expectations, sorted by path. Raises `UsageError` when that is not possible."""
    lines = [_HEAD, *(line for each in sorted(expected, key=lambda e: e.path) for line in _entry(each))]
    try:
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def _entry(expected: Expected) -> Iterator[str]:
    yield from ("", "[[bundle]]", f"path = {_quoted(expected.path)}")
    if expected.note:
        yield f"note = {_quoted(expected.note)}"
    if expected.nothing_else:
        yield "nothing_else = true"
    if expected.must_not_fire:
        yield f"must_not_fire = {_list(expected.must_not_fire)}"
    if expected.outcomes:
        pairs = (f"{_quoted(check)} = {_quoted(verdict)}" for check, verdict in expected.outcomes.items())
        yield f"outcomes = {{ {', '.join(pairs)} }}"
    for wanted in expected.must_fire:
        yield from ("", "[[bundle.must_fire]]", f"check = {_quoted(wanted.check)}")
        if wanted.severity:
            yield f"severity = {_quoted(wanted.severity)}"
        if wanted.subjects:
            yield f"subjects = {_list(wanted.subjects)}"


def _list(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(_quoted, texts))}]"


def _quoted(text: str) -> str:
    """A basic string of TOML: a quotation mark, a backslash and control characters are escaped."""
    return '"' + re.sub(r'[\x00-\x1f"\\\x7f]', lambda found: f"\\u{ord(found[0]):04x}", text) + '"'
