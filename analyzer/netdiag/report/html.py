"""The report as one HTML file: nothing is fetched, nothing leaves the page, and all can be read without scripts.

Whatever comes from a bundle is hostile. Jinja escapes every value, `finalize` shows control characters as signs, and
the page's policy lets no style and no script work but the two that are written here, which it names by their hashes.
"""

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from netdiag.finding import Confidence, Role, Severity, Verdict
from netdiag.formats.records import Link
from netdiag.report import _anchors, _calls, _journeys
from netdiag.report._listing import prose
from netdiag.report._page import Page, headline
from netdiag.report.drawings import signs, topology
from netdiag.report.drawings.wiring import ports_in_words
from netdiag.report.visible import visible

if TYPE_CHECKING:
    from netdiag.results import Analysis

# Of many things with one reason these many are named.
MOST_NAMED = 6
MOST_SUBJECTS = 12
MOST_IN_A_COLUMN = 4
# Of the sources with a remark these many are listed before all others, of the namespaces these many with each source.
MOST_SOURCES = 100
MOST_SCOPES = 150
# Up to so many sources are listed at once, of more only the namespaces until one is unfolded.
MOST_UNFOLDED = 20

_LONG_ID = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")
_TEMPLATES = Path(__file__).with_name("templates")


def render(analysis: "Analysis", *, pedantic: bool = False) -> str:
    """The page. The same analysis gives the same text."""
    page = Page(analysis, pedantic=pedantic, with_sources=True)
    drawing = topology.draw(analysis.host, [view.finding for view in page.findings])
    calls = _calls.views(analysis, _calls.PAGE)
    return fill(
        "report.html.jinja",
        page,
        drawings=[drawing],
        journeys=_journeys.views(analysis, _journeys.PAGE),
        calls=calls,
        calls_not_shown=_calls.not_shown(analysis, _calls.PAGE),
        css=asset("report.css") + (asset("flame.css") if calls else ""),
        js=asset("report.js") + (asset("flame.js") if calls else ""),
        most_sources=MOST_SOURCES,
        most_scopes=MOST_SCOPES,
        most_unfolded=MOST_UNFOLDED,
    )


def fill(template: str, page: Page, *, most_pieces: int | None = None, **more: object) -> str:
    """A template filled with a page, with at most so many pieces of evidence of each finding. The PDF has another
    template over the same blocks.
    """
    return (
        _environment()
        .get_template(template)
        .render(
            page=page,
            most_named=MOST_NAMED,
            most_subjects=MOST_SUBJECTS,
            most_in_a_column=MOST_IN_A_COLUMN,
            most_pieces=most_pieces,
            **more,
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters.update(
        prose=prose,
        hash=_hash,
        addresses=_addresses,
        ports=ports_in_words,
        short_ids=_short_ids,
        headline=headline,
    )
    environment.globals.update(
        anchors=_anchors, sign=signs.sign, Confidence=Confidence, Role=Role, Severity=Severity, Verdict=Verdict
    )
    return environment


def _shown(value: object) -> object:
    """What an expression of a template puts out: text is made visible, markup that we made is left alone."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def asset(name: str) -> Markup:
    """A file of ours, with nothing of a bundle in it, to be put into the page as it is."""
    return Markup((_TEMPLATES / name).read_text(encoding="utf-8"))  # noqa: S704


def _hash(text: str) -> str:
    """The hash by which a Content-Security-Policy names an inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _short_ids(command: str) -> str:
    """A command with its container and network ids as short as Docker prints them, which Docker takes as well."""
    return _LONG_ID.sub(r"\1", command)


def _addresses(link: Link | None) -> list[str]:
    return [str(item.address) for item in link.addresses] if link else []
