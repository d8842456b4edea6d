"""The comparison of two bundles as one HTML file, by the rules of the report: nothing is fetched, all is escaped."""

from markupsafe import Markup

from netdiag.comparison import Comparison
from netdiag.report import html
from netdiag.report._changes import FATES, counted, groups
from netdiag.report.diff import duration
from netdiag.report.terminal import collected_when
from netdiag.report.visible import excerpt


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
            fates=[(heading, found) for fate, heading in FATES.items() if (found := comparison.of_fate(fate))],
            groups=list(groups(comparison)),
            growths=[("+", growth.words) for growth in comparison.growths],
            when=collected_when,
            between=duration(comparison.seconds) if comparison.seconds else "",
            excerpt=excerpt,
            css=html.asset("report.css") + Markup("\n") + html.asset("comparison.css"),
        )
    )
