"""Whether the fast tables of traces say what records say, in every cell, on many generated and changed lines.

    python benchmarks/trace_equality.py [LINES [SEED]]

Each layout of generate_traces.py gets so many lines: 250,000 by default, a million for the four. Half of the lines are
as generated; of the other half a tenth is changed: characters are put in, taken out, doubled, lines are cut off. The
tables of `read_table` must equal those that are made of records, whose readers are compared with lark line by line in
tests/formats/test_traces_both_ways.py. Prints the lines compared and how they were read; the first difference ends it
with exit code 1.
"""

import random
import sys
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from generate_traces import LAYOUTS, Chance

from netdiag import formats
from netdiag.spans import Source
from netdiag.traces import TraceTable, read_table, table_of

BATCH = 25_000
PARTS = [
    " ",
    "  ",
    "-",
    ":",
    ": ",
    "/",
    "[",
    "]",
    "(",
    ")",
    "|",
    "+ ",
    "}",
    "0",
    "12",
    ".",
    "x",
    "=",
    ", ",
    " us",
    "é",
    "\t",
]
PARTS += [
    "\t",
    "\r",
    "\n",
    "\n\n",
    "0x",
    "len=",
    " len: 7",
    "skbaddr=0x",
    "0123456789abcdef",
    "=> ",
    "+0x1",
    " [k]",
    "rc=1",
]


def cells(table: TraceTable) -> Iterator[tuple[str, list[Any]]]:
    known = table.stacks
    frames = [(known.names[number], known.modules[number]) for number in known.frames.tolist()]
    stacks = [tuple(frames[start:end]) for start, end in pairwise(known.offsets.tolist())]
    for name, rows in (("events", table.events()), ("calls", table.calls()), ("losses", table.losses.frame())):
        for column in rows:
            values = rows[column].tolist()
            yield f"{name}.{column}", [stacks[n] if n >= 0 else () for n in values] if column == "stack" else values
    yield "unread", sorted(table.unread)
    yield "lines", [table.lines, table.read]


def changed(line: str, chance: random.Random) -> str:
    at, end = sorted((chance.randint(0, len(line)), chance.randint(0, len(line))))
    part = chance.choice(PARTS)
    choice = chance.randrange(6)
    return (
        line[:at] + part + line[at:],
        line[:at] + line[min(end, at + 3) :],
        line[:at] + line[at:end] * 2 + line[end:],
        line[:at],
        line[at:],
        line[:at] + part + line[end:],
    )[choice]


def compare(layout: str, text: str) -> dict[str, int]:
    name = LAYOUTS[layout][0]
    source = Source(layout, text, format=name)
    fast = read_table(source)
    for (column, mine), (_, theirs) in zip(cells(fast), cells(table_of(formats.get(name).read(source))), strict=True):
        if mine != theirs:
            row = next((row for row, pair in enumerate(zip(mine, theirs, strict=False)) if pair[0] != pair[1]), -1)
            print(f"{layout}: {column} differs, row {row}: {mine[row : row + 1]} is not {theirs[row : row + 1]}")
            sys.exit(1)
    return dict(fast.ways)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 250_000
    seed = sys.argv[2] if len(sys.argv) > 2 else "equality"
    for layout, (_, lines_of) in LAYOUTS.items():
        chance = random.Random(seed + layout)
        ways: dict[str, int] = {}
        pieces = lines_of(Chance(seed))
        compared = 0
        for number in range(2 * -(-count // (2 * BATCH))):
            lines: list[str] = []
            while len(lines) < BATCH:
                lines += next(pieces).split("\n")[:-1]
            if number % 2:
                lines = [changed(line, chance) if chance.random() < 0.1 else line for line in lines]
            compared += len(lines)
            for way, read in compare(layout, "\n".join(lines)).items():
                ways[way] = ways.get(way, 0) + read
        print(f"{layout:16} {compared:9,} lines, equal in every cell; read by {ways}")


if __name__ == "__main__":
    main()
