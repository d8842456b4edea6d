"""The report as a PDF: the case file of one bundle, made by WeasyPrint from the blocks of the HTML page.

WeasyPrint works in a child process, because it holds on to hundreds of megabytes and takes half a second to import.
Neither is for those who ask for another report.
"""

import os
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

from markupsafe import Markup

from netdiag.errors import ReportUnavailable
from netdiag.report import PAPERS, _calls, _journeys, html
from netdiag.report._page import Page
from netdiag.report._printer import LIBRARIES_MISSING, NOT_INSTALLED
from netdiag.report.drawings import _svg, signs, topology

if TYPE_CHECKING:
    from netdiag.results import Analysis

# What is more is in the HTML report, as the PDF says then.
MOST_FINDINGS = 100
MOST_SOURCES = 60
MOST_SHEETS = 12
MOST_PIECES = 6
# A page across is, less its margins, 273 mm wide and 180 mm high (A4) or 255 mm and 186 mm (Letter); the heading takes
# some of that.
_SHEET_HEIGHT = 750.0

# What a screen reader is told of a sign: nothing, because the word stands beside it.
_SILENCE = Markup(" ")

_INSTALL = "apt-get install --no-install-recommends libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"


def render(analysis: "Analysis", *, pedantic: bool = False, paper: str = PAPERS[0]) -> bytes:
    """The PDF on a paper of `netdiag.report.PAPERS`. The same analysis gives the same bytes.

    Raises `ReportUnavailable` when WeasyPrint or its system libraries are missing, or when it fails.
    """
    page = Page(analysis, pedantic=pedantic, with_sources=False)
    findings = [view.finding for view in page.findings]
    text = html.fill(
        "case_file.html.jinja",
        page,
        drawings=topology.sheets(analysis.host, findings, height=_SHEET_HEIGHT),
        journeys=_journeys.views(analysis, _journeys.PAPER),
        calls=_calls.views(analysis, _calls.PAPER),
        calls_not_shown=_calls.not_shown(analysis, _calls.PAPER),
        css=html.asset("case_file.css"),
        sign=partial(signs.sign, title=_SILENCE),
        paper=paper,
        most_pieces=MOST_PIECES,
        groups=page.first_groups(MOST_FINDINGS),
        most_findings=MOST_FINDINGS,
        most_sources=MOST_SOURCES,
        most_sheets=MOST_SHEETS,
    )
    return print_html(_svg.without_pictures(text))


def print_html(text: str) -> bytes:
    """A document of one file as a PDF, made by the child process. Whatever it refers to, but `data:`, is left out."""
    # -P, and no empty entry: a module that lies beside the bundle must not be run.
    paths = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, "-P", "-m", "netdiag.report._printer"],
        input=text.encode(),
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": paths, "SOURCE_DATE_EPOCH": "0"},
    )
    if done.returncode == 0 and done.stdout:
        return done.stdout
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    raise ReportUnavailable(_complaint(done.returncode, said[-1] if said else f"it ended with {done.returncode}"))


def _complaint(code: int, reason: str) -> str:
    if code == LIBRARIES_MISSING:
        return f"no PDF: WeasyPrint lacks system libraries ({reason}); on Debian and Ubuntu: {_INSTALL}"
    if code == NOT_INSTALLED:
        return f"no PDF: WeasyPrint is not installed ({reason}); pip install weasyprint"
    return f"no PDF: WeasyPrint failed: {reason}"
