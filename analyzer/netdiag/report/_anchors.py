"""The ids of a page, in one place because the drawings link to what the page holds."""

from collections import Counter
from collections.abc import Sequence

from netdiag.finding import Finding


def of_findings(findings: Sequence[Finding]) -> tuple[str, ...]:
    """The id of each finding: check and fingerprint, so that a link into one report finds the same fault in the next.

    Findings of one check on the same subjects share a fingerprint; from the second on their ids carry a number.
    """
    seen: Counter[str] = Counter()
    ids = []
    for finding in findings:
        name = f"{finding.check}-{finding.fingerprint}"
        seen[name] += 1
        ids.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return tuple(ids)


def of_check(check: str) -> str:
    return f"check-{check}"


def of_crowd(check: str) -> str:
    return f"more-{check}"


def of_container(number: int) -> str:
    return f"container-{number}"


def of_link(number: int) -> str:
    return f"link-{number}"


def of_segment(number: int) -> str:
    return f"segment-{number}"


def of_source(number: int) -> str:
    return f"source-{number}"


def of_line(source: int, line: int) -> str:
    return f"source-{source}-{line}"
