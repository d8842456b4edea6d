import pytest

from netdiag import formats
from netdiag.formats import Document, Unread
from netdiag.formats.records import Qdisc
from netdiag.spans import Source


def read(text: str) -> Document:
    return formats.get("tc_qdisc").read(Source("tc_qdisc.txt", text))


def only_qdisc(text: str) -> Qdisc:
    document = read(text)
    assert document.unread == ()
    (qdisc,) = document.records
    assert isinstance(qdisc, Qdisc)
    return qdisc


def test_a_discipline_has_what_it_sent_dropped_and_holds() -> None:
    qdisc = only_qdisc(
        "qdisc fq_codel 20: dev veth1 parent 1:10 limit 10240p flows 1024 \n"
        " Sent 2524738 bytes 29824 pkt (dropped 3, overlimits 4 requeues 5) \n"
        " backlog 12Kb 9p requeues 5\n"
        "  maxpacket 68130 drop_overlimit 0\n"
        "  new_flows_len 0 old_flows_len 2\n"
    )
    assert (qdisc.kind, qdisc.handle, qdisc.device, qdisc.parent) == ("fq_codel", "20:", "veth1", "1:10")
    assert qdisc.options == "limit 10240p flows 1024"
    assert (qdisc.sent_bytes, qdisc.sent_packets) == (2524738, 29824)
    assert (qdisc.dropped, qdisc.overlimits, qdisc.requeues) == (3, 4, 5)
    assert (qdisc.backlog_bytes, qdisc.backlog_packets) == (12288, 9)
    names = ("maxpacket", "drop_overlimit", "new_flows_len", "old_flows_len")
    assert qdisc.details == dict(zip(names, ("68130", "0", "0", "2"), strict=True))


@pytest.mark.parametrize(
    ("line", "device", "parent", "options"),
    [
        ("qdisc noqueue 0: dev lo root refcnt 2 ", "lo", "root", "refcnt 2"),
        ("qdisc mq 0: dev eth0 root", "eth0", "root", ""),
        ("qdisc pfifo_fast 0: dev eth0 parent :1 bands 3", "eth0", ":1", "bands 3"),
        ("qdisc noqueue 0: root refcnt 2", None, "root", "refcnt 2"),
        ("qdisc mq 0: offloaded dev eth0 root ", "eth0", "root", ""),
        ("qdisc ingress ffff: dev br0 parent ffff:fff1 ---------------- ", "br0", "ffff:fff1", "----------------"),
    ],
)
def test_without_statistics_they_are_not_told(line: str, device: str | None, parent: str, options: str) -> None:
    qdisc = only_qdisc(line)
    assert (qdisc.device, qdisc.parent, qdisc.options) == (device, parent, options)
    assert (qdisc.sent_bytes, qdisc.dropped, qdisc.backlog_packets) == (None, None, None)


@pytest.mark.parametrize(("size", "number"), [("0b", 0), ("98b", 98), ("12Kb", 12288), ("1.5Mb", 1572864)])
def test_units_of_a_backlog_are_of_1024(size: str, number: int) -> None:
    assert (
        only_qdisc(f"qdisc netem 1: dev x root\n rate 0bit 0pps backlog {size} 1p requeues 0").backlog_bytes == number
    )


def test_statistics_that_are_no_numbers_are_kept_as_words() -> None:
    qdisc = only_qdisc(
        "qdisc fq 8002: dev eth1 root\n  flows 3 (inactive 1 throttled 0)\n  gc 0 highprio 2\n  unthrottle\n"
    )
    assert qdisc.details == {
        "flows": "3",
        "more": "(inactive 1 throttled 0) unthrottle",
        "gc": "0",
        "highprio": "2",
    }


def test_statistics_without_a_discipline_are_told() -> None:
    assert read(" backlog 0b 0p requeues 0").unread == (Unread(1, "no qdisc above it"),)
