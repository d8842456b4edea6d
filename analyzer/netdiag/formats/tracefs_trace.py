"""The file `trace` of tracefs: events and calls as the kernel itself prints them.

Addresses of packets (`skbaddr`) are hashed there: they cannot be joined with those of perf or trace-cmd.
"""

from netdiag.formats._derive import Row
from netdiag.formats._document import Document, Format, Record
from netdiag.formats._trace import (
    Values,
    arguments,
    caller,
    function_call,
    nanoseconds,
    number,
    printed_fields,
    read_trace,
    seconds,
)
from netdiag.formats.records import Frame, FunctionCall, InterruptSection, TaskSwitch, TraceEvent, TraceHead, TraceLoss
from netdiag.spans import Source, Span


def _record(row: Row, span: Span, stack: tuple[Frame, ...]) -> Record | None:
    values = row.values
    match row.rule:
        case "call":
            return _call(row, span)
        case "event" | "function" | "stack" | "comment":
            return _event(row, span, stack)
        case "interrupt":
            return InterruptSection("ENTERS" in values, number(values, "CPU_OF_GRAPH"), span, _time(values))
        case "switch":
            cpu, pid, next_pid = (int(values[name]) for name in ("CPU_OF_GRAPH", "SWITCH_PID", "NEXT_PID"))
            return TaskSwitch(cpu, values["SWITCH_TASK"], pid, values["NEXT_TASK"], next_pid, span)
        case "lost":
            return TraceLoss(int(values["COUNT"]), int(values["LOST_CPU"]), span)
        case "head":
            entries, written, cpus = (number(values, name) for name in ("ENTRIES", "WRITTEN", "CPUS"))
            return TraceHead(span, values.get("TRACER"), cpus, entries, written)
    return None


def _call(row: Row, span: Span) -> FunctionCall:
    values = row.values
    return function_call(
        values,
        span,
        time=_time(values),
        task=values.get("GRAPH_TASK"),
        pid=number(values, "GRAPH_PID"),
        cpu=number(values, "CPU_OF_GRAPH"),
        flags=values.get("GRAPH_FLAGS"),
    )


def _event(row: Row, span: Span, stack: tuple[Frame, ...]) -> TraceEvent:
    """An event, a traced function as the event `function`, or a call stack as the event `kernel_stack`."""
    values = row.values
    printed = values.get("FIELDS") or values.get("COMMENT_FIELDS")
    fields, text = printed_fields(printed) if printed else ({}, "")
    if row.rule == "function":
        fields = {"function": values["TRACED"], "caller": caller(values) or ""} | arguments(values)
    return TraceEvent(
        name=values.get("EVENT") or ("function" if row.rule == "function" else "kernel_stack"),
        span=span,
        time=_time(values),
        task=values.get("TASK") or values.get("GRAPH_TASK"),
        pid=number(values, "PID" if "PID" in values else "GRAPH_PID"),
        tgid=number(values, "TGID"),
        cpu=number(values, "CPU" if "CPU" in values else "CPU_OF_GRAPH"),
        flags=values.get("FLAGS") or values.get("GRAPH_FLAGS"),
        fields=fields,
        text=text,
        stack=stack,
    )


def _time(values: Values) -> int | None:
    if "MICROSECONDS" in values:
        return nanoseconds(values["MICROSECONDS"], 1_000)
    return seconds(values) if "TIME" in values else seconds(values, "TIME_OF_GRAPH")


def read(source: Source) -> Document:
    """Every event and call; never raises."""
    return read_trace(source, FORMAT.name, _record, with_stack=frozenset({"event", "stack"}))


FORMAT = Format(
    name="tracefs_trace",
    title="the kernel's own trace (tracefs)",
    commands=("cat /sys/kernel/tracing/trace", "cat /sys/kernel/debug/tracing/trace"),
    read=read,
)
