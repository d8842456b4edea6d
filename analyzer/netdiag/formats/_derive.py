"""Fast reading of long line-shaped outputs: the grammar's own rules as regular expressions.

lark decides what a line means; it takes some 50 microseconds for it. A rule without recursion is a regular language, so
its text in the grammar is turned into one pattern of `re` with a named group for each terminal. A line that no pattern
takes goes to lark, which reads it or says why not. Both ways give the same `Row`: a test compares them on every sample
and on changed lines.

The lexer never gives back what a terminal took, hence atomic groups. What a grammar must do for it: its rules have no
recursion, each terminal occurs once in a row (repeated items are read by `read_items`), and terminals that may stand at
one place differ by what they look at, not by their priority alone.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property
from typing import Any, NamedTuple

from lark import Lark, Token, Transformer, Tree

from netdiag import places
from netdiag.formats._document import Unread
from netdiag.formats._lines import Grammar, read_part
from netdiag.spans import Source

#: Patterns are made once so many lines have been read: making those of a grammar takes as long as lark takes for these.
FEW = 300


class Row(NamedTuple):
    """What one rule made of a line: the texts of its terminals. Those whose names begin with `_` are left out."""

    rule: str
    values: dict[str, str]


class _Rows(Transformer[Token, Any]):
    """A tree as a row, or as the rows of its items."""

    def __init__(self, *, items: bool) -> None:
        super().__init__()
        self._items = items

    def transform(self, tree: Tree[Token]) -> Any:
        return [_row(next(_trees(item))) for item in _trees(tree)] if self._items else _row(next(_trees(tree)))


def _trees(tree: Tree[Token]) -> Iterator[Tree[Token]]:
    return (child for child in tree.children if isinstance(child, Tree))


def _row(tree: Tree[Token]) -> Row:
    tokens = tree.scan_values(lambda value: isinstance(value, Token))
    return Row(str(tree.data), {token.type: str(token) for token in tokens})


class _Rules:
    """The rules and terminals of a grammar as `re` source."""

    def __init__(self, grammar: str) -> None:
        path = places.grammars() / f"{grammar}.lark"
        # without its tables a grammar is loaded in a few milliseconds; those from the cache do not hold their rules
        parser = Lark.open(str(path), parser=None, lexer="basic", start="line")
        self._rules: dict[str, Any] = {str(name): tree for name, _, tree, _ in parser.grammar.rule_defs}
        self._terminals = {terminal.name: terminal.pattern.to_regexp() for terminal in parser.terminals}
        ignored = [self._terminals[name] for name in parser.ignore_tokens]
        self._gap = f"(?>(?:{'|'.join(ignored)})*)" if ignored else ""

    def choices(self, rule: str) -> list[str]:
        """The names of the rules that a rule lists: `line: heading | row`."""
        return [str(child.children[0].children[0].name) for child in self._rules[rule].children]

    def pattern(self, rule: str, *, named: bool = True) -> re.Pattern[str]:
        return re.compile(f"{self._gap}{self._of(self._rules[rule], named=named)}{self._gap}")

    def _of(self, node: Any, *, named: bool) -> str:
        if not isinstance(node, Tree):
            return self._symbol(node, named=named)
        parts = [self._of(child, named=named) for child in node.children if child is not None]
        match str(node.data):
            case "expansions":
                return parts[0] if len(parts) == 1 else f"(?:{'|'.join(parts)})"
            case "expansion":
                return self._gap.join(parts)
            case "alias" | "value":
                return parts[0]
            case "maybe":
                return self._repeated(parts[0], "?")
            case "expr":
                return self._repeated(*parts)
            case "literal" if getattr(node.children[0], "type", "") == "STRING":
                return re.escape(str(node.children[0])[1:-1])
        raise NotImplementedError(f"{node.data} in a grammar that is to be derived")

    def _repeated(self, body: str, operator: str) -> str:
        """Never given back where it can be: CPython's `re` loses track of groups inside an atomic group.

        No possessive repetition: up to Python 3.11.4 one that fails half-way goes on from there (CPython issue 106052).
        """
        gap = "" if operator == "?" else self._gap
        repeated = f"(?:{body}{gap}){operator}"
        return repeated if "(?P<" in body else f"(?>{repeated})"

    def _symbol(self, symbol: Any, *, named: bool) -> str:
        if isinstance(symbol, Token):
            return str(symbol)
        name = str(symbol.name)
        if name in self._rules:
            return self._of(self._rules[name], named=named)
        body = _without_groups(self._terminals[name])
        return f"(?P<{name}>(?>{body}))" if named and not name.startswith("_") else f"(?>{body})"


def _without_groups(pattern: str) -> str:
    """Groups of a terminal's own would be taken for terminals. Escapes and character classes are passed over."""
    return re.sub(r"(\\.|\[(?:\\.|[^\]\\])*\])|\((?!\?)", lambda found: found[1] or "(?:", pattern)


class LineReader:
    """Reads lines of one grammar whose start rule `line` lists its kinds of lines.

    `by_pattern` and `by_grammar` count the lines that each way has read.
    """

    def __init__(self, grammar: str) -> None:
        self._grammar = grammar
        self._few = FEW
        self.by_pattern = 0
        self.by_grammar = 0

    def expect_many(self) -> None:
        """Make the patterns at once: more lines will come than are worth waiting for."""
        self._few = 0

    def row(self, line: str) -> Row | str:
        """What the line means, or why it has no meaning here."""
        if self._few:
            self._few -= 1
        elif row := self.row_by_pattern(line):
            self.by_pattern += 1
            return row
        self.by_grammar += 1
        return self.row_by_grammar(line)

    @cached_property
    def _patterns(self) -> dict[str, re.Pattern[str]]:
        rules = _Rules(self._grammar)
        return {rule: rules.pattern(rule) for rule in rules.choices("line")}

    @cached_property
    def _likely(self) -> str:
        return next(iter(self._patterns))

    def row_by_pattern(self, line: str) -> Row | None:
        """A trace has runs of lines of one kind: the pattern that took the last one is tried first."""
        found = self._patterns[self._likely].fullmatch(line)
        if found is None:
            for rule, pattern in self._patterns.items():
                found = pattern.fullmatch(line)
                if found is not None:
                    self._likely = rule
                    break
            else:
                return None
        return Row(self._likely, _told(found))

    def texts(self, rule: str, terminals: Sequence[str], lines: Iterable[str]) -> list[tuple[str | Any, ...] | None]:
        """The texts of some terminals in each line, by the pattern of one rule; None for a line that it does not take.

        Terminals that a line does not have are None. This makes no rows, and it looks at no other rule.
        """
        fullmatch = self._patterns[rule].fullmatch
        return [found.group(*terminals) if (found := fullmatch(line)) else None for line in lines]

    def row_by_grammar(self, line: str) -> Row | str:
        read: Row | str = read_part(Grammar(self._grammar), "line", line, _Rows(items=False))
        return read


class ItemReader:
    """Reads a text of repeated items: the rule `line: item (SEPARATOR item)*`, and `item` lists its kinds."""

    def __init__(self, grammar: str) -> None:
        self._grammar = grammar
        self._few = FEW

    def expect_many(self) -> None:
        """Make the patterns at once: more texts will come than are worth waiting for."""
        self._few = 0

    def rows(self, text: str) -> list[Row] | str:
        if self._few:
            self._few -= 1
            return self.rows_by_grammar(text)
        found = self.rows_by_pattern(text)
        return found if found is not None else self.rows_by_grammar(text)

    @cached_property
    def _rules(self) -> _Rules:
        return _Rules(self._grammar)

    @cached_property
    def _whole(self) -> re.Pattern[str]:
        return self._rules.pattern("line", named=False)

    @cached_property
    def _kinds(self) -> list[str]:
        return self._rules.choices("item")

    @cached_property
    def _item(self) -> re.Pattern[str]:
        return re.compile("|".join(f"(?P<{kind}>{self._rules.pattern(kind).pattern})" for kind in self._kinds))

    def rows_by_pattern(self, text: str) -> list[Row] | None:
        if not self._whole.fullmatch(text):
            return None
        return [self._row(item) for item in self._item.finditer(text)]

    def _row(self, found: re.Match[str]) -> Row:
        values = _told(found)
        (kind,) = [kind for kind in self._kinds if kind in values]
        return Row(kind, {name: value for name, value in values.items() if name != kind})

    def rows_by_grammar(self, text: str) -> list[Row] | str:
        read: list[Row] | str = read_part(Grammar(self._grammar), "line", text, _Rows(items=True))
        return read


def _told(found: re.Match[str]) -> dict[str, str]:
    return {name: value for name, value in found.groupdict().items() if value is not None}


@cache
def line_reader(grammar: str) -> LineReader:
    return LineReader(grammar)


@cache
def item_reader(grammar: str) -> ItemReader:
    return ItemReader(grammar)


def read_rows(source: Source, grammar: str) -> Iterator[tuple[int, Row | Unread]]:
    """Each line that is not blank: its 1-based number, and its row or why it has none."""
    read = line_reader(grammar).row
    for number, line in enumerate(source.lines, start=1):
        if line and not line.isspace():
            row = read(line)
            yield number, Unread(number, row) if isinstance(row, str) else row
