"""Tables of traces say what the records say."""

import pytest

from netdiag import formats, traces
from netdiag.spans import Source
from netdiag.traces import NOT_TOLD, Phase, read_table, table_of

PERF_TRACE = """\
     0.000 ping/14357 net:net_dev_queue(skbaddr: 0xffff8881723e0900, len: 98, name: "trx0")
     0.090 ping/14357 net:net_dev_xmit(skbaddr: 0xffff8881723e0900, len: 98, rc: 1, name: "trx0")
LOST 3 events!
     0.207 ping/21366 skb:kfree_skb(skbaddr=0xffff888176c15f00 rx_sk=(nil) protocol=2048 location=ping_rcv+0xab reason: NO_SOCKET)
"""  # noqa: E501


def test_fields_of_a_packet_have_columns_of_their_own() -> None:
    table = table_of(formats.get("perf_trace").read(Source("trace/perf_trace.txt", PERF_TRACE)))
    events = table.events()
    shown = ["line", "time", "pid", "name", "device", "skb", "length", "rc", "reason", "protocol", "rest"]
    assert events[shown].values.tolist() == [
        [1, 0, 14357, "net_dev_queue", "trx0", 0xFFFF8881723E0900, 98, 0, "", NOT_TOLD, ""],
        [2, 90_000, 14357, "net_dev_xmit", "trx0", 0xFFFF8881723E0900, 98, 1, "", NOT_TOLD, ""],
        [4, 207_000, 21366, "kfree_skb", "", 0xFFFF888176C15F00, NOT_TOLD, 0, "NO_SOCKET", 2048, "rx_sk=(nil)"],
    ]
    assert events.location.tolist() == ["", "", "ping_rcv+0xab"]
    assert table.losses.frame()[["line", "count"]].values.tolist() == [[3, 3]]


def test_a_short_text_is_read_into_records(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source("trace/perf_trace.txt", PERF_TRACE, format="perf_trace")
    monkeypatch.setattr(traces, "SHORT", len(PERF_TRACE))
    assert read_table(source).ways == {"records": 4}
    monkeypatch.setattr(traces, "SHORT", len(PERF_TRACE) - 1)
    assert sum(read_table(source).ways.values()) == 4
    assert "records" not in read_table(source).ways


def test_calls_keep_their_nesting_and_losses_stand_between_them() -> None:
    text = """\
     ssh-30928 [000] 3110612.717865: funcgraph_entry:                   |  dev_queue_xmit() {
     ssh-30928 [000] 3110612.717866: funcgraph_entry:        0.100 us   |    dst_release();
CPU:0 [173 EVENTS DROPPED]
     ssh-30928 [000] 3110612.717883: funcgraph_exit:       + 15.500 us  |  }
"""
    table = table_of(formats.get("trace_cmd_report").read(Source("trace/trace_cmd.txt", text)))
    calls = table.calls()
    assert calls[["line", "phase", "depth", "function", "duration", "lost"]].values.tolist() == [
        [1, Phase.ENTRY, 0, "dev_queue_xmit", NOT_TOLD, NOT_TOLD],
        [2, Phase.LEAF, 1, "dst_release", 100, NOT_TOLD],
        [3, Phase.LOST, NOT_TOLD, "", NOT_TOLD, 173],
        [4, Phase.EXIT, 0, "", 15_500, NOT_TOLD],
    ]


def test_equal_stacks_are_kept_once() -> None:
    text = """\
wget 30657 [000] 3110333.025779: net:net_dev_xmit: dev=eth0 skbaddr=0xffff98a2c1d63100 len=73 rc=0
        ffffffff81 dev_hard_start_xmit+0x1 ([kernel.kallsyms])
            7f0000 [unknown] (/lib/libc.so.6)

wget 30657 [000] 3110333.025780: net:net_dev_xmit: dev=eth0 skbaddr=0xffff98a2c1d63100 len=73 rc=0
        ffffffff81 dev_hard_start_xmit+0x1 ([kernel.kallsyms])
            7f0000 [unknown] (/lib/libc.so.6)
"""
    table = table_of(formats.get("perf_script").read(Source("trace/perf_script.txt", text)))
    assert table.events()["stack"].tolist() == [0, 0]
    assert [*table.stacks.names] == ["dev_hard_start_xmit", "[unknown]"]
    assert [*table.stacks.modules] == ["[kernel.kallsyms]", "/lib/libc.so.6"]
    assert table.stacks.offsets.tolist() == [0, 2]
    assert table.stacks.frames.tolist() == [0, 1]
