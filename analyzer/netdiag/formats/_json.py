"""JSON outputs: read at the speed of the standard decoder, with spans that are located only when somebody asks for
them.

A document is a sequence of values: one array (its elements count), one object, or several values in a row as `docker
inspect --format` prints them. A text that is cut out of a larger document (`"Networks": {...`) is read as a fragment:
it is wrapped in braces and the brackets that are still open at its end are closed; the document's notes say so.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from netdiag.formats._document import Unread
from netdiag.spans import Place, Source, Span

JsonPath = tuple[str | int, ...]

_BLANK = re.compile(r"[ \t\r\n]*")
_BLANK_OR_COMMA = re.compile(r"[ \t\r\n,]*")
_FRAGMENT_START = re.compile(r'\s*"(?:[^"\\]|\\.)*"\s*:')
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')
_CLOSER = {"{": "}", "[": "]"}
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class JsonPlace(Place):
    """A place inside a JSON source: the value at `path` of the value that begins at character `offset`."""

    source: Source
    offset: int
    path: JsonPath = ()

    def at(self, *path: str | int) -> "JsonPlace":
        return JsonPlace(self.source, self.offset, self.path + path)

    @cached_property
    def span(self) -> Span:
        """The line of the key (or of the value, for an element of an array). A path that is not there gives its last
        parent.
        """
        start, end = _locate(self.source.text, self.offset, self.path)
        line, column = self.source.place_of(start)
        return self.source.span(line, column, column + end - start)


@dataclass(frozen=True)
class JsonValue:
    """A decoded value, where it begins, and the character after its last."""

    value: Any
    place: JsonPlace
    end: int


@dataclass(frozen=True)
class JsonText:
    """What a text held: its values, the lines that could not be decoded, and notes on how odd text was taken."""

    values: tuple[JsonValue, ...]
    unread: tuple[Unread, ...] = ()
    notes: tuple[str, ...] = ()


def read_json(source: Source) -> JsonText:
    """Decode all values of `source`; never raises on bad text. What comes after the first mistake is unread, line by
    line.
    """
    if _FRAGMENT_START.match(source.text):
        return _read_fragment(source)
    values: list[JsonValue] = []
    try:
        for offset, end, value in _decode_values(source.text):
            values.append(JsonValue(value, JsonPlace(source, offset), end))
    except json.JSONDecodeError as error:
        return JsonText(tuple(values), _unread_from(source, error.lineno, error.msg))
    except (RecursionError, ValueError) as error:
        first, _ = source.place_of(values[-1].end if values else 0)
        return JsonText(tuple(values), _unread_from(source, first, _why_not(error)))
    return JsonText(tuple(values))


def _decode_values(text: str) -> Iterator[tuple[int, int, Any]]:
    """Start, end and content of each value; the elements of a top-level array one by one."""
    position = _skip(_BLANK, text, 0)
    while position < len(text):
        if text[position] != "[":
            value, end = _DECODER.raw_decode(text, position)
            yield position, end, value
            position = _skip(_BLANK, text, end)
            continue
        position = _skip(_BLANK, text, position + 1)
        while text[position : position + 1] != "]":
            value, end = _DECODER.raw_decode(text, position)
            yield position, end, value
            position = _skip(_BLANK, text, end)
            if text[position : position + 1] == ",":
                position = _skip(_BLANK, text, position + 1)
            elif text[position : position + 1] != "]":
                raise json.JSONDecodeError("Expecting ',' delimiter", text, position)
        position = _skip(_BLANK, text, position + 1)


def _read_fragment(source: Source) -> JsonText:
    """`"Key": ...` without its surroundings: members of an object whose braces were not copied."""
    text = source.text
    open_brackets: list[str] = []
    for match in _STRUCTURE.finditer(text):
        token = match.group()
        if token in _CLOSER:
            open_brackets.append(_CLOSER[token])
        elif open_brackets and token == open_brackets[-1]:
            open_brackets.pop()
        elif token in _CLOSER.values():
            text = text[: match.start()]
            break
    body = text.rstrip().rstrip(",")
    closers = "".join(reversed(open_brackets))
    try:
        value = json.loads("{" + body + closers + "}")
    except json.JSONDecodeError as error:
        return JsonText((), _unread_from(source, error.lineno, error.msg))
    except (RecursionError, ValueError) as error:
        return JsonText((), _unread_from(source, 1, _why_not(error)))
    added = f" and {len(closers)} closing bracket{'s' * (len(closers) != 1)} at its end" if closers else ""
    note = f"read as a fragment of a JSON object: braces around it{added} were added"
    left_out = _unread_from(source, text.count("\n") + 1, "after the fragment's end") if text != source.text else ()
    return JsonText((JsonValue(value, JsonPlace(source, -1), len(text)),), left_out, (note,))


def _why_not(error: Exception) -> str:
    """Python refuses nesting beyond its stack, and integers of more than 4300 digits."""
    return "JSON is nested too deeply" if isinstance(error, RecursionError) else f"a value out of range: {error}"


def unread_value(value: JsonValue, reason: str) -> tuple[Unread, ...]:
    """All lines of a value that means nothing to the format."""
    source = value.place.source
    first, _ = source.place_of(max(value.place.offset, 0))
    last, _ = source.place_of(value.end)
    return tuple(unread for unread in _unread_from(source, first, reason) if unread.line <= last)


def one_a_line(unread: Iterable[Unread]) -> tuple[Unread, ...]:
    """In the order of their lines, the first reason of each: the values of a line may have several."""
    first: dict[int, Unread] = {}
    for each in unread:
        first.setdefault(each.line, each)
    return tuple(first[line] for line in sorted(first))


def _unread_from(source: Source, first: int, reason: str) -> tuple[Unread, ...]:
    lines = source.lines
    return tuple(Unread(number, reason) for number in range(first, len(lines) + 1) if lines[number - 1].strip())


def _skip(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position


def _locate(text: str, offset: int, path: Sequence[str | int]) -> tuple[int, int]:
    """Start and end of the key (or element) that `path` names; `offset` -1 stands for the brace before a fragment."""
    position = offset
    start = _skip(_BLANK, text, max(offset, 0))
    found = (start, _first_line_end(text, start))
    for step in path:
        entry = _entry(text, position, step)
        if entry is None:
            break
        found, position = entry
    return found


def _entry(text: str, position: int, step: str | int) -> tuple[tuple[int, int], int] | None:
    """One step down from the object or array at `position`: the characters to show, and where the value begins."""
    if position >= 0 and text[position : position + 1] not in ("{", "["):
        return None
    cursor = _skip(_BLANK_OR_COMMA, text, position + 1)
    index = 0
    while cursor < len(text) and text[cursor] not in "]}":
        try:
            key_start, key_end, key = cursor, cursor, index
            if isinstance(step, str):
                key, key_end = _DECODER.raw_decode(text, cursor)
                cursor = _skip(_BLANK, text, _skip(_BLANK, text, key_end) + 1)
            if key == step:
                return (key_start, key_end if isinstance(step, str) else _first_line_end(text, cursor)), cursor
            _, cursor = _DECODER.raw_decode(text, cursor)
        except json.JSONDecodeError:
            return None
        cursor = _skip(_BLANK_OR_COMMA, text, cursor)
        index += 1
    return None


def _first_line_end(text: str, start: int) -> int:
    end = text.find("\n", start)
    return len(text) if end < 0 else end
