"""Lines are read without a tree where that gives the same, and what small sources said is known to the next ones."""

from typing import Any
from unittest.mock import patch

import pytest
from lark import Token, Transformer, v_args

from netdiag import formats
from netdiag.formats import _lines
from netdiag.formats._lines import Grammar, fused, kept_meanings, read_lines
from netdiag.formats.iptables_save import _Meaning as RuleMeaning
from netdiag.spans import Source


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    kept_meanings.cache_clear()


def test_a_sample_is_read_alike_by_its_trees(sample: Source) -> None:
    read = formats.get(sample.path.split("/")[0]).read
    with patch.object(_lines, "fused", lambda *_: None):
        by_trees = read(sample)
    assert read(sample) == by_trees
    assert read(sample) == by_trees  # when all of its lines are known


def test_what_other_sources_said_changes_nothing(all_samples: list[Source]) -> None:
    rules = [sample for sample in all_samples if sample.path.startswith("iptables_save/")]
    alone = []
    for sample in rules:
        kept_meanings.cache_clear()
        alone.append(formats.get("iptables_save").read(sample))
    assert [formats.get("iptables_save").read(sample) for sample in rules] == alone


LOG = "-A INPUT -s 192.0.2.1/32 -j LOG"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("-A INPUT -s 300.1.1.1/32 -j DROP", "a value out of range: Octet 300"),
        ('-A INPUT -s 300.1.1.1/32 -j DROP "', "not expected here: "),
    ],
)
def test_an_odd_value_has_the_reason_that_its_tree_gives(line: str, reason: str) -> None:
    ((_, unread),) = read_lines(Source("rules", f"{line}\n"), "iptables_save", RuleMeaning(visit_tokens=False))
    assert unread.reason.startswith(reason)


def read_counting(text: str) -> int:
    """How many lines lark was asked for."""
    asked = []
    read = _lines._read
    with patch.object(_lines, "_read", lambda *given: asked.append(given) or read(*given)):
        formats.get("iptables_save").read(Source("rules", text))
    return len(asked)


def test_lines_that_a_small_source_had_are_not_parsed_again() -> None:
    assert read_counting(f"*filter\n{LOG}\n{LOG}\nCOMMIT\n") == 3
    assert read_counting(f"*nat\n{LOG}\nCOMMIT\n") == 1


def test_large_sources_and_long_lines_are_not_kept() -> None:
    large = "".join(f"-A INPUT -p tcp -m tcp --dport {port} -j DROP\n" for port in range(_lines._MOST_KEPT + 1))
    long = f'-A INPUT -m comment --comment "{"x" * _lines._LONGEST_KEPT}" -j DROP\n'
    assert read_counting(large) == _lines._MOST_KEPT + 1
    assert read_counting(long + long) == 1
    kept = kept_meanings(Grammar("iptables_save"), RuleMeaning)
    assert not kept


def test_what_is_kept_is_bounded() -> None:
    for number in range(3):
        rules = (f"-A INPUT -p tcp -m tcp --dport {port} -j DROP\n" for port in range(_lines._MOST_KEPT // 2))
        read_counting("".join(rules).replace("INPUT", f"C{number}"))
    assert 0 < len(kept_meanings(Grammar("iptables_save"), RuleMeaning)) <= _lines._MOST_KEPT


class OfTrees(Transformer[Token, Any]):
    def line(self, children: list[Any]) -> int:
        return len(children)


@v_args(inline=True)
class OfTerminals(Transformer[Token, Any]):
    def INT(self, token: Token) -> int:  # noqa: N802 - the terminal's name
        return int(token)


@v_args(inline=True)
class WithState(Transformer[Token, Any]):
    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def line(self, *_words: Any) -> int:
        self.seen += 1
        return self.seen


@pytest.mark.parametrize("kind", [OfTrees, OfTerminals, WithState])
def test_a_transformer_of_another_kind_is_given_trees(kind: type[Transformer[Token, Any]]) -> None:
    assert fused(Grammar("nstat"), kind) is None
