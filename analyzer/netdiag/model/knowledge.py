"""How far something is known. Missing data is never "fine": whoever asks gets the facts, how complete they are, and
why.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import wraps
from typing import Generic, TypeVar

from netdiag.formats import Document

S = TypeVar("S")
T = TypeVar("T")


class Extent(Enum):
    """How much of the facts of one kind the bundle shows."""

    WHOLE = "whole"  #: everything there is: what is not in the list does not exist
    PART = "part"  #: what is listed exists; what is not listed may exist as well
    NONE = "none"  #: nothing was collected


@dataclass(frozen=True)
class Facts(Generic[T]):
    """Facts of one kind with their extent. `why` says why they are not whole; `missing` names the artifacts that would
    tell.
    """

    items: tuple[T, ...] = ()
    extent: Extent = Extent.NONE
    why: str = ""
    missing: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

    @property
    def whole(self) -> bool:
        return self.extent is Extent.WHOLE


def not_whole(document: Document) -> str:
    """Why a document does not show all that the command printed, or that the command did not print all; nothing when it
    does.
    """
    if document.source.trouble:
        return f"{document.source.path}: {document.source.trouble}"
    if document.unread:
        return f"{document.source.path}: {document.unread_count} lines were not understood"
    return ""


def once(question: Callable[[S], T]) -> Callable[[S], T]:
    """A question about an object that is answered once, as `cached_property` does it, but asked by a function.

    The answer is kept in the object's own `__dict__`, so a changed copy of it starts without one.
    """
    name = f"{question.__module__}.{question.__qualname__}"

    @wraps(question)
    def ask(of: S) -> T:
        answers = vars(of)
        if name not in answers:
            answers[name] = question(of)
        answer: T = answers[name]
        return answer

    return ask


class Truth(Enum):
    """A three-valued answer."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Gate:
    """Whether a check may judge something, and why.

    When the answer is unknown, `why` is the open question, `because` what stands in the way of an answer, and `missing`
    and `ask` tell what to collect for one.
    """

    truth: Truth
    why: str = ""
    because: str = ""
    missing: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()

    @property
    def yes(self) -> bool:
        return self.truth is Truth.YES

    @property
    def no(self) -> bool:
        return self.truth is Truth.NO

    @property
    def unknown(self) -> bool:
        return self.truth is Truth.UNKNOWN


YES = Gate(Truth.YES)


def all_of(*gates: Gate) -> Gate:
    """No if any is no (the first such), else unknown if any is unknown (what all of them miss), else yes."""
    for gate in gates:
        if gate.no:
            return gate
    unknown = [gate for gate in gates if gate.unknown]
    if not unknown:
        return YES
    if len(unknown) == 1:
        return unknown[0]
    return Gate(
        Truth.UNKNOWN,
        joined_reasons((gate.why, gate.because) for gate in unknown),
        "",
        tuple(dict.fromkeys(name for gate in unknown for name in gate.missing)),
        tuple(dict.fromkeys(command for gate in unknown for command in gate.ask)),
    )


def joined_reasons(questions: Iterable[tuple[str, str]]) -> str:
    """Open questions in one text, those together that the same thing stands in the way of."""
    grouped: dict[str, dict[str, None]] = {}
    for why, because in questions:
        grouped.setdefault(because, {})[why] = None
    texts = (", ".join(whys) + (f" ({because})" if because else "") for because, whys in grouped.items())
    return "; ".join(texts)
