"""Whole bundles from real hosts, and the loose files of the seed, against the reports that a person has read."""

import json
import os
from pathlib import Path

import pytest

from netdiag.analysis import analyze
from netdiag.finding import Severity
from netdiag.report import render

BUNDLES = Path(__file__).parents[1] / "samples" / "bundles"
CASES = sorted(path for path in BUNDLES.iterdir() if path.name.endswith(".tar.gz") or path.is_dir())


@pytest.mark.parametrize("bundle", CASES, ids=lambda path: path.name.removesuffix(".tar.gz"))
def test_the_report_is_the_one_that_was_read(bundle: Path) -> None:
    text = render(analyze(bundle), "text", width=100).decode()
    golden = BUNDLES / f"{bundle.name.removesuffix('.tar.gz')}.expected.txt"
    if os.environ.get("ACCEPT"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("bundle", CASES, ids=lambda path: path.name.removesuffix(".tar.gz"))
def test_the_same_bundle_gives_the_same_bytes(bundle: Path) -> None:
    assert render(analyze(bundle), "json") == render(analyze(bundle), "json")


@pytest.mark.parametrize("backend", ["nft", "legacy"])
def test_a_healthy_host_has_no_error_and_no_warning(backend: str) -> None:
    analysis = analyze(BUNDLES / f"healthy-{backend}.tar.gz")
    assert [finding for finding in analysis.findings if finding.severity is not Severity.NOTE] == []


def test_both_backends_of_one_workload_give_the_same_rules() -> None:
    def rules(backend: str) -> list[str]:
        host = json.loads(render(analyze(BUNDLES / f"healthy-{backend}.tar.gz"), "json"))["host"]
        return sorted(
            f"{table['family']} {table['name']} {chain}"
            for table in host["namespaces"][0]["firewall"]["items"]
            if table["family"] == "ipv4"
            for chain in table["chains"]
            if chain.startswith("DOCKER")
        )

    assert rules("nft") == rules("legacy")
