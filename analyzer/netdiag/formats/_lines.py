"""Line-shaped outputs: a lark grammar reads each line by itself, so that an odd line costs that line only."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from ipaddress import ip_address, ip_interface, ip_network
from types import SimpleNamespace
from typing import Any, NamedTuple

from lark import Lark, Token, Transformer, UnexpectedInput, UnexpectedToken, v_args
from lark.exceptions import VisitError

from netdiag import places
from netdiag.formats._document import Document, Record, Unread
from netdiag.formats.records import IpAddress, IpInterface, IpNetwork
from netdiag.spans import Source, Span

# characters; real lines have a few thousand at most, and a tree takes a hundred times the memory of its text
_LONGEST_LINE = 65536


# lines of small sources whose meaning is kept for the next ones, and the characters of the longest of them
_MOST_KEPT = 4096
_LONGEST_KEPT = 2048


class Grammar(NamedTuple):
    """The grammar `grammars/<name>.lark` with the rules at which a line or a part of it starts; `line` if none."""

    name: str
    starts: tuple[str, ...] = ()


@cache
def load(name: str, *starts: str) -> Lark:
    """The grammar `grammars/<name>.lark` as an LALR parser with the contextual lexer; it starts with `line`.

    The parser's tables are kept in the user's cache folder: making them takes up to a quarter of a second a grammar,
    reading them back a thousandth. lark makes them anew when the grammar or its own version changed.
    """
    return _open(Grammar(name, starts))


def _open(grammar: Grammar, **options: Any) -> Lark:
    name, starts = grammar
    path = str(places.grammars() / f"{name}.lark")
    folder = places.cache()
    kept: str | bool = str(folder / f"{'-'.join((name, *starts))}.lark-tables") if folder else False
    return Lark.open(path, parser="lalr", lexer="contextual", start=[*starts] or "line", cache=kept, **options)


@cache
def fused(grammar: Grammar, kind: type[Transformer[Token, Any]]) -> Lark | None:
    """A parser that calls a transformer's methods as it goes and makes no tree; None for a transformer that is more
    than a class of methods with `@v_args(inline=True)`.

    lark can do that too, but with a wrapper around each method that takes longer than most of the methods.
    """
    own = [vars(base) for base in reversed(kind.__mro__) if base not in Transformer.__mro__]
    methods = {name: value for values in own for name, value in values.items() if not name.startswith("_")}
    of_rules = all(getattr(method, "visit_wrapper", None) is _INLINE for method in methods.values())
    of_rules = of_rules and not any(name.isupper() for name in methods)  # which are methods of terminals
    if not of_rules or any(getattr(kind, name) is not getattr(Transformer, name) for name in _OF_LARK):
        return None
    transformer = kind()
    calls = {name: _of_children(method.base_func.__get__(transformer, kind)) for name, method in methods.items()}
    return _open(grammar, transformer=SimpleNamespace(**calls))


_OF_LARK = ("__init__", "transform", "__default__", "__default_token__")


@v_args(inline=True)
class _Inline(Transformer[Token, Any]):
    def rule(self) -> None:
        """Carries lark's mark of such methods."""


_INLINE = vars(_Inline)["rule"].visit_wrapper


def _of_children(method: Callable[..., Any]) -> Callable[[list[Any]], Any]:
    return lambda children: method(*children)


def read_lines(
    source: Source, grammar: str, transformer: Transformer[Token, Any] | None = None
) -> Iterator[tuple[int, Any]]:
    """Each line that is not blank: its 1-based number, and what grammar and `transformer` made of it or an `Unread`.

    Token columns are those of the line. Lines with the same text are parsed once, so a transformer must give immutable
    values that do not hold the line's number.
    """
    meanings = Meanings(source, Grammar(grammar), transformer)
    for number, line in enumerate(source.lines, start=1):
        if not line or line.isspace():
            continue
        result = meanings.of(line)
        yield number, Unread(number, result) if isinstance(result, str) else result


class Meanings:
    """What the lines of a source mean, each parsed once. Those of small sources are kept for the next source: each of a
    thousand namespaces prints much of what the one before it printed.
    """

    def __init__(self, source: Source, grammar: Grammar, transformer: Transformer[Token, Any] | None) -> None:
        self._grammar = grammar
        self._transformer = transformer
        self._own: dict[tuple[str | None, str], Any] = {}
        self._kept = self._own
        if transformer is not None and len(source.lines) <= _MOST_KEPT:
            kind = type(transformer)
            self._kept = kept_meanings(grammar, kind) if fused(grammar, kind) else self._own

    def of(self, line: str, start: str | None = None) -> Any:
        """What the line means by a start of the grammar, or as a plain `str` the reason why it has no meaning here."""
        key = start, line
        known = self._kept if len(line) <= _LONGEST_KEPT else self._own
        if key not in known:
            if len(known) >= _MOST_KEPT and known is not self._own:
                known.clear()
            known[key] = _read(self._grammar, line, start, self._transformer)
        return known[key]


@cache
def kept_meanings(_grammar: Grammar, _kind: type[Transformer[Token, Any]]) -> dict[tuple[str | None, str], Any]:
    """The meanings that one kind of transformer gave."""
    return {}


def _read(grammar: Grammar, line: str, start: str | None, transformer: Transformer[Token, Any] | None) -> Any:
    """What the line means, or as a plain `str` the reason why it has no meaning here."""
    if len(line) > _LONGEST_LINE:
        return f"longer than {_LONGEST_LINE} characters"
    at_once = fused(grammar, type(transformer)) if transformer else None
    try:
        if at_once is not None:
            with suppress(ValueError):  # by the tree it is found whether the line is odd elsewhere as well
                return at_once.parse(line, start)
        tree = load(grammar.name, *grammar.starts).parse(line, start)
        return transformer.transform(tree) if transformer else tree
    except UnexpectedInput as error:
        # lark places the end of its input where the last token begins
        ended = isinstance(error, UnexpectedToken) and error.token.type == "$END"
        column = error.column if error.column > 0 and not ended else len(line) + 1
        word = line[column - 1 : column + 19].split(" ", maxsplit=1)[0] or "end of line"
        return f"not expected here: {word!r} (column {column})"
    except VisitError as error:
        if not isinstance(error.orig_exc, ValueError):
            raise
        return f"a value out of range: {error.orig_exc}"


def read_part(grammar: Grammar, start: str, text: str, transformer: Transformer[Token, Any]) -> Any:
    """A part of a line by one of the grammar's starts: what it means, or as a plain `str` why it has no meaning."""
    return _read(grammar, text, start, transformer)


def may_be_heading(line: str) -> bool:
    """Whether it is worth trying a line as a heading in capitals (`%CPU` too)."""
    first = line.lstrip()[:1]
    return first.isupper() or first == "%"


def read_records(source: Source, grammar: str, transformer: Transformer[Token, Any]) -> Document:
    """An output that has one record a line.

    `transformer` gives a function that takes the line's `span` and makes the record, or None for a line without one (a
    heading).
    """
    records: list[Record] = []
    unread: list[Unread] = []
    for number, meaning in read_lines(source, grammar, transformer):
        if isinstance(meaning, Unread):
            unread.append(meaning)
        elif meaning is not None:
            records.append(meaning(span=line_span(source, number)))
    return Document(source, grammar, tuple(records), tuple(unread))


def line_span(source: Source, number: int) -> Span:
    """A line without the blanks before and after its words."""
    line = source.lines[number - 1]
    return source.span(number, len(line) - len(line.lstrip()) + 1, len(line.rstrip()) + 1)


def as_address(text: str) -> IpAddress:
    """An address from a token. Raises `ValueError`, whose text shows the token as plain text."""
    return ip_address(str(text))


def as_interface(text: str) -> IpInterface:
    """An address with its prefix length or mask. Raises as `as_address` does."""
    return ip_interface(str(text))


def as_network(text: str) -> IpNetwork:
    """A network without host bits. Raises as `as_address` does."""
    return ip_network(str(text))


def port_number(text: str) -> int:
    """A TCP, UDP or SCTP port. Raises `ValueError` above 65535."""
    port = int(text)
    if port > 65535:
        raise ValueError(f"port {port}")
    return port
