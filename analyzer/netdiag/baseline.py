"""What an older result has already: of a host that was never clean, only what is new counts.

The older result is the JSON report. Findings are the same when check and subjects are (`Finding.fingerprint`), whatever
lines they were read from.
"""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

from netdiag.errors import UsageError
from netdiag.results import Analysis


def read_baseline(path: Path) -> Counter[str]:
    """How often the older result has each fingerprint. Raises `UsageError` when the file is no JSON report."""
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        return Counter(str(finding["fingerprint"]) for finding in result["findings"])
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UsageError(f"{path} is no result of `netdiag analyze --format json`") from None


def against(analysis: Analysis, baseline: Counter[str]) -> Analysis:
    """The analysis with those findings marked that the older result has as well.

    Where several findings share a fingerprint, as many of them are known as the older result has; the worst come first.
    """
    left = baseline.copy()
    known = set()
    for finding in analysis.findings:
        if left[finding.fingerprint] > 0:
            left[finding.fingerprint] -= 1
            known.add(finding)
    return replace(analysis, known=frozenset(known))
