"""`tc -s qdisc`: the queueing disciplines of a namespace, with what they dropped and what waits in them."""

from dataclasses import replace
from functools import partial
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format, Unread
from netdiag.formats._lines import line_span, read_lines
from netdiag.formats.records import Qdisc
from netdiag.spans import Source

_UNITS = {"b": 1, "Kb": 1024, "Mb": 1024**2}


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as a discipline that waits for its span, or as what it adds to the discipline above it."""

    def line(self, meaning: Any) -> Any:
        return meaning

    def root(self) -> dict[str, str]:
        return {"parent": "root"}

    def parent(self, name: Token) -> dict[str, str]:
        return {"parent": str(name)}

    def qdisc(self, kind: Token, handle: Token, *rest: Any) -> partial[Qdisc]:
        tokens = {part.type: str(part) for part in rest if isinstance(part, Token)}
        parent = next((part["parent"] for part in rest if isinstance(part, dict)), None)
        options = tokens.get("OPTIONS", "")
        return partial(Qdisc, str(kind), str(handle), tokens.get("IFNAME"), parent, options=options)

    def sent(self, *numbers: Token) -> dict[str, Any]:
        names = ("sent_bytes", "sent_packets", "dropped", "overlimits", "requeues")
        return dict(zip(names, map(int, numbers), strict=True))

    def backlog(self, *tokens: Token) -> dict[str, Any]:
        """The requeues of this line are those of the line above."""
        told = {token.type: token for token in tokens}
        return {"backlog_bytes": _bytes(told["SIZE"]), "backlog_packets": int(told["PACKETS"].rstrip("p"))}

    def statistic(self, name: Token, number: Token) -> tuple[str, str]:
        return str(name), str(number)

    def text(self, word: Token) -> str:
        return str(word)

    def more(self, *parts: tuple[str, str] | str) -> dict[str, Any]:
        statistics = dict(part for part in parts if isinstance(part, tuple))
        words = " ".join(part for part in parts if isinstance(part, str))
        return {"details": {**statistics, **({"more": words} if words else {})}}


def _bytes(size: str) -> int:
    number = size.rstrip("KMb")
    return round(float(number) * _UNITS[size.removeprefix(number)])


def read(source: Source) -> Document:
    """Every discipline, spanning its first line; never raises."""
    found: list[Qdisc] = []
    unread: list[Unread] = []
    for number, meaning in read_lines(source, FORMAT.name, _Meaning()):
        if isinstance(meaning, Unread):
            unread.append(meaning)
        elif isinstance(meaning, partial):
            found.append(meaning(span=line_span(source, number)))
        elif found:
            found[-1] = _with(found[-1], meaning)
        else:
            unread.append(Unread(number, "no qdisc above it"))
    return Document(source, FORMAT.name, tuple(found), tuple(unread))


def _with(qdisc: Qdisc, told: dict[str, Any]) -> Qdisc:
    if "details" not in told:
        return replace(qdisc, **told)
    more = " ".join(words for words in (qdisc.details.get("more"), told["details"].get("more")) if words)
    return replace(qdisc, details={**qdisc.details, **told["details"], **({"more": more} if more else {})})


FORMAT = Format(
    name="tc_qdisc",
    title="queueing disciplines (tc qdisc)",
    commands=("tc -s qdisc", "tc qdisc"),
    read=read,
)
