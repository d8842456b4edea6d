"""What the bundle lacks although the host may have it: outputs that failed, were cut off or could not be asked for.

What the collector leaves out because there is nothing of the kind (a module that is not loaded, a file that does not
exist, an engine that is not installed) is no gap.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netdiag.bundle import Bundle
from netdiag.formats import Document
from netdiag.formats.records import LogLine
from netdiag.model.movement import is_extra_look
from netdiag.spans import Span

#: Reasons to leave something out that hide what may be there.
_HIDES = re.compile(
    r"root\b|CAP_|[Pp]ermission denied|not permitted|cannot be read|interrupted|did not (?:answer|end)|not to be seen"
    r"|could not be taken"
)
_NO_TOOL = re.compile(r"(\S+) is not installed \(not found in PATH\)")

#: Tools without which a part of the host stays dark; others only say the same in another way.
_TOOLS = frozenset({"ip", "ss", "nsenter", "sysctl", "bridge"})

#: Outputs of commands that fail when there is nothing to print.
_FAIL_WHEN_EMPTY = frozenset({"docker-proxy", "dockerd", "engine-files", "docker-unit", "docker-journal", "lsns"})


@dataclass(frozen=True)
class Gap:
    """An output of a scope that is missing or not whole, why, and the line that tells, where there is one."""

    scope: str
    artifact: str
    reason: str
    span: Span | None = None


def gaps(bundle: Bundle, documents: Sequence[Document]) -> tuple[Gap, ...]:
    """All gaps of a bundle that the collector made, none of another."""
    if bundle.manifest is None:
        return ()
    log = {
        " ".join(record.message.partition(":")[0].split()[:2]): record.span
        for document in documents
        for record in document.records
        if isinstance(record, LogLine)
    }
    return tuple(_found(bundle, log))


def _found(bundle: Bundle, log: dict[str, Span]) -> Iterator[Gap]:
    for left in bundle.not_collected:
        tool = _NO_TOOL.search(left.reason)
        hidden = tool[1] in _TOOLS if tool else bool(_HIDES.search(left.reason))
        if hidden and not is_extra_look(left.scope):
            yield Gap(left.scope, left.artifact, left.reason, log.get(f"{left.scope} {left.artifact}"))
    for source in bundle.sources:
        if source.trouble and source.artifact not in _FAIL_WHEN_EMPTY and not is_extra_look(source.scope):
            span = log.get(f"{source.scope} {source.artifact}") or (source.span(1) if source.lines else None)
            yield Gap(source.scope, source.artifact, source.trouble, span)
