"""Generated documentation is what the code says now."""

import os
from pathlib import Path

from netdiag.checks import all_checks

DOCS = Path(__file__).parents[1] / "docs"


def checks_page() -> str:
    """docs/checks.md: a table of all checks, then the page of each."""
    head = "# Checks\n\nMade from the docstrings of the checks; `netdiag explain NAME` prints one of them.\n\n"
    table = "| check | severity | layer | finds |\n|---|---|---|---|\n" + "".join(
        f"| [{check.name}](#{check.name}) | {check.severity.value} | {check.layer} | {check.title} |\n"
        for check in all_checks()
    )
    pages = "".join(f"\n## {check.name}\n\n{check.page.replace('## ', '### ')}\n" for check in all_checks())
    return head + table + pages


def test_the_page_of_checks_is_made_from_the_checks() -> None:
    page = DOCS / "checks.md"
    if os.environ.get("ACCEPT"):
        page.write_text(checks_page(), encoding="utf-8")
    assert page.read_text(encoding="utf-8") == checks_page()
