"""Where each sample comes from is told once, in the ORIGIN.md beside it; what is installed says the same.

`ACCEPT=1 pytest tests/formats` writes what is installed anew.
"""

import json
import os
import re
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from netdiag import formats
from netdiag.formats import _origins
from netdiag.formats._origins import Origin
from netdiag.spans import Source

BULLET = re.compile(r"^- ((?:`[^`]+`(?:,\s+)?)+): ((?:captured|printed|typed)\b.*(?:\n {2}.*)*)", re.MULTILINE)
# a version, or a word that is one together with the version before it
VERSION = re.compile(r"[a-z]*\d+(\.\d+)+|(debian|docker)\d+|sid|perf\d|nft|legacy|alpha")


def versions_of(sample: str) -> str:
    """The beginning of a sample's name: all words up to the last version, or the whole name where it has none."""
    words = sample.removeprefix("typed-").split("-")
    last = max((place for place, word in enumerate(words, start=1) if VERSION.fullmatch(word)), default=len(words))
    return "-".join(words[:last])


def told_in(folder: Path, samples: list[str]) -> list[Origin]:
    """The bullets of a format's ORIGIN.md with the samples that each names, of those that no bullet names better."""
    bullets = BULLET.findall((folder / "ORIGIN.md").read_text(encoding="utf-8"))
    patterns = [(pattern, text) for names, text in bullets for pattern in re.findall(r"`([^`]+)`", names)]
    own: dict[str, list[str]] = {text: [] for _, text in patterns}
    for sample in samples:
        fitting = [(len(pattern), text) for pattern, text in patterns if fnmatchcase(sample, pattern)]
        assert fitting, f"{folder.name}/ORIGIN.md does not tell where {sample} comes from"
        own[max(fitting)[1]].append(sample.removesuffix(".txt"))
    assert [text for text, named in own.items() if not named] == [], f"{folder.name}/ORIGIN.md tells of no sample"
    return [
        Origin(
            kind=re.split(r"\W", text, maxsplit=1)[0],
            versions=tuple(dict.fromkeys(map(versions_of, named))),
            samples=tuple(named),
            text=" ".join(text.split()),
        )
        for text, named in own.items()
    ]


@pytest.fixture(scope="session")
def origins(all_samples: list[Source], samples_folder: Path) -> dict[str, list[Origin]]:
    names: dict[str, list[str]] = {}
    for sample in all_samples:
        folder, name = sample.path.split("/")
        names.setdefault(folder, []).append(name)
    return {folder: told_in(samples_folder / folder, found) for folder, found in names.items()}


def test_what_is_installed_tells_of_every_sample_what_its_origin_says(origins: dict[str, list[Origin]]) -> None:
    if os.environ.get("ACCEPT") == "1":
        told = {name: [asdict(origin) for origin in found] for name, found in origins.items()}
        _origins.FILE.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    assert {name: list(formats.origins(name)) for name in formats.names()} == origins


@pytest.mark.parametrize(
    ("name", "versions"),
    [
        ("debian12-iproute2-6.1-docker20.10-oneline", "debian12-iproute2-6.1-docker20.10"),
        ("debian12-iptables1.8.9-nft-docker28-rules-filter", "debian12-iptables1.8.9-nft-docker28"),
        ("debian11-iptables1.8.7-nft-ufw-rules-ipv6-filter", "debian11-iptables1.8.7-nft"),
        ("debian12-util-linux-2.38-docker20.10-no-headings", "debian12-util-linux-2.38-docker20.10"),
        ("debian11-net-tools-2.10-alpha-families", "debian11-net-tools-2.10-alpha"),
        ("typed-docker1.13", "docker1.13"),
        ("seed", "seed"),
    ],
)
def test_the_versions_are_the_beginning_of_a_samples_name(name: str, versions: str) -> None:
    assert versions_of(name) == versions
