"""`perf script`: recorded events with their fields and call stacks."""

from netdiag.formats._derive import Row
from netdiag.formats._document import Document, Format, Record
from netdiag.formats._trace import frame, number, printed_fields, read_trace, seconds
from netdiag.formats.records import Frame, TraceEvent, TraceLoss
from netdiag.spans import Source, Span


def _event(row: Row, span: Span, stack: tuple[Frame, ...]) -> Record | None:
    values = row.values
    if row.rule == "heading":
        return None
    if row.rule == "lost":
        return TraceLoss(int(values["COUNT"]), number(values, "CPU"), span, seconds(values))
    fields, text = printed_fields(values["FIELDS"]) if "FIELDS" in values else ({}, values.get("TEXT", ""))
    if "PERIOD" in values:
        fields["period"] = values["PERIOD"]
    if row.rule == "sampled":
        stack = (frame({**values, "ADDRESS": values["INLINE_ADDRESS"]}),)
    return TraceEvent(
        name=values.get("EVENT") or values.get("COUNTER") or values["NOTICE"].rstrip(":"),
        span=span,
        time=seconds(values),
        task=values["TASK"],
        pid=number(values, "PID"),
        tgid=number(values, "TGID"),
        cpu=number(values, "CPU"),
        system=values.get("EVENT_SYSTEM"),
        fields=fields,
        text=text,
        stack=stack,
    )


def read(source: Source) -> Document:
    """Every sample, with its call stack when there is one; never raises."""
    return read_trace(source, FORMAT.name, _event, with_stack=frozenset({"event", "counted", "sampled"}))


FORMAT = Format(
    name="perf_script",
    title="recorded events and call stacks (perf script)",
    commands=("perf script --ns", "perf script", "perf script -F comm,pid,tid,cpu,time,event,ip,sym,symoff,dso,trace"),
    read=read,
)
