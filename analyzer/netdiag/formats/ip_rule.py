"""`ip rule` and `ip -6 rule`: the policy rules that choose a routing table."""

from dataclasses import replace
from functools import partial
from itertools import pairwise
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
    """Every rule; never raises. Of which family they are the command says, else an address of one of them."""
    document = read_records(source, FORMAT.name, _Meaning())
    rules = [record for record in document.records if isinstance(record, PolicyRule)]
    if " -6 " not in source.command and not any(_names_ipv6(rule) for rule in rules):
        return document
    return replace(document, records=tuple(replace(rule, family="ipv6") for rule in rules))


def _names_ipv6(rule: PolicyRule) -> bool:
    words = rule.selector.split()
    return any(":" in value for key, value in pairwise(words) if key in ("from", "to"))


FORMAT = Format(
    name="ip_rule",
    title="policy routing rules (ip rule)",
    commands=("ip rule", "ip -6 rule"),
    read=read,
)
