"""`.netdiag.toml`: what is suppressed, and what is wrong with a suppression."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from netdiag.analysis import analyze
from netdiag.errors import UsageError
from netdiag.results import Analysis
from netdiag.suppressions import Suppression, find_file, in_force, read_file, suppress

BUNDLE = Path(__file__).parents[1] / "samples" / "bundles" / "three-faults.tar.gz"
TODAY = date(2026, 11, 28)


@pytest.fixture(scope="module")
def faulty() -> Analysis:
    return analyze(BUNDLE)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / ".netdiag.toml"
    path.write_text(text, encoding="utf-8")
    return path


def suppression(**fields: object) -> Suppression:
    given = {"check": "nat-masquerade-missing", "reason": "r", "until": TODAY, "origin": "o", **fields}
    return Suppression(**given)  # type: ignore[arg-type]


def test_a_file_is_read(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        [[suppress]]
        check = "nat-masquerade-missing"
        subjects = ["network front"]
        host = "web*"
        reason = \"\"\"a router
        has the route\"\"\"
        until = 2026-11-28
        """,
    )
    assert read_file(path) == (
        Suppression(
            "nat-masquerade-missing",
            "a router has the route",
            date(2026, 11, 28),
            str(path),
            ("network front",),
            "web*",
        ),
    )


@pytest.mark.parametrize(
    ("fields", "fits"),
    [
        ({}, True),
        ({"check": "nat-masquerade-stale-subnet"}, False),
        ({"subjects": ("network front",)}, True),
        ({"subjects": ("network fr*",)}, True),
        ({"subjects": ("network front", "network back")}, False),
        ({"subjects": ("container front",)}, False),
        ({"host": "web01"}, True),
        ({"host": "db*"}, False),
    ],
)
def test_what_a_suppression_fits(fields: dict[str, object], *, fits: bool, faulty: Analysis) -> None:
    told = suppress(faulty, [suppression(**fields)])
    (masquerade,) = (finding for finding in faulty.findings if finding.check == "nat-masquerade-missing")
    assert [each.finding for each in told.suppressed] == ([masquerade] if fits else [])
    assert len(told.findings) + len(told.suppressed) == len(faulty.findings)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('check = "x"\nuntil = 2027-01-01', "suppression of x: say the reason"),
        ('check = "x"\nuntil = 2027-01-01\nreason = " "', "suppression of x: say the reason"),
        ('check = "x"\nreason = "r"', "suppression of x: say until which day, as in: until = 2027-01-31"),
        ('check = "x"\nreason = "r"\nuntil = "2027-01-01"', "suppression of x: say until which day"),
        ('check = "x"\nreason = "r"\nuntil = 2027-01-01T00:00:00', "suppression of x: say until which day"),
        ('reason = "r"\nuntil = 2027-01-01', "suppression 1: say which check"),
        ('check = "x"\nreason = "r"\nuntil = 2027-01-01\nsubject = "a"', "there is no setting 'subject'"),
        ('check = "x"\nreason = "r"\nuntil = 2027-01-01\nsubjects = "a"', "subjects is a list"),
        ('check = "x"\nreason = "r"\nuntil = 2027-01-01\nsubjects = ["web"]', "'web' is no subject"),
        ('check = "x"\nreason = "r"\nuntil = 2027-01-01\nhost = 1', "host is the name of a host"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, fault: str, tmp_path: Path) -> None:
    path = written(tmp_path, f"[[suppress]]\n{text}\n")
    with pytest.raises(UsageError) as refused:
        read_file(path)
    assert fault in str(refused.value)
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)


def test_one_that_has_ended_is_named_and_suppresses_nothing() -> None:
    last_day, over = suppression(check="a", until=TODAY), suppression(check="b", until=TODAY - timedelta(days=1))
    assert in_force([over, last_day], TODAY) == (
        (last_day,),
        ("o: suppression of b ended on 2026-11-27: what it put aside counts again",),
    )


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, '[[suppress]]\ncheck = "x"\n[[suppress]]\ncheck = "y"\nuntil = 2027-01-01\n')
    with pytest.raises(UsageError) as refused:
        read_file(path)
    assert str(refused.value) == (
        f"{path}: suppression of x: say the reason; "
        "suppression of x: say until which day, as in: until = 2027-01-31; "
        "suppression of y: say the reason"
    )


@pytest.mark.parametrize(
    "text", ["suppress = 1", 'suppress = ["x"]', "[suppress]\ncheck = 'x'", "ignore = true", "x ="]
)
def test_another_shape_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        read_file(written(tmp_path, text))


def test_an_empty_file_suppresses_nothing(tmp_path: Path) -> None:
    assert read_file(written(tmp_path, "")) == ()


def test_a_check_that_does_not_exist_is_refused(faulty: Analysis) -> None:
    with pytest.raises(UsageError, match="there is no check 'nat-masquerade-mising'"):
        suppress(faulty, [suppression(check="nat-masquerade-mising")])


def test_the_file_beside_the_bundle_comes_before_the_one_here_and_none_is_taken_from_the_bundle(tmp_path: Path) -> None:
    bundle, here = tmp_path / "cases" / "bundle", tmp_path / "here"
    for folder in (bundle, here):
        folder.mkdir(parents=True)
    written(bundle, "")
    assert find_file(bundle, here) is None
    written(here, "")
    assert find_file(bundle, here) == here / ".netdiag.toml"
    written(bundle.parent, "")
    assert find_file(bundle, here) == bundle.parent / ".netdiag.toml"
