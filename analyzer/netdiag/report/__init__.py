"""The report room: an analysis becomes a page for a person or a file for a program. Nothing is judged or read here.

Importing this module imports none of the renderers; each is imported when it is asked for.
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from netdiag.errors import UsageError

if TYPE_CHECKING:
    from netdiag.results import Analysis

__all__ = ["FORMATS", "PAPERS", "ReportFormat", "format_of", "render"]


@dataclass(frozen=True)
class ReportFormat:
    """A kind of report: the module whose `render` makes it, the endings of its files, and what it lets one choose.

    Of a kind that is a document two after another are none.
    """

    module: str
    endings: tuple[str, ...] = ()
    options: tuple[str, ...] = ("pedantic",)
    is_document: bool = False


#: The sizes of paper that a report for print can have, in the words of CSS; the first is what most of the world uses.
PAPERS = ("A4", "letter")

FORMATS = {
    "text": ReportFormat("terminal", (".txt",), ("colour", "width", "unicode", "pedantic", "explain")),
    "concise": ReportFormat("concise", (), ("unicode", "pedantic")),
    "ticket": ReportFormat("ticket", (), ("unicode", "pedantic")),
    "markdown": ReportFormat("markdown", (".md",)),
    "json": ReportFormat("as_json", (".json",)),
    "csv": ReportFormat("as_csv", (".csv",), is_document=True),
    "html": ReportFormat("html", (".html", ".htm"), is_document=True),
    "pdf": ReportFormat("pdf", (".pdf",), ("pedantic", "paper"), is_document=True),
    "sarif": ReportFormat("sarif", (".sarif", ".sarif.json"), ("pedantic", "every_outcome"), is_document=True),
    "junit": ReportFormat("junit", (".xml",), is_document=True),
}


def format_of(path: Path) -> str:
    """The name of the format that a file of this name gets. Raises `UsageError` for an ending that stands for none."""
    endings = {ending: name for name, kind in FORMATS.items() for ending in kind.endings}
    for ending in sorted(endings, key=len, reverse=True):
        if path.name.lower().endswith(ending):
            return endings[ending]
    raise UsageError(f"{path}: no report format has this ending, it can be {', '.join(endings)}")


def render(
    analysis: "Analysis",
    name: str,
    *,
    colour: bool = False,
    width: int = 100,
    unicode: bool = True,
    pedantic: bool = False,
    paper: str = PAPERS[0],
    explain: bool = False,
    every_outcome: bool = False,
) -> bytes:
    """The report in one of `FORMATS`, as the bytes to write. What a format does not let one choose is ignored.

    Raises `ReportUnavailable` when the format needs something that this machine lacks.
    """
    kind = FORMATS[name]
    given = {
        "colour": colour,
        "width": width,
        "unicode": unicode,
        "pedantic": pedantic,
        "paper": paper,
        "explain": explain,
        "every_outcome": every_outcome,
    }
    module = import_module(f"netdiag.report.{kind.module}")
    made: str | bytes = module.render(analysis, **{option: given[option] for option in kind.options})
    return made if isinstance(made, bytes) else made.encode("utf-8")
