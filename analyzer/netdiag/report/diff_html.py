"""The comparison of two bundles as one HTML file, by the rules of the report: nothing is fetched, all is escaped."""

from markupsafe import Markup

from netdiag import __version__
from netdiag.comparison import Comparison, Fate
from netdiag.finding import Evidence
from netdiag.report import html
from netdiag.report._changes import FATES, counted, groups
from netdiag.report._listing import excerpt
from netdiag.report.diff import duration
from netdiag.report.terminal import collected_when

# Of the new findings these many are shown with the lines that prove them.
MOST_SHOWN = 40
_NUMBERS = {"new": Fate.NEW, "fixed": Fate.FIXED, "still there": Fate.STILL, "not judged any more": Fate.NOT_JUDGED}
_SIGNS = {"+": "new", "-": "gone", "~": "changed"}


def render(comparison: Comparison) -> str:
    """The page. The same comparison gives the same text."""
    before, after = comparison.before.bundle, comparison.after.bundle
    return (
        html._environment()  # noqa: SLF001 - the report's own rules of escaping
        .get_template("comparison.html.jinja")
        .render(
            comparison=comparison,
            name=after.host or after.name,
            sides=[("before", before), ("after", after)],
            counted=counted(comparison),
            numbers=[(word, fate, comparison.of_fate(fate)) for word, fate in _NUMBERS.items()],
            fates=[(fate, heading, found) for fate, heading in FATES.items() if (found := comparison.of_fate(fate))],
            groups=list(groups(comparison)),
            growths=[("↑", growth.words) for growth in comparison.growths],
            when=collected_when,
            between=duration(comparison.seconds) if comparison.seconds else "",
            evidence=Evidence,
            excerpt=excerpt,
            Fate=Fate,
            most_shown=MOST_SHOWN,
            words=_SIGNS,
            version=__version__,
            css=html.asset("report.css") + Markup("\n") + html.asset("comparison.css"),
        )
    )
