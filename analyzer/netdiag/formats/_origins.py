"""Where the samples of each format come from: which versions its reader was tried on, and how their outputs were had.

`origins.json` is made from samples/formats/*/ORIGIN.md by tests/formats/test_origins.py, because the samples themselves
are not installed.
"""

import json
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("origins.json")


@dataclass(frozen=True)
class Origin:
    """How samples of a format came about.

    `kind` is `captured` (from the tool at work), `printed` (by the tool, from rules or answers typed for it) or `typed`
    (after documentation, because the tool could not be had). `versions` name distribution, tool and engine as far as
    they are known; `samples` are the names of the files; `text` tells the command and the circumstances.
    """

    kind: str
    versions: tuple[str, ...]
    samples: tuple[str, ...]
    text: str


def origins(name: str) -> tuple[Origin, ...]:
    """The origins of a format's samples; none for a format from elsewhere."""
    told = json.loads(FILE.read_text(encoding="utf-8")).get(name, [])
    return tuple(
        Origin(entry["kind"], tuple(entry["versions"]), tuple(entry["samples"]), entry["text"]) for entry in told
    )
