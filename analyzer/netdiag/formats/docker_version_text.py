"""`docker version` as people paste it: the version of the engine. The client's says nothing.

Since 18.09 the engine is the first of the server's components; before, its lines stand below `Server:` themselves.
"""

from dataclasses import dataclass

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format, Unread
from netdiag.formats._lines import line_span, read_lines
from netdiag.formats.records import EngineVersion
from netdiag.spans import Source, Span

_COMPONENTS_INDENT = " "


@dataclass(frozen=True)
class _Line:
    """What a line says: `kind` is the rule that read it."""

    kind: str
    text: str = ""


@v_args(inline=True)
class _Meaning(Transformer[Token, _Line]):
    def heading(self, section: Token, _: Token | None) -> _Line:
        return _Line("heading", str(section))

    def component(self, indent: Token, name: Token) -> _Line:
        """A deeper line without a value is a setting that is empty."""
        return _Line("component", str(name)) if indent == _COMPONENTS_INDENT else _Line("other")

    def version(self, _: Token, __: Token, version: Token) -> _Line:
        return _Line("version", str(version))

    def api_version(self, _: Token, __: Token, version: Token, ___: Token | None) -> _Line:
        return _Line("api_version", str(version))

    def other(self, *_: Token) -> _Line:
        return _Line("other")

    def line(self, line: _Line) -> _Line:
        return line


def read(source: Source) -> Document:
    """The engine's version, no record when the client got no answer; never raises."""
    unread: list[Unread] = []
    told: dict[str, tuple[str, Span]] = {}
    section, component = "", "Engine"
    for number, line in read_lines(source, FORMAT.name, _Meaning()):
        if isinstance(line, Unread):
            unread.append(line)
        elif line.kind == "heading":
            section, component = line.text, "Engine"
        elif line.kind == "component":
            component = line.text
        elif section == "Server" and component == "Engine":
            told.setdefault(line.kind, (line.text, line_span(source, number)))
    return Document(source, FORMAT.name, tuple(_versions(told)), tuple(unread))


def _versions(told: dict[str, tuple[str, Span]]) -> list[EngineVersion]:
    if "version" not in told:
        return []
    version, span = told["version"]
    return [EngineVersion(version, told["api_version"][0] if "api_version" in told else None, span)]


FORMAT = Format(
    name="docker_version_text",
    title="docker version",
    commands=("docker version",),
    read=read,
)
