"""`podman version` as people paste it: the version of podman, the server's where there is one."""

from dataclasses import dataclass, field

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format, Unread
from netdiag.formats._lines import line_span, read_lines
from netdiag.formats.records import EngineVersion
from netdiag.spans import Source, Span


@dataclass(frozen=True)
class _Line:
    """What a line says: `kind` is the rule that read it."""

    kind: str
    text: str = ""


@dataclass
class _Side:
    """What the client or the server says of itself so far."""

    told: dict[str, tuple[str, Span]] = field(default_factory=dict)

    def version(self) -> EngineVersion | None:
        if not {"version", "api_version"} <= self.told.keys():
            return None
        version, span = self.told["version"]
        return EngineVersion(version, self.told["api_version"][0], span)


@v_args(inline=True)
class _Meaning(Transformer[Token, _Line]):
    def heading(self, section: Token, _: Token) -> _Line:
        return _Line("heading", str(section))

    def version(self, version: Token) -> _Line:
        return _Line("version", str(version))

    def api_version(self, version: Token) -> _Line:
        return _Line("api_version", str(version))

    def other(self, *_: Token) -> _Line:
        return _Line("other")

    def line(self, line: _Line) -> _Line:
        return line


def read(source: Source) -> Document:
    """The version of podman, one record; never raises."""
    unread: list[Unread] = []
    sides = {"Client": _Side(), "Server": _Side()}
    side = sides["Client"]
    for number, line in read_lines(source, FORMAT.name, _Meaning()):
        if isinstance(line, Unread):
            unread.append(line)
        elif line.kind == "heading":
            side = sides[line.text]
        else:
            side.told.setdefault(line.kind, (line.text, line_span(source, number)))
    version = sides["Server"].version() or sides["Client"].version()
    return Document(source, FORMAT.name, (version,) if version else (), tuple(unread))


FORMAT = Format(
    name="podman_version_text",
    title="podman version",
    commands=("podman version",),
    read=read,
)
