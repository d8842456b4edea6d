"""`firewall-cmd --list-all-zones`, `--list-all-policies`: what firewalld lets pass, and whose interfaces it takes."""

from dataclasses import dataclass, field
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format, Unread
from netdiag.formats._lines import read_lines
from netdiag.formats.records import FirewalldZone
from netdiag.spans import Source


@dataclass
class _Block:
    """A zone as its lines come, from `first` to `last`, which is 0 as long as there is nothing below its name."""

    name: str
    marks: tuple[str, ...]
    first: int
    last: int = 0
    settings: dict[str, str] = field(default_factory=dict)
    lists: dict[str, list[str]] = field(default_factory=dict)

    def record(self, source: Source) -> FirewalldZone:
        details = dict(self.settings)
        return FirewalldZone(
            self.name,
            source.span_of_lines(self.first, self.last),
            self.marks,
            target=details.pop("target", None),
            forward=_YES.get(details.pop("forward", "")),
            masquerade=_YES.get(details.pop("masquerade", "")),
            **{key: tuple(words) for key, words in self.lists.items()},
            details={key: value for key, value in details.items() if value},
        )


_YES = {"yes": True, "no": False}


@dataclass(frozen=True)
class _Heading:
    name: str
    marks: tuple[str, ...]


@dataclass(frozen=True)
class _Setting:
    key: str
    value: str


@dataclass(frozen=True)
class _Words:
    """Words to add to a list of a zone."""

    key: str
    words: tuple[str, ...]


def _key(heading: str) -> str:
    return heading.strip().removesuffix(":").replace("-", "_")


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as one of the classes above."""

    def line(self, meaning: Any) -> Any:
        return meaning

    def heading(self, name: Token, *marks: Token) -> _Heading:
        return _Heading(str(name), tuple(map(str, marks)))

    def list(self, key: Token, *words: Token) -> _Words:
        return _Words(_key(key), tuple(map(str, words)))

    def setting(self, key: Token, value: Token | str = "") -> _Setting:
        return _Setting(key.strip().removesuffix(":"), str(value))

    def forward_port(self, text: Token) -> _Words:
        return _Words("forward_ports", (text.strip(),))

    def rich_rule(self, text: Token) -> _Words:
        return _Words("rich_rules", (text.strip(),))


def read(source: Source) -> Document:
    """Every zone, spanning its lines; never raises."""
    blocks: list[_Block] = []
    unread: list[Unread] = []
    for number, meaning in read_lines(source, FORMAT.name, _Meaning()):
        if isinstance(meaning, Unread):
            unread.append(meaning)
        elif isinstance(meaning, _Heading):
            blocks.append(_Block(meaning.name, meaning.marks, number))
        elif not blocks:
            unread.append(Unread(number, "no zone above it"))
        else:
            block = blocks[-1]
            block.last = number
            if isinstance(meaning, _Setting):
                block.settings[meaning.key] = meaning.value
            else:
                block.lists.setdefault(meaning.key, []).extend(meaning.words)
    unread += [Unread(block.first, "no setting below it") for block in blocks if not block.last]
    records = tuple(block.record(source) for block in blocks if block.last)
    return Document(source, FORMAT.name, records, tuple(sorted(unread, key=lambda each: each.line)))


FORMAT = Format(
    name="firewalld_zones",
    title="zones and policies of firewalld (firewall-cmd)",
    commands=("firewall-cmd --list-all-zones", "firewall-cmd --list-all-policies", "firewall-cmd --list-all"),
    read=read,
)
