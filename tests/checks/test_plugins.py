"""Checks of other packages: found by their entry points, listed with the others, and contained whatever they do."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import Distribution, DistributionFinder
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from netdiag.checks import Check, own_checks, run
from netdiag.checks._plugins import plugged_in
from netdiag.finding import Verdict
from netdiag.model import Engine, Facts, Host, Namespace

ROOT = Path(__file__).parents[2]
HEALTHY = ROOT / "samples" / "bundles" / "healthy-nft.tar.gz"
EXAMPLE = ROOT / "samples" / "plugin"
HOST = Host("web01", (Namespace("host", "host"),), Facts(), Facts(), Engine())

GOOD = '''
"""A check of acme's."""
from netdiag.checks import Fault, NotApplicable, check
from netdiag.finding import Evidence, Severity, Subject

@check(Severity.NOTE, layer="acme")
def acme_good(host):
    """Something acme cares about.

    ## What it finds
    It."""
    yield NotApplicable("acme has nothing here")
'''

Install = Callable[..., list[Check]]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """`install(code, name="module:object")`: the checks of a package that is as good as installed."""

    def put(code: str, **entries: str) -> list[Check]:
        folder = tmp_path / f"site{len(list(tmp_path.iterdir()))}"
        metadata = folder / "acme_netdiag-1.2.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-netdiag\nVersion: 1.2\n")
        lines = [f"{name.replace('_', '-')} = {value}" for name, value in entries.items()]
        (metadata / "entry_points.txt").write_text("\n".join(["[netdiag.checks]", *lines]) + "\n")
        (folder / f"{folder.name}_acme.py").write_text(code)
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.delitem(sys.modules, f"{folder.name}_acme", raising=False)
        return list(plugged_in({check.name for check in own_checks()}))

    return put


def reason_of(check: Check) -> str:
    findings, (outcome,) = run([check], HOST)
    assert (findings, outcome.verdict) == ((), Verdict.CRASHED)
    return outcome.reason


def test_a_check_is_found_by_its_entry_point_and_says_whose_it_is(install: Install) -> None:
    (check,) = install(GOOD, acme_good="site0_acme:acme_good")
    assert (check.name, check.layer, check.origin) == ("acme-good", "acme", "acme-netdiag 1.2")
    assert run([check], HOST)[1][0].reason == "acme has nothing here"


def test_a_check_of_a_package_in_an_archive_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = tmp_path / "acme.zip"
    with ZipFile(archive, "w") as packed:
        packed.writestr(
            "acme_netdiag-1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: acme-netdiag\nVersion: 1.2\n"
        )
        packed.writestr(
            "acme_netdiag-1.2.dist-info/entry_points.txt", "[netdiag.checks]\nacme-good = packed_acme:acme_good\n"
        )
        packed.writestr("packed_acme.py", GOOD)
    monkeypatch.syspath_prepend(str(archive))
    assert [(check.name, check.origin) for check in plugged_in(())] == [("acme-good", "acme-netdiag 1.2")]


def test_a_check_of_an_egg_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    egg = tmp_path / "acme_netdiag-1.2-py3.11.egg"
    metadata = egg / "EGG-INFO"
    metadata.mkdir(parents=True)
    (metadata / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: acme-netdiag\nVersion: 1.2\n")
    (metadata / "entry_points.txt").write_text("[netdiag.checks]\nacme-good = egg_acme:acme_good\n")
    (egg / "egg_acme.py").write_text(GOOD)
    monkeypatch.syspath_prepend(str(egg))
    assert [(check.name, check.origin) for check in plugged_in(())] == [("acme-good", "acme-netdiag 1.2")]


def test_a_check_of_a_package_that_a_finder_of_its_own_knows_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Acme(Distribution):
        def read_text(self, filename: str) -> str | None:
            return {
                "METADATA": "Metadata-Version: 2.1\nName: acme-netdiag\nVersion: 1.2\n",
                "entry_points.txt": "[netdiag.checks]\nacme-gone = nowhere_acme:acme_good\n",
            }.get(filename)

        def locate_file(self, path: object) -> Path:
            return Path("nowhere", str(path))

    class Finder(DistributionFinder):
        def find_distributions(self, context: object = None) -> list[Distribution]:
            return [Acme()]

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert [(check.name, check.origin) for check in plugged_in(())] == [("acme-gone", "acme-netdiag 1.2")]


@pytest.mark.parametrize(
    ("code", "value", "words"),
    [
        ("import no_such_module", "site0_acme:acme_good", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemExit('bye')", "site0_acme:acme_good", "SystemExit: bye"),
        ("def broken(:", "site0_acme:broken", "SyntaxError"),
        (GOOD, "site0_acme:absent", "AttributeError"),
        (GOOD, "no_such_package:check", "No module named 'no_such_package'"),
        ("def plain(host): yield", "site0_acme:plain", "is a function, not a check"),
        (GOOD.replace("acme_good", "Acme_Good"), "site0_acme:Acme_Good", "not in kebab-case"),
        (GOOD.replace("acme_good", "link_bridge_down"), "site0_acme:link_bridge_down", "another check named"),
    ],
    ids=["import", "exit", "syntax", "attribute", "module", "function", "name", "taken"],
)
def test_what_cannot_be_loaded_crashes_with_the_reason(code: str, value: str, words: str, install: Install) -> None:
    (check,) = install(code, acme_good=value)
    assert check.name == "acme-good"
    reason = reason_of(check)
    assert reason.startswith("the plug-in of acme-netdiag 1.2 was not loaded: ")
    assert words in reason


def test_two_checks_of_one_name_are_told_apart(install: Install) -> None:
    first, second = install(GOOD, acme_first="site0_acme:acme_good", acme_good="site0_acme:acme_good")
    assert (first.name, second.name) == ("acme-good", "acme-good-not-loaded")
    assert "there is another check named acme-good" in reason_of(second)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise RuntimeError('boom')", "RuntimeError: boom (acme_good, line"),
        ("import sys; sys.exit(0); yield", "SystemExit: 0"),
        ("return host.no_such_fact; yield", "AttributeError"),
        ("return 5", "TypeError"),
        ("yield 'bridge is down'", "not a verdict: 'bridge is down'"),
        ("yield NotApplicable(None)", "not a verdict"),
        ("yield Fault('m', 'host', (), (), ())", "not a verdict"),
        ("yield Fault('m', (), (), (), ())", "a finding needs primary evidence"),
        ("yield Fault('m', (Subject('wire', 'w'),), (), (), ())", "no subject kind 'wire'"),
        ("yield from acme_good.run(host)", "RecursionError"),
    ],
)
def test_a_plug_in_that_goes_wrong_costs_no_other_check(body: str, words: str, install: Install) -> None:
    code = GOOD.replace('yield NotApplicable("acme has nothing here")', body)
    (check,) = install(code, acme_good="site0_acme:acme_good")
    other = Check("other", "link", check.severity, "Other.", lambda _: iter(()))
    _, outcomes = run([check, other], HOST)
    assert [outcome.verdict for outcome in outcomes] == [Verdict.CRASHED, Verdict.CLEAN]
    assert outcomes[0].reason.startswith("the check of acme-netdiag 1.2 failed: ")
    assert words in outcomes[0].reason


# --- on the command line ----------------------------------------------------------------------------------------------


def netdiag(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("COVERAGE_")}
    paths = os.pathsep.join(path for path in sys.path if path)
    return subprocess.run(
        [sys.executable, "-m", "netdiag", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**kept, "PYTHONPATH": paths, "PYTHONIOENCODING": "utf-8", **environment},
        check=False,
    )


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The example of samples/plugin, as good as installed."""
    project = (EXAMPLE / "pyproject.toml").read_text(encoding="utf-8")
    line = next(line for line in project.splitlines() if line.startswith("site-subnet-outside-plan = "))
    metadata = tmp_path / "netdiag_address_plan-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: netdiag-address-plan\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[netdiag.checks]\n{line.replace(chr(34), '')}\n")
    monkeypatch.syspath_prepend(str(EXAMPLE))
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("example")
def test_the_example_is_listed_explained_and_run_like_any_other() -> None:
    listed = netdiag("checks", "address").stdout
    assert "site-subnet-outside-plan" in listed
    assert "(netdiag-address-plan 1.0)" in listed
    assert "## Repair" in netdiag("explain", "site-subnet-outside-plan").stdout
    plan = {"NETDIAG_ADDRESS_PLAN": "10.200.0.0/16"}
    report = json.loads(netdiag("analyze", "--format", "json", HEALTHY, **plan).stdout)
    found = [each for each in report["findings"] if each["check"] == "site-subnet-outside-plan"]
    assert [each["subjects"][0]["name"] for each in found] == ["back", "front"]
    assert netdiag("analyze", HEALTHY, **plan).returncode == 0
    assert netdiag("analyze", "--fail-on", "warning", HEALTHY, **plan).returncode == 1
    assert netdiag("analyze", HEALTHY).returncode == 0


@pytest.mark.usefixtures("example")
def test_a_plug_in_that_crashes_ends_with_3_and_the_report_says_why() -> None:
    done = netdiag("analyze", HEALTHY, NETDIAG_ADDRESS_PLAN="nonsense")
    assert done.returncode == 3
    assert "the check of netdiag-address-plan 1.0 failed: AddressValueError" in " ".join(done.stdout.split())


def test_a_plug_in_that_cannot_be_imported_ends_with_3_and_is_listed(install: Install) -> None:
    install("import no_such_module", acme_good="site0_acme:acme_good")
    assert "Not loaded: site0_acme:acme_good cannot be imported" in netdiag("checks").stdout
    done = netdiag("analyze", HEALTHY)
    assert done.returncode == 3
    assert "No module named 'no_such_module'" in " ".join(done.stdout.split())
