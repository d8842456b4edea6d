"""Line-shaped outputs: a lark grammar reads each line by itself, so that an odd line costs that line only."""

from collections.abc import Callable, Iterator
from functools import cache, partial
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from lark import Lark, Token, Transformer, Tree, UnexpectedInput, UnexpectedToken
from lark.exceptions import VisitError

from netdiag import places
from netdiag.formats._document import Document, Record, Unread
from netdiag.formats.records import IpAddress, IpInterface, IpNetwork
from netdiag.spans import Source, Span

# characters; real lines have a few thousand at most, and a tree takes a hundred times the memory of its text
_LONGEST_LINE = 65536


@cache
def load(name: str, *starts: str) -> Lark:
    """The grammar `grammars/<name>.lark` as an LALR parser with the contextual lexer; it starts with `line`.

    The parser's tables are kept in the user's cache folder: making them takes up to a quarter of a second a grammar,
    reading them back a thousandth. lark makes them anew when the grammar or its own version changed.
    """
    path = str(places.grammars() / f"{name}.lark")
    folder = places.cache()
    kept: str | bool = str(folder / f"{'-'.join((name, *starts))}.lark-tables") if folder else False
    return Lark.open(path, parser="lalr", lexer="contextual", start=[*starts] or "line", cache=kept)


def read_lines(
    source: Source, grammar: str, transformer: Transformer[Token, Any] | None = None
) -> Iterator[tuple[int, Any]]:
    """Each line that is not blank: its 1-based number, and what grammar and `transformer` made of it or an `Unread`.

    Token columns are those of the line. Lines with the same text are parsed once, so a transformer must give immutable
    values that do not hold the line's number.
    """
    parser = load(grammar)
    known: dict[str, Any] = {}
    for number, line in enumerate(source.lines, start=1):
        if not line or line.isspace():
            continue
        if line not in known:
            known[line] = _read(parser.parse, line, transformer)
        result = known[line]
        yield number, Unread(number, result) if isinstance(result, str) else result


def _read(parse: Callable[[str], Tree[Token]], line: str, transformer: Transformer[Token, Any] | None) -> Any:
    """What the line means, or as a plain `str` the reason why it has no meaning here."""
    if len(line) > _LONGEST_LINE:
        return f"longer than {_LONGEST_LINE} characters"
    try:
        tree = parse(line)
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


def read_part(parser: Lark, start: str, text: str, transformer: Transformer[Token, Any]) -> Any:
    """A part of a line by one of the starts of its parser: what it means, or as a plain `str` why it has no meaning."""
    return _read(partial(parser.parse, start=start), text, transformer)


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
