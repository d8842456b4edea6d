"""Whatever a trace is, the fast tables of it say what its records say, in every cell."""

import gc
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netdiag.spans import Source
from netdiag.traces import _blocks, _reader, _shapes, read_table

from .alike import FORMATS, TRACES, both, said, stored, text_of

ODD_PARTS = [
    *[" ", "  ", "-", ":", ": ", "/", "[", "]", "(", ")", "|", "+ ", "}", "0", "12", ".", "x", "=", ", ", " us", "é"],
    *["\r", "\n", "\n\n", "\t", "0x", "len=", " len: 7", "skbaddr=0x", "0123456789abcdef", "=> "],
]


@pytest.mark.parametrize("trace", TRACES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_sample_is_read_alike(trace: Path) -> None:
    fast, slow = both(trace.parent.name, text_of(trace))
    assert fast == slow


@pytest.mark.parametrize("trace", TRACES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_sample_is_read_alike_in_any_pieces(trace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_blocks, "BLOCK", random.Random(trace.name).randrange(1, 600))
    fast, slow = both(trace.parent.name, text_of(trace))
    assert fast == slow


def mutated(text: str, chance: random.Random, count: int) -> str:
    """The text with some changes, each in some line."""
    lines = text.split("\n")
    for _ in range(count):
        number = chance.randrange(len(lines))
        line = lines[number]
        at, end = sorted((chance.randint(0, len(line)), chance.randint(0, len(line))))
        part = chance.choice(ODD_PARTS)
        lines[number] = chance.choice(
            [
                line[:at] + part + line[at:],
                line[:at] + line[min(end, at + 3) :],
                line[:at] + line[at:end] * 2 + line[end:],
                line[:at],
                line[at:],
                line + "\n" + chance.choice(lines),
            ]
        )
    return "\n".join(lines)


@pytest.mark.parametrize("trace", TRACES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_changed_sample_is_read_alike(trace: Path) -> None:
    chance = random.Random(trace.name)
    text = text_of(trace)
    repeated = "\n".join(text for _ in range(3))
    fast, slow = both(trace.parent.name, mutated(repeated, chance, 60))
    assert fast == slow


@pytest.mark.parametrize("name", FORMATS)
def test_any_text_is_read_alike(name: str) -> None:
    lines = [line for trace in TRACES if trace.parent.name == name for line in text_of(trace).split("\n")]
    parts = [*ODD_PARTS, *random.Random(name).sample(lines, 20)]

    @settings(max_examples=150, deadline=None, database=None, derandomize=True)
    @given(st.lists(st.sampled_from(parts), max_size=12))
    def reads(chosen: list[str]) -> None:
        fast, slow = both(name, "".join(chosen))
        assert fast == slow

    reads()


FRAMES = """\
\tffffffff81d6b8f5 dev_hard_start_xmit+0x1d5 ([kernel.kallsyms])
\t    7fb46db8041d std::function<void (int)>::call(int) const+0x3 (/opt/tool)
\t            7eef [unknown] (/memfd:sealed-91173221a7ea (deleted))
"""


def test_frames_and_the_lines_above_them_are_read_as_columns() -> None:
    tasks = ["tmux: server", "memfd:sealed-91", "runc:[2:INIT]", ":-1", *("b" * length for length in range(1, 16))]
    heads = [f"{task} {-1 if task == ':-1' else 7:5} [001] 51.123456:     500250 cpu-clock:pppH: \n" for task in tasks]
    text = "\n".join(head + FRAMES for head in heads) + "\nb"
    fast, slow = both("perf_script", text)
    assert fast == slow
    ways = read_table(Source("trace.txt", text, format="perf_script")).ways
    assert ways["columns"] == 4 * len(tasks)


def test_garbage_is_collected_as_before_once_a_trace_is_read() -> None:
    seen: list[tuple[int, int, int]] = []

    def told(*_: int) -> None:
        seen.append(gc.get_threshold())
        raise KeyboardInterrupt

    usual = gc.get_threshold()
    with pytest.raises(KeyboardInterrupt):
        read_table(Source("trace.txt", FRAMES, format="perf_script"), told)
    assert (seen[0][0], gc.get_threshold()) == (50_000, usual)


CALL = " ping-77    [000]   456.123456: funcgraph_entry:        1.131 us   |  dev_xmit();\n"


@pytest.mark.parametrize(
    "odd",
    [
        # what stands in the column of the times is none, and there is one elsewhere in the line
        "a 7 [1] 5.123456: net:x.abcdef: a=1\n",
        "a 7 [1] 5.123456: b:c: d=xyz.abcdef: a=1\n",
        "a 7 5.123456789: b:c: d=e5.123456: a=1\n",
        "a 5.123456: 777   456.123456: b:c: d=e\n",
        "kworker/u8:3-ev 123456 [001]   456.123456: a:b: c=1\n",
        "12345678901234567890.123456: a:b: c=1\n",
        ": \n",
    ],
)
def test_a_line_whose_time_has_another_column_is_read_alike(odd: str) -> None:
    usual = "a longer name 123456 [001]     456.123456: a:b: c=1\n"
    column = usual.index(":")
    for colon in [place for place in range(min(len(odd), column)) if odd[place] == ":"]:
        shifted = " " * (column - colon) + odd + "\tffffffff81 xmit+0x5 ([kernel.kallsyms])\n\n"
        fast, slow = both("perf_script", usual * 16 + shifted + usual * 16)
        assert fast == slow


@pytest.mark.parametrize(
    "odd",
    [
        " ping-77    [000]   456.123456: funcgraph_entry:      1.131 us   |  dev_xmit();\n",
        " ping-77    [000]   456.123456: funcgraph_entry:        1.131 us      dev|xmit();\n",
        " ping-77    [000]   456.123456: funcgraph_entry:      | 1.131 us   |  dev_xmit();\n",
        " ping-77    [000]   456.123456: funcgraph_entry:   \n",
        " ping-77    [000]   456.123456: funcgraph_exit:       + 42.935 us  |  } /* a | b */\n",
        " ping-77    [000]   456.123456: net_dev_xmit:         dev=eth0 | 5\n",
    ],
)
def test_a_line_whose_bar_has_another_column_is_read_alike(odd: str) -> None:
    for text in (CALL * 20 + odd + CALL, odd + CALL * 20):
        fast, slow = both("trace_cmd_report", text)
        assert fast == slow


@pytest.mark.parametrize("trace", TRACES[::6], ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_trace_in_a_file_is_read_alike_and_columns_may_lie_in_one(
    trace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_reader, "_BUDGET", 1_000)
    monkeypatch.setattr(_blocks, "BLOCK", 700)
    path = tmp_path / "trace.txt"
    path.write_bytes(trace.read_bytes().replace(b"\n", b"\r\n"))
    source = stored(path, trace.parent.name)
    seen: list[tuple[int, int]] = []
    table = read_table(source, lambda done, size: seen.append((done, size)))
    _, slow = both(trace.parent.name, text_of(trace))
    assert said(table) == slow
    assert seen[-1] == (path.stat().st_size, path.stat().st_size)
    assert list(source.lines[-3:]) == list(Source("", text_of(trace)).lines[-3:])


def packets(heads: list[str], devices: list[str]) -> str:
    return "".join(
        f"{head} 456.{number:06}: net:net_dev_queue: dev={devices[number % len(devices)]}"
        f" skbaddr=0xffff8881{number % 9}6c15f00 len={42 + number % 7}\n"
        for number, head in enumerate(heads)
    )


@pytest.mark.parametrize("columns", [1, 3, 12])
def test_lines_are_read_by_columns_in_how_many_columns_soever_they_have_their_numbers(columns: int) -> None:
    chance = random.Random(str(columns))
    heads = [f"{'a' * chance.randrange(1, columns + 1)}-7 [001]" for _ in range(400)]
    text = packets(heads, ["v" * length for length in range(1, columns + 1)])
    fast, slow = both("trace_cmd_report", text)
    assert fast == slow
    assert read_table(Source("", text, format="trace_cmd_report")).ways["columns"] == 400


def test_bars_may_have_many_columns() -> None:
    chance = random.Random("bars")
    calls = "".join(
        f"  a-7 [001] 456.{number:06}: funcgraph_exit: {' ' * chance.randrange(9)}"
        f"{chance.choice(['', '1.131 us ', '# 802015.181 us ', '! 1234567 us ', '+ 12.3 us   '])}|  "
        f"{'  ' * chance.randrange(30)}}}\n"
        for number in range(400)
    )
    fast, slow = both("trace_cmd_report", calls)
    assert fast == slow
    assert read_table(Source("", calls, format="trace_cmd_report")).ways["columns"] == 400


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("trace_cmd_report", "a-12 b-{} [001]"),
        ("trace_cmd_report", "<idle>-{}     0d..2."),
        ("perf_script", "runc:[2:INIT] {} [001]"),
        ("perf_script", "a 77/{} [001]"),
    ],
)
def test_heads_that_differ_in_the_number_of_their_task_are_read_once(
    name: str, head: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    read = _shapes.ProbeReader.read
    monkeypatch.setattr(_shapes.ProbeReader, "read", lambda self, texts: made.append(len(texts)) or read(self, texts))
    text = packets([head.format(1 + number * number) for number in range(400)], ["eth0"])
    table = read_table(Source("", text, format=name))
    assert sorted(table.events().pid) == [1 + number * number for number in range(400)]
    assert table.ways["columns"] == 400
    assert sum(made) < 30
    fast, slow = both(name, text)
    assert fast == slow


def test_more_lines_than_texts_are_kept_of_are_read_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_blocks, "BLOCK", 3_000)
    monkeypatch.setattr(_shapes, "MOST_PARTS", 60)
    text = packets([f"a{number}-7 [001]" for number in range(400)], ["eth0", "eth1"])
    fast, slow = both("trace_cmd_report", text)
    assert fast == slow
    monkeypatch.setattr(_reader, "MOST_LINES", 7)
    fast, slow = both("trace_cmd_report", text)
    assert fast == slow


def test_a_duration_that_goes_on_in_the_next_line_is_none() -> None:
    line = "     0.123 (\nabcdefgh): net:x(a: 1)\n     0.200 ping/8 net:y(a: 1)\n"
    for text in (line, line * 50):
        fast, slow = both("perf_trace", text)
        assert fast == slow
