"""`ip rule`: the policy rules that choose a routing table."""

from functools import partial
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format
from netdiag.formats._lines import read_records
from netdiag.formats.records import PolicyRule
from netdiag.spans import Source


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as a rule that waits for its span."""

    def selector(self, *words: Token) -> str:
        return " ".join(words)

    action = selector
    late_selector = selector

    def line(self, priority: Token, selector: str, action: str, *late: str) -> partial[PolicyRule]:
        return partial(PolicyRule, int(priority), " ".join((selector, *late)), action)


def read(source: Source) -> Document:
    """Every rule; never raises."""
    return read_records(source, FORMAT.name, _Meaning())


FORMAT = Format(
    name="ip_rule",
    title="policy routing rules (ip rule)",
    commands=("ip rule", "ip -6 rule"),
    read=read,
)
