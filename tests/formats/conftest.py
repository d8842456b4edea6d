"""A test with an argument `sample` runs once for each captured output under samples/formats, given as a source."""

from collections.abc import Callable
from pathlib import Path

import pytest

from netdiag.spans import Source

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "formats"


def _is_golden(path: Path) -> bool:
    return path.name.endswith(".golden.json") or (path.suffix == ".json" and path.with_suffix(".txt").exists())


def _samples() -> list[Source]:
    files = sorted(path for path in SAMPLES.glob("*/*") if path.name != "ORIGIN.md" and not _is_golden(path))
    return [
        Source(path=str(path.relative_to(SAMPLES)), text=path.read_bytes().decode("utf-8", "replace")) for path in files
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "sample" in metafunc.fixturenames:
        metafunc.parametrize("sample", _samples(), ids=lambda source: source.path)


@pytest.fixture(scope="session")
def all_samples() -> list[Source]:
    return _samples()


@pytest.fixture(scope="session")
def samples_folder() -> Path:
    return SAMPLES


@pytest.fixture(scope="session")
def seed() -> Callable[[str], str]:
    """The text of a file of the seed bundle."""
    return lambda name: (SAMPLES.parent / "bundles" / "seed" / name).read_text(encoding="utf-8")
