"""Generated documentation is what the code says now."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from netdiag.checks import LAYERS, Check, by_layer, own_checks

DOCS = Path(__file__).parents[1] / "docs"


def checks_page() -> str:
    """docs/checks.md: the layers, and for each a table of its checks and their pages."""
    groups = by_layer(own_checks())
    layers = "".join(f"- [{layer}](#{layer}): {LAYERS[layer]} ({len(groups[layer])})\n" for layer in groups)
    head = "# Checks\n\nMade from the docstrings of the checks; `netdiag explain NAME` prints one of them.\n\n"
    return head + layers + "".join("".join(_layer(layer, checks)) for layer, checks in groups.items())


def _layer(layer: str, checks: tuple[Check, ...]) -> Iterator[str]:
    yield f"\n## {layer}\n\nAbout {LAYERS[layer]}.\n\n| check | severity | finds |\n|---|---|---|\n"
    for check in checks:
        yield f"| [{check.name}](#{check.name}) | {check.severity.value} | {check.title} |\n"
    for check in checks:
        yield f"\n### {check.name}\n\n{check.page.replace('## ', '#### ')}\n"


def test_the_page_of_checks_is_made_from_the_checks() -> None:
    page = DOCS / "checks.md"
    if os.environ.get("ACCEPT"):
        page.write_text(checks_page(), encoding="utf-8")
    assert page.read_text(encoding="utf-8") == checks_page()


def test_every_check_is_of_a_known_layer_and_its_name_is_its_anchor() -> None:
    assert {check.layer for check in own_checks()} <= LAYERS.keys()
    headings = re.findall(r"(?m)^### (.+)$", checks_page())
    assert sorted(headings) == [check.name for check in own_checks()]
