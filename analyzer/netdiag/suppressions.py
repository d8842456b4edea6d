"""Findings that a user decided not to act on: `.netdiag.toml`, with a reason and a last day for each.

    [[suppress]]
    check = "link-stale-bridge"
    subjects = ["bridge br-0f1e2d3c4b5a"]    # of what kind and name; `*` and `?` stand for any characters
    host = "web*"                            # on these hosts only
    reason = "left over from the move, goes with it"
    until = 2027-01-31

`subjects` and `host` may be left out. A suppressed finding does not vanish: every report shows it with its reason. One
without a reason is an error; one that has ended is named and suppresses nothing, so that nobody forgets what was put
aside, and nobody waits for the analysis of today because of it.
"""

import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from netdiag.errors import UsageError
from netdiag.finding import SUBJECT_KINDS, Finding
from netdiag.results import Analysis, Suppressed

FILE_NAME = ".netdiag.toml"

_KEYS = {"check", "subjects", "host", "reason", "until"}


@dataclass(frozen=True)
class Suppression:
    """Which findings are suppressed: those of `check` that have each of `subjects`, on hosts whose name fits `host`."""

    check: str
    reason: str
    until: date
    origin: str
    subjects: tuple[str, ...] = ()
    host: str = "*"

    def fits(self, finding: Finding, host: str) -> bool:
        names = [f"{subject.kind} {subject.name}" for subject in finding.subjects]
        return (
            finding.check == self.check
            and fnmatchcase(host, self.host)
            and all(any(fnmatchcase(name, wanted) for name in names) for wanted in self.subjects)
        )


def find_file(bundle: Path, here: Path) -> Path | None:
    """The file beside the bundle, else the one in the current directory.

    None of the bundle itself: who made it must not say what is shown of it.
    """
    folders = (bundle.absolute().parent, here)
    return next((file for folder in folders if (file := folder / FILE_NAME).is_file()), None)


def read_file(path: Path) -> tuple[Suppression, ...]:
    """The suppressions of a file. Raises `UsageError` with all that is wrong with it in one line."""
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no TOML: {error}") from None
    entries = told.get("suppress", [])
    faults = [f"there is no setting {key!r}" for key in told if key != "suppress"]
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        faults, entries = [*faults, "suppressions begin with [[suppress]]"], []
    for number, entry in enumerate(entries, start=1):
        named = entry.get("check")
        name = f"suppression of {named}" if isinstance(named, str) and named else f"suppression {number}"
        faults += [f"{name}: {fault}" for fault in _faults(entry)]
    if faults:
        raise UsageError(f"{path}: {'; '.join(faults)}")
    return tuple(_suppression(entry, str(path)) for entry in entries)


def in_force(suppressions: Iterable[Suppression], today: date) -> tuple[tuple[Suppression, ...], tuple[str, ...]]:
    """Those that have not ended, and a line about each that has."""
    given = tuple(suppressions)
    ended = tuple(
        f"{each.origin}: suppression of {each.check} ended on {each.until}: what it put aside counts again"
        for each in given
        if each.until < today
    )
    return tuple(each for each in given if each.until >= today), ended


def suppress(analysis: Analysis, suppressions: Iterable[Suppression]) -> Analysis:
    """The analysis with the findings put aside that a suppression fits. Raises `UsageError` for one of a check that
    does not exist: it would never fit.
    """
    wanted = tuple(suppressions)
    _check_names(wanted, {outcome.check for outcome in analysis.outcomes})
    host = analysis.bundle.host or analysis.bundle.name
    kept, aside = [], []
    for finding in analysis.findings:
        fitting = next((each for each in wanted if each.fits(finding, host)), None)
        if fitting:
            aside.append(Suppressed(finding, fitting.reason, fitting.until, fitting.origin))
        else:
            kept.append(finding)
    return replace(analysis, findings=tuple(kept), suppressed=(*analysis.suppressed, *aside))


def _faults(entry: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with one entry."""
    yield from (f"there is no setting {key!r}" for key in entry if key not in _KEYS)
    if not _is_text(entry.get("check")):
        yield "say which check"
    if not _is_text(entry.get("reason")):
        yield "say the reason"
    if not _is_text(entry.get("host", "*")):
        yield "host is the name of a host"
    yield from _faults_of_subjects(entry.get("subjects", []))
    until = entry.get("until")
    if not isinstance(until, date) or isinstance(until, datetime):
        yield "say until which day, as in: until = 2027-01-31"


def _faults_of_subjects(subjects: object) -> Iterator[str]:
    if not isinstance(subjects, list) or not all(_is_text(each) for each in subjects):
        yield 'subjects is a list, as in: subjects = ["container web"]'
        return
    for each in subjects:
        kind, _, name = each.partition(" ")
        if kind not in SUBJECT_KINDS or not name:
            yield f"{each!r} is no subject, as `container web` is one; kinds are {', '.join(SUBJECT_KINDS)}"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _suppression(entry: Mapping[str, Any], origin: str) -> Suppression:
    return Suppression(
        check=entry["check"],
        reason=" ".join(entry["reason"].split()),
        until=entry["until"],
        origin=origin,
        subjects=tuple(entry.get("subjects", [])),
        host=entry.get("host", "*"),
    )


def _check_names(suppressions: Iterable[Suppression], checks: Collection[str]) -> None:
    for each in suppressions:
        if each.check not in checks:
            raise UsageError(f"{each.origin}: there is no check {each.check!r}; `netdiag checks` lists them")
