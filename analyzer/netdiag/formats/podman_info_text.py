"""`podman info` as people paste it, which is YAML: podman's version, where it runs and what connects its containers.

Every line is read by itself, so that a cut or mangled listing costs its odd lines only.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format, Unread
from netdiag.formats._lines import line_span, read_lines
from netdiag.formats.records import PodmanInfo
from netdiag.spans import Source, Span

_KeyPath = tuple[str, ...]


@dataclass(frozen=True)
class _Line:
    """`key` is empty for an entry of a list and a line of a longer text; `text` is None above a table."""

    indent: int
    key: str = ""
    text: str | None = None


@v_args(inline=True)
class _Meaning(Transformer[Token, _Line]):
    def value(self, text: Token) -> str:
        return str(text)[1:-1] if text.type.endswith("QUOTED") else str(text)

    def table(self, indent: Token | None, key: Token) -> _Line:
        return _Line(len(indent or ""), str(key))

    def setting(self, indent: Token | None, key: Token, value: str) -> _Line:
        return _Line(len(indent or ""), str(key), value)

    def entry(self, indent: Token | None, value: str) -> _Line:
        return _Line(len(indent or ""), text=value)

    def words(self, indent: Token, text: Token) -> _Line:
        return _Line(len(indent), text=str(text))

    def line(self, line: _Line) -> _Line:
        return line


def read(source: Source) -> Document:
    """Podman's description of itself, one record; never raises."""
    unread: list[Unread] = []
    said: dict[_KeyPath, tuple[str, Span]] = {}
    above: list[_Line] = []
    for number, line in read_lines(source, FORMAT.name, _Meaning()):
        if isinstance(line, Unread):
            unread.append(line)
        elif line.key:
            above = [*(outer for outer in above if outer.indent < line.indent), line]
            if line.text is not None:
                said.setdefault(tuple(outer.key for outer in above), (line.text, line_span(source, number)))
    info = _info(said)
    return Document(source, FORMAT.name, (info,) if info else (), tuple(unread))


def _info(said: Mapping[_KeyPath, tuple[str, Span]]) -> PodmanInfo | None:
    def text(*path: str) -> str | None:
        return said[path][0] or None if path in said else None

    version, rootless = said.get(("version", "Version")), text("host", "security", "rootless")
    remote = text("host", "serviceIsRemote")
    if version is None or not any(path[0] == "host" for path in said):
        return None
    words = (text("host", "distribution", "distribution"), text("host", "distribution", "version"))
    return PodmanInfo(
        version=version[0],
        place=version[1],
        api_version=text("version", "APIVersion"),
        host_name=text("host", "hostname"),
        distribution=" ".join(word for word in words if word) or None,
        rootless=rootless == "true" if rootless else None,
        network_backend=text("host", "networkBackend"),
        rootless_network=text("host", "rootlessNetworkCmd"),
        remote=remote == "true" if remote else None,
    )


FORMAT = Format(
    name="podman_info_text",
    title="podman info",
    commands=("podman info",),
    read=read,
)
