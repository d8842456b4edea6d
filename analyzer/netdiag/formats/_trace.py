"""What the trace formats share: numbers and fields of their rows, call stacks, and the walk over a long file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from sys import intern

from netdiag.formats._derive import Row, item_reader, read_rows
from netdiag.formats._document import Document, Record, Unread
from netdiag.formats.records import Frame, FunctionCall
from netdiag.spans import Source, Span

# about 600 bytes each: 1.2 GB at most, beside the text itself
MOST_RECORDS = 2_000_000

_BELOW_AN_EVENT = frozenset({"frame", "source_line"})

Values = Mapping[str, str]


def nanoseconds(text: str, unit: int) -> int:
    """A decimal number as integer nanoseconds, exactly; `unit` is what one of it has (a second 10^9)."""
    whole, _, fraction = text.partition(".")
    return int(whole) * unit + (int(fraction) * unit // 10 ** len(fraction) if fraction else 0)


def seconds(values: Values, name: str = "TIME") -> int | None:
    return nanoseconds(values[name], 1_000_000_000) if name in values else None


def number(values: Values, name: str) -> int | None:
    """A decimal number, with or without brackets around it."""
    return int(values[name].strip("[]")) if name in values else None


def duration(values: Values) -> int | None:
    """Microseconds, as function_graph prints them, as nanoseconds."""
    return nanoseconds(values["DURATION"], 1_000) if "DURATION" in values else None


def call_depth(values: Values) -> int:
    """The calls around this one: the bar is followed by two blanks, and two more for each."""
    return max(0, len(values["INDENT"]) - 3) // 2


def printed_fields(text: str) -> tuple[dict[str, str], str]:
    """`key=value` of a kernel event, and the words besides."""
    return _fields("trace_fields", text)


def argument_fields(text: str) -> tuple[dict[str, str], str]:
    """`key: value` of perf trace, strings without their quotes; what has another shape stays text."""
    fields, rest = _fields("trace_arguments", text)
    return {key: value.removesuffix("...").strip('"') for key, value in fields.items()}, rest


def _fields(grammar: str, text: str) -> tuple[dict[str, str], str]:
    rows = item_reader(grammar).rows(text)
    if isinstance(rows, str):
        return {}, text
    fields: dict[str, str] = {}
    words: list[str] = []
    for rule, values in rows:
        if rule == "word":
            words.append(values["WORD"])
        elif values:
            key, *value = values.values()
            fields[intern(key)] = intern(value[0]) if value else ""
    return fields, " ".join(words)


def frame(values: Values) -> Frame:
    symbol = values.get("SYMBOL", "[unknown]")
    module = values.get("MODULE", "")[1:-1]
    inlined = module == "inlined"
    offset = values.get("OFFSET", "").lstrip("+").partition("/")[0]
    address = (values.get("ADDRESS") or values.get("BARE_ADDRESS", "")).strip("()<>[]")
    return Frame(
        symbol=None if symbol == "[unknown]" else intern(symbol),
        address=int(address, 16) if address else None,
        offset=int(offset, 16) if offset else None,
        module=None if inlined or module in ("", "[unknown]") else intern(module),
        inlined=inlined,
    )


Make = Callable[[Row, Span, tuple[Frame, ...]], Record | None]


@dataclass
class _Sample:
    """A row that is still open to frames: the lines that it spans, and its call stack so far."""

    row: Row
    first: int
    last: int
    frames: list[Frame] = field(default_factory=list)


def read_trace(
    source: Source, grammar: str, make: Make, *, with_stack: frozenset[str] = frozenset(), most: int = MOST_RECORDS
) -> Document:
    """Every record of a trace; never raises.

    `make` gives the record of a row, or None for one that says nothing. Rows of the rules `with_stack` may have frames
    right below them (the rule `frame`); a frame elsewhere is unread, and so is what follows after `most` records.
    """
    records: list[Record] = []
    unread: list[Unread] = []

    def finish(sample: _Sample | None) -> None:
        if sample is None:
            return
        try:
            record = make(sample.row, _span(source, sample.first, sample.last), tuple(sample.frames))
        except ValueError:
            unread.extend(Unread(line, "a value out of range") for line in range(sample.first, sample.last + 1))
            return
        if record is not None:
            records.append(record)

    open_sample: _Sample | None = None
    for line, row in read_rows(source, grammar):
        if isinstance(row, Unread):
            unread.append(row)
        elif row.rule in _BELOW_AN_EVENT:
            if open_sample is None or open_sample.last != line - 1:
                unread.append(Unread(line, "no event above it"))
                continue
            open_sample.last = line
            if row.rule == "frame":
                open_sample.frames.append(frame(row.values))
        else:
            finish(open_sample)
            open_sample = None
            if len(records) >= most:
                unread.append(Unread(line, f"after the first {most} records"))
            elif row.rule in with_stack:
                open_sample = _Sample(row, line, line)
            else:
                finish(_Sample(row, line, line))
    finish(open_sample)
    return Document(source, grammar, tuple(records), tuple(sorted(unread, key=lambda entry: entry.line)))


def _span(source: Source, first: int, last: int) -> Span:
    if first != last:
        return source.span_of_lines(first, last)
    line = source.lines[first - 1]
    return source.span(first, len(line) - len(line.lstrip()) + 1, len(line.rstrip()) + 1)


def arguments(values: Mapping[str, str]) -> dict[str, str]:
    """What a function was called with, where its tracer tells it."""
    return {"arguments": values["ARGUMENTS"][1:-1]} if "ARGUMENTS" in values else {}


def caller(values: Values) -> str | None:
    return values["CALLER"].removeprefix("<-") if "CALLER" in values else None


def function_call(
    values: Values,
    span: Span,
    *,
    time: int | None,
    task: str | None,
    pid: int | None,
    cpu: int | None,
    flags: str | None,
) -> FunctionCall:
    """A line of function_graph. Where and when it stands is said in other words by each tool."""
    entered = "leaf" if "OPEN" not in values else "entry"
    return FunctionCall(
        phase="exit" if "CLOSE" in values else entered,
        function=values.get("FUNCTION") or values.get("NAME"),
        depth=call_depth(values),
        span=span,
        duration=duration(values),
        mark=values.get("MARK"),
        time=time,
        task=task,
        pid=pid,
        cpu=cpu,
        flags=flags,
        arguments=values.get("ARGUMENTS", "")[1:-1] or None,
        returned=values.get("RETURNED") or values.get("RETURNED_VALUE"),
        caller=caller(values),
    )
