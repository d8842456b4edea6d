"""`perf trace`: tracepoints and system calls as they happen, in the layouts of perf 3.10 to 6.x."""

from netdiag.formats._derive import Row
from netdiag.formats._document import Document, Format, Record
from netdiag.formats._trace import Values, argument_fields, nanoseconds, number, printed_fields, read_trace
from netdiag.formats.records import Frame, TraceEvent, TraceLoss
from netdiag.spans import Source, Span

_MILLISECOND = 1_000_000


def _event(row: Row, span: Span, stack: tuple[Frame, ...]) -> Record:
    values = row.values
    if row.rule == "lost":
        return TraceLoss(int(values["COUNT"]), None, span)
    name = values.get("NAME") or values.get("PRINTED_NAME") or values["CALL"]
    fields, text = _fields(values)
    return TraceEvent(
        name=name,
        span=span,
        time=_milliseconds(values, "TIME"),
        task=values.get("TASK"),
        pid=number(values, "PID"),
        system=values.get("SYSTEM"),
        duration=_milliseconds(values, "DURATION"),
        fields=fields,
        text=text,
        stack=stack,
    )


def _milliseconds(values: Values, name: str) -> int | None:
    return nanoseconds(values[name], _MILLISECOND) if name in values else None


def _fields(values: Values) -> tuple[dict[str, str], str]:
    """What stands in the brackets; of a system call also its end: `= 0`, `...` when it had not returned yet."""
    fields: dict[str, str] = {}
    words: list[str] = []
    if "FIELDS" in values:
        fields, text = printed_fields(values["FIELDS"])
        words.append(text)
    elif arguments := values.get("ARGUMENTS") or values.get("CALL_ARGUMENTS"):
        fields, text = argument_fields(arguments)
        words.append(text)
    words += [values[name] for name in ("CONTINUED", "UNFINISHED", "RESULT") if name in values]
    return fields, " ".join(word for word in words if word)


def read(source: Source) -> Document:
    """Every event, with its call stack when there is one; never raises."""
    return read_trace(source, FORMAT.name, _event, with_stack=frozenset({"event", "printed", "syscall", "continued"}))


FORMAT = Format(
    name="perf_trace",
    title="events as they happen (perf trace)",
    commands=("perf trace -a --no-syscalls -e 'net:*' -e 'skb:*'", "perf trace --no-syscalls --event 'net:*' CMD"),
    read=read,
)
