"""The harness for checks, for netdiag's own and for those of others: run one check on a bundle and look at what it
said.
"""

from dataclasses import dataclass
from pathlib import Path

from netdiag import checks
from netdiag.analysis import read_source
from netdiag.bundle import open_bundle
from netdiag.checks import Check
from netdiag.finding import Finding, Outcome
from netdiag.model import Host, build


@dataclass(frozen=True)
class CheckResult:
    """What one check said of one bundle."""

    findings: tuple[Finding, ...]
    outcome: Outcome


def host_of(bundle: Path) -> Host:
    """The host model of a bundle: an archive, a directory or a loose file. Raises `BundleRefused` when it cannot be
    read.
    """
    opened = open_bundle(bundle)
    documents = [document for source in opened.sources if (document := read_source(source))]
    return build(opened, documents)


def run_check(check: Check, bundle: Path) -> CheckResult:
    """Run one check on one bundle. A check that raises gets the outcome `crashed`, as in an analysis."""
    findings, (outcome,) = checks.run([check], host_of(bundle))
    return CheckResult(findings, outcome)
