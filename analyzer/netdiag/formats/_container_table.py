"""What the tables of `docker ps` and `podman ps` have in common: cells below a heading that tells where each begins."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Unread
from netdiag.formats._lines import Grammar, as_address, line_span, port_number, read_part
from netdiag.formats.records import ContainerLine, IpAddress, PortMapping
from netdiag.spans import Source, Span

# the columns that a row must have, and their fields
_FIELDS = {
    "CONTAINER ID": "id",
    "IMAGE": "image",
    "COMMAND": "command",
    "CREATED": "created",
    "STATUS": "status",
    "PORTS": "ports",
    "NAMES": "names",
}
# all ports of three protocols, on an IPv4 and an IPv6 address
_MOST_PORTS = 65536 * 3 * 2
# the rule that reads a column's cells, where it is not `text`
_RULES = {"CONTAINER ID": "container_id", "PORTS": "ports", "NAMES": "names"}


@dataclass(frozen=True)
class _Column:
    name: str
    start: int
    end: int | None

    def cell(self, line: str) -> str:
        return line[self.start : self.end].strip()


@dataclass(frozen=True)
class _Ports:
    """An entry of PORTS, not yet spread out."""

    protocol: str
    ports: range
    host: IpAddress | None
    published: range | None

    def mappings(self) -> Iterator[PortMapping]:
        for index, port in enumerate(self.ports):
            host_port = self.published[index] if self.published is not None else None
            yield PortMapping(self.protocol, port, self.host, host_port)


@dataclass(frozen=True)
class _Text:
    text: str


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A heading as its columns, a cell as its value."""

    def heading(self, *names: Token) -> tuple[_Column, ...]:
        starts = [(name.column or 1) - 1 for name in names]
        return tuple(
            _Column(str(name), start, end) for name, start, end in zip(names, starts, [*starts[1:], None], strict=True)
        )

    def container_id(self, digits: Token) -> _Text:
        return _Text(str(digits))

    def text(self, text: Token | None) -> _Text:
        return _Text(str(text or ""))

    def names(self, *names: Token) -> tuple[str, ...]:
        return tuple(map(str, names))

    def host(self, address: Token) -> IpAddress:
        return as_address(address)

    def port_range(self, first: Token, last: Token | None) -> range:
        return range(port_number(first), port_number(last or first) + 1)

    def port(self, host: IpAddress | None, published: range | None, ports: range, protocol: Token) -> _Ports:
        if published is not None and len(published) != len(ports):
            raise ValueError(f"{len(published)} host ports for {len(ports)} container ports")
        return _Ports(str(protocol), ports, host, published)

    def ports(self, *cells: _Ports | None) -> tuple[PortMapping, ...]:
        several = [cell for cell in cells if cell]
        if sum(len(cell.ports) for cell in several) > _MOST_PORTS:
            raise ValueError("more ports than a container can have")
        return tuple(mapping for cell in several for mapping in cell.mappings())


_MEANING = _Meaning()


def read_table(source: Source, grammar: str) -> Document:
    """Every row below a heading; never raises. Below another engine's heading every line is unread."""
    rows: list[ContainerLine] = []
    unread: list[Unread] = []
    columns: tuple[_Column, ...] = ()
    parts = Grammar(grammar, ("heading", "text", *_RULES.values()))
    for number, line in enumerate(source.lines, start=1):
        if not line.strip():
            continue
        heading = read_part(parts, "heading", line, _MEANING)
        if not isinstance(heading, str):
            columns = heading
            continue
        row = _row(parts, columns, line, line_span(source, number)) if columns else "no heading above it"
        if isinstance(row, str):
            unread.append(Unread(number, row))
        else:
            rows.append(row)
    return Document(source, grammar, tuple(rows), tuple(unread))


def _row(parts: Grammar, columns: tuple[_Column, ...], line: str, span: Span) -> ContainerLine | str:
    """A row's record, or the reason why there is none."""
    cells: dict[str, Any] = {}
    for column in columns:
        value = read_part(parts, _RULES.get(column.name, "text"), column.cell(line), _MEANING)
        if isinstance(value, str):
            return f"{column.name}: {value}"
        cells[column.name] = value.text if isinstance(value, _Text) else value
    missing = [name for name in _FIELDS if name not in cells]
    if missing:
        return f"the heading has no column {missing[0]}"
    fields = {field: cells[name] for name, field in _FIELDS.items()}
    return ContainerLine(**fields, span=span)
