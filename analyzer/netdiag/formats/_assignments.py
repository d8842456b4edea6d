"""Files that are assignments of a shell: what the rules of assignments.lark mean, for the grammars that import them."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from lark import Token, Transformer, v_args

from netdiag.formats._document import Record


@v_args(inline=True)
class Assignments(Transformer[Token, Any]):
    """A line's tree as a record of a name and a value that waits for its span; None for a comment."""

    #: The record of a subclass: it takes the name, the value without the shell's quotes, and the span.
    _record: ClassVar[Callable[..., Record]]

    def line(self, meaning: Any) -> Any:
        return meaning

    def comment(self, _: Token) -> None:
        return None

    def double_quoted(self, *parts: Token) -> str:
        return "".join(part[-1] if part.type == "ESCAPED" else part for part in parts)

    def value(self, text: Token | str) -> str:
        return text[1:-1] if isinstance(text, Token) and text.type == "SINGLE_QUOTED" else str(text)

    def field(self, name: Token, value: str = "") -> partial[Record]:
        return partial(self._record, str(name), value)
