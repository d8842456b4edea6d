"""`trace-cmd report`: recorded events, and the calls of the function_graph tracer."""

from netdiag.formats._derive import Row
from netdiag.formats._document import Document, Format, Record
from netdiag.formats._trace import arguments, function_call, number, printed_fields, read_trace, seconds
from netdiag.formats.records import Frame, FunctionCall, InterruptSection, TraceEvent, TraceHead, TraceLoss
from netdiag.spans import Source, Span


def _record(row: Row, span: Span, stack: tuple[Frame, ...]) -> Record | None:
    values = row.values
    match row.rule:
        case "call":
            return _call(row, span)
        case "event" | "traced":
            return _event(row, span, stack)
        case "interrupt":
            cpu, pid = number(values, "CPU"), number(values, "PID")
            return InterruptSection("ENTERS" in values, cpu, span, seconds(values), values["TASK"], pid)
        case "lost":
            return TraceLoss(number(values, "COUNT"), int(values["LOST_CPU"]), span)
        case "cpus":
            return TraceHead(span, cpus=int(values["CPUS"]))
    return None


def _call(row: Row, span: Span) -> FunctionCall:
    values = row.values
    return function_call(
        values,
        span,
        time=seconds(values),
        task=values["TASK"],
        pid=number(values, "PID"),
        cpu=number(values, "CPU"),
        flags=values.get("FLAGS"),
    )


def _event(row: Row, span: Span, stack: tuple[Frame, ...]) -> TraceEvent:
    """An event, or a traced function as the event `function`."""
    values = row.values
    fields, text = printed_fields(values["FIELDS"]) if "FIELDS" in values else ({}, "")
    if row.rule == "traced":
        caller = {"caller": values["PARENT"]} if "PARENT" in values else {}
        fields = {"function": values["TRACED"]} | caller | arguments(values)
    return TraceEvent(
        name=values.get("EVENT", "function"),
        span=span,
        time=seconds(values),
        task=values["TASK"],
        pid=number(values, "PID"),
        cpu=number(values, "CPU"),
        system=values.get("SYSTEM"),
        flags=values.get("FLAGS"),
        fields=fields,
        text=text,
        stack=stack,
    )


def read(source: Source) -> Document:
    """Every event and call; never raises."""
    return read_trace(source, FORMAT.name, _record, with_stack=frozenset({"event"}))


FORMAT = Format(
    name="trace_cmd_report",
    title="recorded events and calls (trace-cmd report)",
    commands=("trace-cmd report -t", "trace-cmd report", "trace-cmd report -l"),
    read=read,
)
