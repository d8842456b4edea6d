"""Text of a bundle made safe to show: nothing in it may move the cursor, hide, or turn around what stands beside it.

A bundle is hostile input, and so is every name in it. Whatever a report prints of it goes through here.
"""

import re
import unicodedata

from netdiag.spans import Span

TAB_STOP = 8
_LONGEST_LINE = 2000
_MOST_LINES = 100

# Unicode's categories Cc, Cs, Zl and Zp and its property Default_Ignorable_Code_Point (DerivedCoreProperties.txt 15.1),
# the annotation characters and the two non-characters that XML 1.0 forbids. Written out, so that no version of Python
# differs.
UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_UNSAFE_IN_LINES = re.compile(f"(?![\t\n]){UNSAFE.pattern}")
_UNSAFE_OR_FOREIGN = re.compile(f"{UNSAFE.pattern}|[^\x00-\x7f]")


def visible(text: str, *, unicode: bool = True) -> str:
    r"""`text` for one line of output: each character that acts or hides is replaced by a sign for it (`␛`, `\u202e`).

    Line feeds and tabs count as such. Without `unicode` the result is ASCII.
    """
    pattern = UNSAFE if unicode else _UNSAFE_OR_FOREIGN
    return pattern.sub(lambda found: _sign(found[0], unicode=unicode), text)


def visible_lines(text: str) -> str:
    """Lines for a medium that knows what to do with line feeds and tabs: they are kept, all else is as in `visible`."""
    return _UNSAFE_IN_LINES.sub(lambda found: _sign(found[0], unicode=True), text)


def cells(text: str, *, unicode: bool = True) -> list[tuple[str, int]]:
    """For each character of a line what to show for it and how many columns that takes. A tab runs to its tab stop."""
    shown: list[tuple[str, int]] = []
    column = 0
    for character in text:
        if character == "\t":
            size = TAB_STOP - column % TAB_STOP
            cell = (" " * size, size)
        else:
            sign = visible(character, unicode=unicode)
            cell = (sign, columns(sign))
        shown.append(cell)
        column += cell[1]
    return shown


def columns(text: str) -> int:
    """How many columns of a terminal `text` takes: two for a wide character (UAX #11), none for a combining mark."""
    return len(text) if text.isascii() else sum(_columns_of(character) for character in text)


def wrap(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` columns, broken at blanks only: a longer word has a line of its own."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and columns(lines[-1]) + 1 + columns(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def shorten(text: str, width: int, ellipsis: str) -> str:
    """`text` if it takes at most `width` columns, else its beginning and the ellipsis."""
    if columns(text) <= width:
        return text
    room = width - columns(ellipsis)
    kept = ""
    for character in text[: max(room, 0)]:
        if columns(kept + character) > room:
            break
        kept += character
    return kept + ellipsis


def excerpt(span: Span) -> str:
    """The whole lines that the span touches, as they are.

    A line of more than 2000 characters is cut around the span, of more than 100 lines the first 100 are kept. `…` is
    put for the rest.
    """
    last = min(span.line_end, span.line + _MOST_LINES - 1)
    first, *rest = span.source.lines[span.line - 1 : last] or ("",)
    end = ["…"] if last < span.line_end else []
    return "\n".join([_cut(first, span.column), *(_cut(line, 1) for line in rest), *end])


def _cut(line: str, column: int) -> str:
    if len(line) <= _LONGEST_LINE:
        return line
    start = max(0, min(column - 1 - _LONGEST_LINE // 4, len(line) - _LONGEST_LINE))
    end = start + _LONGEST_LINE
    return ("…" if start else "") + line[start:end] + ("…" if end < len(line) else "")


def _sign(character: str, *, unicode: bool) -> str:
    code = ord(character)
    if unicode and code < 0x20:
        return chr(0x2400 + code)
    if unicode and code == 0x7F:
        return "\u2421"
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _columns_of(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
