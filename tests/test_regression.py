"""A folder of bundles with what must be said of them: what differs, and what accepting writes."""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from netdiag.cli.test import command
from netdiag.errors import UsageError
from netdiag.regression import Expected, Wanted, read_file, run, write_file
from netdiag.report.schemas import schema

CHECKS = Path(__file__).parents[1] / "samples" / "checks"
MASQUERADE = Wanted("nat-masquerade-missing", "error")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one bundle, in which `nat-masquerade-missing` fires."""
    shutil.copytree(CHECKS / "nat-masquerade-missing" / "fires", tmp_path / "cases" / "masquerade")
    return tmp_path / "cases"


@pytest.fixture
def differs(folder: Path) -> Callable[..., tuple[str, ...]]:
    """What differs for the one bundle with these expectations."""

    def run_with(**fields: object) -> tuple[str, ...]:
        write_file(folder / "expected.toml", [Expected("masquerade", **fields)])  # type: ignore[arg-type]
        (result,) = run(folder)
        return result.differences

    return run_with


def test_what_must_fire_and_fires_is_no_difference(differs: Callable[..., tuple[str, ...]]) -> None:
    assert differs(must_fire=(MASQUERADE,)) == ()
    assert differs(must_fire=(Wanted("nat-masquerade-missing"),)) == ()


def test_what_must_fire_and_does_not_is_missing_with_what_became_of_it(
    differs: Callable[..., tuple[str, ...]],
) -> None:
    assert differs(must_fire=(Wanted("nat-masquerade-missing", "note"),)) == ("- note[nat-masquerade-missing]",)
    assert differs(must_fire=(Wanted("nat-masquerade-missing", "error", ("network elsewhere",)),)) == (
        "- error[nat-masquerade-missing] network elsewhere",
    )
    (line,) = differs(must_fire=(Wanted("sysctl-ip-forward-off"),))
    assert line.startswith("- any[sysctl-ip-forward-off] (it is unknown: ")
    assert differs(must_fire=(Wanted("no-such-check"),)) == ("- any[no-such-check] (there is no such check)",)


def test_what_must_not_fire_and_does_is_told(differs: Callable[..., tuple[str, ...]]) -> None:
    (line,) = differs(must_not_fire=("nat-masquerade-missing", "link-veth-down"))
    assert line.startswith("+ error[nat-masquerade-missing] network ")
    assert line.endswith(" (must not fire)")
    assert differs(must_not_fire=("no-such-check",)) == ("- no-such-check must not fire (there is no such check)",)


def test_nothing_else_means_every_finding(differs: Callable[..., tuple[str, ...]]) -> None:
    assert differs(nothing_else=True, must_fire=(MASQUERADE,)) == ()
    (line,) = differs(nothing_else=True)
    assert line.startswith("+ error[nat-masquerade-missing] network ")


def test_an_outcome_is_compared(differs: Callable[..., tuple[str, ...]]) -> None:
    assert differs(outcomes={"nat-masquerade-missing": "finding", "sysctl-ip-forward-off": "unknown"}) == ()
    first, second = differs(outcomes={"sysctl-ip-forward-off": "clean"})
    assert first == "- sysctl-ip-forward-off is clean"
    assert second.startswith("+ sysctl-ip-forward-off is unknown: ")


def test_a_bundle_without_expectations_fails(folder: Path) -> None:
    (result,) = run(folder)
    assert result.differences[0] == "- expected.toml tells what must fire; --accept writes it"
    assert result.differences[1].startswith("+ error[nat-masquerade-missing] ")


def test_a_bundle_that_is_gone_fails_and_keeps_its_expectations(folder: Path) -> None:
    gone = Expected("gone.tar.gz", note="sent by a customer", must_fire=(MASQUERADE,))
    write_file(folder / "expected.toml", [gone, Expected("masquerade")])
    first, second = run(folder)
    assert (first.passed, second.passed) == (False, True)
    assert first.differences[0].startswith("- can be read: ")
    assert CliRunner().invoke(command, [str(folder), "--accept"], standalone_mode=False).return_value == 1
    assert read_file(folder / "expected.toml")[0] == gone


def test_accepting_changes_as_little_as_makes_it_pass(folder: Path) -> None:
    loose = Wanted("nat-masquerade-missing")
    before = Expected(
        "masquerade",
        note="with 'quotes', \"more\" of them and a \\",
        nothing_else=True,
        must_fire=(loose, Wanted("link-veth-down")),
        must_not_fire=("nat-masquerade-missing", "link-veth-orphan", "no-such-check"),
        outcomes={"sysctl-ip-forward-off": "clean", "no-such-check": "clean"},
    )
    write_file(folder / "expected.toml", [before])
    done = CliRunner().invoke(command, [str(folder), "--accept"], standalone_mode=False)
    assert done.return_value == 0
    assert read_file(folder / "expected.toml") == (
        Expected(
            "masquerade",
            note=before.note,
            nothing_else=True,
            must_fire=(loose,),
            must_not_fire=("link-veth-orphan",),
            outcomes={"sysctl-ip-forward-off": "unknown"},
        ),
    )
    assert CliRunner().invoke(command, [str(folder)], standalone_mode=False).return_value == 0


def test_accepting_a_new_bundle_expects_all_that_it_shows_and_nothing_else(folder: Path) -> None:
    CliRunner().invoke(command, [str(folder), "--accept"], standalone_mode=False)
    (now,) = read_file(folder / "expected.toml")
    assert (now.path, now.nothing_else, [wanted.check for wanted in now.must_fire]) == (
        "masquerade",
        True,
        ["nat-masquerade-missing"],
    )


def test_the_command_prints_a_difference_and_exits_with_1(folder: Path, tmp_path: Path) -> None:
    write_file(folder / "expected.toml", [Expected("masquerade", must_fire=(Wanted("link-veth-down", "error"),))])
    outputs = [each for name in ("r.xml", "r.json", "r.txt") for each in ("-o", str(tmp_path / name))]
    done = CliRunner().invoke(command, [str(folder), *outputs], standalone_mode=False)
    assert done.return_value == 1
    first, second, last = done.stdout.splitlines()
    assert (first, last) == ("FAIL  masquerade", "1 bundle: 0 as expected, 1 not")
    assert second.startswith("      - error[link-veth-down] (it is ")
    assert (tmp_path / "r.txt").read_text(encoding="utf-8") == done.stdout
    xml = (tmp_path / "r.xml").read_text(encoding="utf-8")
    assert '<testsuites name="netdiag" tests="1" failures="1" errors="0">' in xml
    assert "- error[link-veth-down]" in xml
    made = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    (bundle,) = made["bundles"]
    assert made["summary"] == {"passed": 0, "failed": 1}
    assert (bundle["path"], bundle["passed"]) == ("masquerade", False)
    assert bundle["differences"] == [{"sign": "-", "text": second.strip().removeprefix("- ")}]
    rules: Any = schema("test")
    assert list(Draft202012Validator(rules).iter_errors(made)) == []


def test_the_command_writes_one_document_for_a_program(folder: Path) -> None:
    done = CliRunner().invoke(command, [str(folder), "--format", "json", "--accept"], standalone_mode=False)
    assert (done.return_value, json.loads(done.stdout)["summary"]) == (0, {"passed": 0, "failed": 1})
    again = CliRunner().invoke(command, [str(folder), "--format", "junit"], standalone_mode=False)
    assert (again.return_value, ET.fromstring(again.stdout.encode()).get("failures")) == (0, "0")
    refused = CliRunner().invoke(command, [str(folder), "-o", "r.pdf"], standalone_mode=False)
    assert isinstance(refused.exception, UsageError)


def test_a_bundle_that_is_there_twice_is_refused(folder: Path) -> None:
    (folder / "expected.toml").write_text('[[bundle]]\npath = "masquerade"\n' * 2)
    with pytest.raises(UsageError, match="masquerade is there twice"):
        list(run(folder))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("x =", "is no TOML"),
        ("other = 1", "there is no setting 'other'"),
        ("bundle = 1", "bundles begin with [[bundle]]"),
        ("[[bundle]]", "path is a text"),
        ('[[bundle]]\npath = "a"\nmust_fire = ["x"]', "bundles begin with [[bundle]]"),
        ('[[bundle]]\npath = "a"\nmust_not_fire = "x"', "must_not_fire is a list of texts"),
        ('[[bundle]]\npath = "a"\nnothing_else = 1', "nothing_else is true or false"),
        ('[[bundle]]\npath = "a"\noutcomes = { x = "fine" }', "outcomes are, by check, one of finding, clean"),
        ('[[bundle]]\npath = "a"\n[[bundle.must_fire]]\ncheck = "x"\nseverity = "bad"', "there is no severity 'bad'"),
        ('[[bundle]]\npath = "a"\n[[bundle.must_fire]]\nchek = "x"', "there is no setting 'chek'"),
    ],
)
def test_what_is_wrong_with_the_file_is_said_in_one_line(text: str, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "expected.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as refused:
        read_file(path)
    assert fault in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_folder_without_bundles_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no bundles"):
        list(run(tmp_path))


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(texts, texts, st.lists(texts, max_size=3))
def test_what_is_written_is_what_is_read(path: str, note: str, subjects: list[str]) -> None:
    expected = Expected(path, note, must_fire=(Wanted("c", "", tuple(subjects)),), outcomes={note: "clean"})
    with tempfile.TemporaryDirectory() as folder:
        write_file(Path(folder) / "expected.toml", [expected])
        assert read_file(Path(folder) / "expected.toml") == (expected,)
