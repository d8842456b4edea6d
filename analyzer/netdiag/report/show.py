"""The facts of a host for the terminal, for programs and for spreadsheets: the tables of `netdiag show`."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from netdiag import __version__
from netdiag.plain import Json
from netdiag.report import as_csv, tables
from netdiag.report._grid import Column, Grid, fold
from netdiag.report.as_csv import Cell
from netdiag.report.as_json import dump
from netdiag.report.markdown import cell as markdown_cell
from netdiag.report.snippet import Look
from netdiag.report.tables import Table
from netdiag.report.terminal import collected_when
from netdiag.results import Reading

SCHEMA_VERSION = "1.0"

#: What the overview shows of each table, and how many rows at most.
_OVERVIEW = {
    "containers": ("name", "state", "health", "addresses", "ports"),
    "networks": ("name", "driver", "subnets", "gateways", "bridge", "containers"),
    "links": ("name", "state", "mtu", "addresses", "wired_to", "lost"),
    "routes": ("destination", "via", "device", "source", "metric", "table", "kind"),
    "ports": ("protocol", "address", "leads_to", "listener"),
}
_MOST_ROWS = 20
_LINK_LOCAL = "fe80:"


def overview(reading: Reading, look: Look) -> str:
    """What an engineer wants to know first: who the host is, and the most telling columns of each table."""
    blocks = [list(_head(reading, look))]
    for name, kept in _OVERVIEW.items():
        whole = _with_wires(_of_host(tables.table(reading, name)))
        part = _only(whole, kept)
        more = len(whole.rows) - _MOST_ROWS
        remarks = (*whole.remarks, f"and {more} more: netdiag show BUNDLE {name}") if more > 0 else whole.remarks
        blocks.append(list(lines_of(replace(part, rows=part.rows[:_MOST_ROWS], remarks=remarks), look)))
    blocks.append(list(lines_of(_chains(reading), look)))
    blocks.append([f"next: {look.paint('strong', 'netdiag analyze BUNDLE')}"])
    return "\n".join("".join(f"{line}\n" for line in block) for block in blocks)


def text(reading: Reading, name: str, look: Look) -> str:
    """One table for a terminal."""
    return "".join(f"{line}\n" for line in lines_of(tables.table(reading, name), look))


def as_json(reading: Reading, names: Iterable[str]) -> str:
    """Tables for programs. Their shape is a contract: `tables.schema.json` beside this module describes all of it."""
    found = [tables.table(reading, name) for name in names]
    bundle = reading.bundle
    return dump(
        {
            "schema_version": SCHEMA_VERSION,
            "tool": {"name": "netdiag", "version": __version__},
            "bundle": {
                "name": bundle.name,
                "host": bundle.host,
                "collected_at": bundle.collected_at,
                "sha256": bundle.sha256,
            },
            "tables": {table.name: _json_table(table) for table in found},
        }
    )


def csv(reading: Reading, name: str) -> str:
    """One table as CSV."""
    table = tables.table(reading, name)
    return as_csv.table(table.columns, table.rows)


def as_markdown(reading: Reading, names: Sequence[str]) -> str:
    """Tables for an issue or a wiki."""
    return "\n".join("".join(f"{line}\n" for line in _markdown(tables.table(reading, name))) for name in names)


# --- for people -------------------------------------------------------------------------------------------------------


def _head(reading: Reading, look: Look) -> Iterator[str]:
    """The host in a few lines."""
    host, bundle = reading.host, reading.bundle
    manifest = bundle.manifest or {}
    version = host.engine.version.version if host.engine.version else None
    podman = host.podman.version.version if host.podman.version else None
    states = Counter(container.state or "unknown" for container in host.containers)
    told = ", ".join(f"{count} {state}" for state, count in states.most_common())
    facts = {
        "host": (bundle.host or host.name or bundle.name) + collected_when(bundle.collected_at),
        "system": ", ".join(
            filter(None, (manifest.get("os_release", ""), f"Linux {host.kernel}" if host.kernel else ""))
        ),
        "engine": ", ".join(filter(None, (version and f"Docker {version}", podman and f"podman {podman}"))),
        "containers": told or ("none" if host.containers.whole else "not known"),
        "sources": f"{len(reading.coverage)} outputs, {len(bundle.not_collected)} not collected",
    }
    for name, value in facts.items():
        for number, line in enumerate(fold(look.text(value or "not known"), look.columns - 12)):
            yield look.paint("strong", f"{'' if number else name:12}") + line


def _chains(reading: Reading) -> Table:
    """How many rules the host's chains have, and what has met them: the rules themselves are too many."""
    rules = _of_host(tables.table(reading, "rules"))
    at = {column: number for number, column in enumerate(rules.columns)}
    counted: Counter[tuple[Cell, ...]] = Counter()
    policies: dict[tuple[Cell, ...], str] = {}
    for row in rules.rows:
        chain = row[at["family"]], row[at["table"]], row[at["chain"]]
        is_rule = row[at["number"]] != ""
        counted[chain] += is_rule
        if not is_rule:
            policies[chain] = str(row[at["rule"]]).rpartition("policy ")[2]
    rows = tuple(
        (*chain, policies.get(chain, ""), number) for chain, number in counted.items() if number or chain in policies
    )
    columns = ("family", "table", "chain", "policy", "rules")
    return Table("chains", "Firewall chains", columns, rows, rules.remarks, frozenset({"rules"}))


def _of_host(table: Table) -> Table:
    """The rows of the host's own namespace, without what the kernel gives to each link by itself."""
    if not table.grouped:
        return table
    own = tuple(tuple(_without_link_local(cell) for cell in row[1:]) for row in table.rows if row[0] == "host")
    rows = tuple(row for row in own if not str(row[0]).startswith(_LINK_LOCAL))
    return replace(table, title=f"{table.title} of the host", columns=table.columns[1:], rows=rows, grouped=0)


def _with_wires(table: Table) -> Table:
    """What a link hangs on and where its other end is, in one column: there is little room in an overview."""
    if table.name != "links":
        return table
    ends = [table.columns.index(name) for name in ("peer", "master")]
    rows = tuple((*row, tuple(str(row[at]) for at in ends if row[at])) for row in table.rows)
    return replace(table, columns=(*table.columns, "wired_to"), rows=rows)


def _without_link_local(cell: Cell) -> Cell:
    return tuple(each for each in cell if not each.startswith(_LINK_LOCAL)) if isinstance(cell, tuple) else cell


def _only(table: Table, kept: Sequence[str]) -> Table:
    places = [table.columns.index(name) for name in kept]
    return replace(table, columns=tuple(kept), rows=tuple(tuple(row[at] for at in places) for row in table.rows))


def lines_of(table: Table, look: Look) -> Iterator[str]:
    """The table under its title. A column in which nothing stands is left out."""
    yield look.paint("strong", f"{table.title} ({len(table.rows)}):")
    first = table.grouped
    used = [n for n in range(first, len(table.columns)) if any(row[n] not in ("", ()) for row in table.rows)]
    head = [Column(table.columns[n].upper().replace("_", " "), table.columns[n] in table.numeric) for n in used]
    rows = [[[look.text(item) for item in _items(row[n])] for n in used] for row in table.rows]
    grid = Grid(head, rows, look.columns)
    for line in grid.headings if table.rows else ():
        yield look.paint("frame", line)
    group: Sequence[Cell] = ()
    for number, row in enumerate(table.rows):
        if row[:first] != group:
            group = row[:first]
            title = look.text(f"[{' '.join(map(_words, group))}]")
            yield from (look.paint("strong", line) for line in fold(title, look.columns))
        yield from grid.row(number)
    for remark in table.remarks:
        yield from fold(look.text(f"({remark})"), look.columns)


def _items(cell: Cell) -> tuple[str, ...]:
    """A cell as text: `?` is what the bundle does not tell."""
    if cell is None:
        return ("?",)
    return cell if isinstance(cell, tuple) else (str(cell),)


def _words(cell: Cell) -> str:
    return ", ".join(_items(cell))


# --- for programs -----------------------------------------------------------------------------------------------------


def _json_table(table: Table) -> Json:
    rows: list[Json] = [
        {name: list(cell) if isinstance(cell, tuple) else cell for name, cell in zip(table.columns, row, strict=True)}
        for row in table.rows
    ]
    return {"remarks": list(table.remarks), "rows": rows}


def _markdown(table: Table) -> Iterator[str]:
    yield f"### {table.title} ({len(table.rows)})"
    yield ""
    yield f"| {' | '.join(name.replace('_', ' ') for name in table.columns)} |"
    yield "|" + "|".join("---:" if name in table.numeric else "---" for name in table.columns) + "|"
    for row in table.rows:
        yield f"| {' | '.join(markdown_cell(_words(cell)) for cell in row)} |"
    for remark in table.remarks:
        yield ""
        yield markdown_cell(remark)
