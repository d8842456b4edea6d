"""A trace is read by patterns derived from its grammar; lark, reading the grammar itself, agrees on each line."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netdiag.formats._derive import ItemReader, LineReader, Row, item_reader, line_reader

SAMPLES = Path(__file__).resolve().parents[2] / "samples" / "formats"
GRAMMARS = ("perf_script", "perf_trace", "trace_cmd_report", "tracefs_trace")
ODD_PARTS = [
    " ",
    "  ",
    "-",
    ":",
    "/",
    "[",
    "]",
    "(",
    ")",
    "|",
    "+ ",
    "}",
    "{",
    "0",
    "x",
    "=",
    ", ",
    "us",
    "<-",
    "=>",
    ": ",
    "12",
]
PARTS_OF_LINES = [*ODD_PARTS, "ping-12 [000] 1.000001: ", "net:a", "f();", "0) ", "CPU:"]


def same(reader: LineReader, line: str) -> None:
    """The pattern may leave a line to lark, but must not say another thing than it."""
    quick = reader.row_by_pattern(line)
    if quick is not None:
        assert quick == reader.row_by_grammar(line), line


def mutations(line: str, chance: random.Random, count: int) -> list[str]:
    changed = []
    for _ in range(count):
        at, end = sorted((chance.randint(0, len(line)), chance.randint(0, len(line))))
        part = chance.choice(ODD_PARTS)
        changed.append(
            chance.choice(
                [
                    line[:at] + part + line[at:],
                    line[:at] + line[min(end, at + 3) :],
                    line[:at] + line[at:end] * 2 + line[end:],
                    line[:at],
                    line[at:],
                ]
            )
        )
    return changed


TRACES = [path for grammar in GRAMMARS for path in sorted((SAMPLES / grammar).glob("*.txt"))]


def lines_of(trace: Path) -> list[str]:
    return [
        line for line in dict.fromkeys(trace.read_text(encoding="utf-8", errors="replace").split("\n")) if line.strip()
    ]


@pytest.mark.parametrize("trace", TRACES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_pattern_takes_every_line_of_a_sample_and_reads_it_as_lark_does(trace: Path) -> None:
    reader = line_reader(trace.parent.name)
    lines = lines_of(trace)
    assert [line for line in lines if reader.row_by_pattern(line) is None] == []
    for line in lines:
        same(reader, line)


@pytest.mark.parametrize("trace", TRACES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_changed_line_is_read_alike(trace: Path) -> None:
    reader = line_reader(trace.parent.name)
    chance = random.Random(trace.name)
    lines = lines_of(trace)
    for line in chance.sample(lines, min(40, len(lines))):
        for changed in mutations(line, chance, 12):
            same(reader, changed)


@pytest.mark.parametrize("grammar", GRAMMARS)
def test_any_text_is_read_alike(grammar: str) -> None:
    reader = line_reader(grammar)

    @settings(max_examples=300, deadline=None, database=None, derandomize=True)
    @given(st.lists(st.sampled_from(PARTS_OF_LINES), max_size=12))
    def reads(parts: list[str]) -> None:
        same(reader, "".join(parts))

    reads()


FIELDS = [
    "dev=docker0 skbaddr=0xffff88003b248900 len=98",
    "prev_comm=tmux: server prev_pid=14997 prev_state=D ==> next_comm=Web Content next_pid=18",
    "skbaddr=0xff rx_sk=(nil) protocol=2048 location=nft_do_chain+0x3e8 reason: NETFILTER_DROP",
    "vec=3 [action=NET_RX]",
    "comm= pid=",
    'skbaddr: 0xffff8881723e0900, len: 98, name: "tr, x: 0"',
    "fd: 3<socket:[4821358]>, addr: { .family: INET, port: 53 }, flags: A|B",
]


@pytest.mark.parametrize("grammar", ["trace_fields", "trace_arguments"])
def test_fields_are_read_alike(grammar: str) -> None:
    reader = item_reader(grammar)
    chance = random.Random(grammar)
    for text in FIELDS:
        for changed in [text, *mutations(text, chance, 300)]:
            same_items(reader, changed)


def same_items(reader: ItemReader, text: str) -> None:
    quick = reader.rows_by_pattern(text)
    if quick is not None:
        assert quick == reader.rows_by_grammar(text), text


def test_a_row_names_its_rule_and_the_texts_of_its_terminals() -> None:
    line = "  ping-7 [001] 1.000002: funcgraph_exit:       + 14.572 us  |    }"
    expected = Row(
        "call",
        {
            "TASK": "ping",
            "PID": "7",
            "CPU": "[001]",
            "TIME": "1.000002",
            "GRAPH": "funcgraph_exit",
            "MARK": "+",
            "DURATION": "14.572",
            "INDENT": "|    ",
            "CLOSE": "}",
        },
    )
    assert line_reader("trace_cmd_report").row_by_pattern(line) == expected
    assert line_reader("trace_cmd_report").row_by_grammar(line) == expected
