"""Writes trace.dat files of version 6 from rows, for `trace-cmd report` to read: trace-cmd.dat.v6(5).

The formats of the events are the kernel's own (/sys/kernel/tracing/events). Times are nanoseconds; a CPU's rows must be
in the order of their times. `lost` says how many events went missing before a row; it begins a new page, as there.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_PAGE = 4096
_PAGE_HEAD = 16
_MISSED_EVENTS = 1 << 31
_MISSED_STORED = 1 << 30
_TIME_EXTEND = 30
_LONGEST_DELTA = 1 << 27

_COMMON = """\
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:unsigned char common_preempt_count;	offset:3;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

"""

_ENTRY_FORMAT = f"""\
name: funcgraph_entry
ID: 11
format:
{_COMMON}\
	field:unsigned long func;	offset:8;	size:8;	signed:0;
	field:int depth;	offset:16;	size:4;	signed:1;

print fmt: "--> %ps (%d)", (void *)REC->func, REC->depth
"""

_EXIT_FORMAT = f"""\
name: funcgraph_exit
ID: 10
format:
{_COMMON}\
	field:unsigned long func;	offset:8;	size:8;	signed:0;
	field:int depth;	offset:16;	size:4;	signed:1;
	field:unsigned int overrun;	offset:20;	size:4;	signed:0;
	field:unsigned long long calltime;	offset:24;	size:8;	signed:0;
	field:unsigned long long rettime;	offset:32;	size:8;	signed:0;

print fmt: "<-- %ps (%d) (start: %llx  end: %llx) over: %d", (void *)REC->func, REC->depth, REC->calltime, REC->rettime, REC->depth
"""  # noqa: E501 (the kernel's own line)

_XMIT_FORMAT = f"""\
name: net_dev_xmit
ID: 2305
format:
{_COMMON}\
	field:void * skbaddr;	offset:8;	size:8;	signed:0;
	field:unsigned int len;	offset:16;	size:4;	signed:0;
	field:int rc;	offset:20;	size:4;	signed:1;
	field:__data_loc char[] name;	offset:24;	size:4;	signed:0;

print fmt: "dev=%s skbaddr=%p len=%u rc=%d", __get_str(name), REC->skbaddr, REC->len, REC->rc
"""

_HEADER_PAGE = """\
	field: u64 timestamp;	offset:0;	size:8;	signed:0;
	field: local_t commit;	offset:8;	size:8;	signed:1;
	field: int overwrite;	offset:8;	size:1;	signed:1;
	field: char data;	offset:16;	size:4080;	signed:0;
"""

_HEADER_EVENT = """\
# compressed entry header
	type_len    :    5 bits
	time_delta  :   27 bits
	array       :   32 bits

	padding     : type == 29
	time_extend : type == 30
	time_stamp : type == 31
	data max type_len  == 28
"""


@dataclass(frozen=True)
class Entry:
    """A function is entered."""

    time: int
    pid: int
    function: str
    depth: int
    lost: int = 0


@dataclass(frozen=True)
class Exit:
    """A function that was entered `duration` nanoseconds before is left."""

    time: int
    pid: int
    function: str
    depth: int
    duration: int
    lost: int = 0


@dataclass(frozen=True)
class Xmit:
    """The event net_dev_xmit."""

    time: int
    pid: int
    device: str
    skbaddr: int
    length: int
    rc: int
    lost: int = 0


Row = Entry | Exit | Xmit


def trace_dat(cpus: Sequence[Sequence[Row]], tasks: dict[int, str]) -> bytes:
    """The file of these rows, a sequence for each CPU; `tasks` names the process ids."""
    rows = [row for cpu in cpus for row in cpu]
    functions = sorted({row.function for row in rows if not isinstance(row, Xmit)})
    addresses = {name: 0xFFFFFFFF81000000 + 0x100 * number for number, name in enumerate(functions)}
    head = b"".join(
        [
            b"\x17\x08\x44tracing6\0",
            struct.pack("<BBI", 0, 8, _PAGE),
            b"header_page\0" + _sized(_HEADER_PAGE, "<Q"),
            b"header_event\0" + _sized(_HEADER_EVENT, "<Q"),
            struct.pack("<I", 2) + _sized(_EXIT_FORMAT, "<Q") + _sized(_ENTRY_FORMAT, "<Q"),
            struct.pack("<I", 1) + b"net\0" + struct.pack("<I", 1) + _sized(_XMIT_FORMAT, "<Q"),
            _sized("".join(f"{address:x} T {name}\n" for name, address in addresses.items()), "<I"),
            _sized("", "<I"),
            _sized("".join(f"{pid} {name}\n" for pid, name in tasks.items()), "<Q"),
            struct.pack("<I", len(cpus)),
            b"options  \0" + struct.pack("<H", 0),
            b"flyrecord\0",
        ]
    )
    buffers = [b"".join(_pages(cpu, addresses)) for cpu in cpus]
    offset = first = _aligned(len(head) + 16 * len(cpus))
    table = b""
    for buffer in buffers:
        table += struct.pack("<QQ", offset, len(buffer))
        offset += len(buffer)
    return (head + table).ljust(first, b"\0") + b"".join(buffers)


def _sized(text: str, size: str) -> bytes:
    return struct.pack(size, len(text)) + text.encode()


def _aligned(size: int) -> int:
    return -(-size // _PAGE) * _PAGE


def _pages(rows: Iterable[Row], addresses: dict[str, int]) -> Iterable[bytes]:
    """Ring buffer pages: a time stamp, the number of bytes used, and events with the time since the one before."""
    data, start, last, lost = b"", 0, 0, 0
    for row in rows:
        event = _event(row, addresses)
        if data and (row.lost or len(data) + len(event) + 8 > _PAGE - _PAGE_HEAD - 8):
            yield _page(data, start, lost)
            data = b""
        if not data:
            start = last = row.time
            lost = row.lost
        data += _delta(row.time - last, len(event)) + event
        last = row.time
    if data:
        yield _page(data, start, lost)


def _page(data: bytes, start: int, lost: int) -> bytes:
    commit = len(data) | (_MISSED_EVENTS | _MISSED_STORED if lost else 0)
    stored = struct.pack("<Q", lost) if lost else b""
    return (struct.pack("<QQ", start, commit) + data + stored).ljust(_PAGE, b"\0")


def _delta(nanoseconds: int, size: int) -> bytes:
    extend = b""
    if nanoseconds >= _LONGEST_DELTA:
        extend = struct.pack("<II", (nanoseconds % _LONGEST_DELTA) << 5 | _TIME_EXTEND, nanoseconds // _LONGEST_DELTA)
        nanoseconds = 0
    return extend + struct.pack("<I", nanoseconds << 5 | size // 4)


def _event(row: Row, addresses: dict[str, int]) -> bytes:
    match row:
        case Entry():
            body = struct.pack("<HBBiQi", 11, 0, 0, row.pid, addresses[row.function], row.depth)
        case Exit():
            called = row.time - row.duration
            place = addresses[row.function]
            body = struct.pack("<HBBiQiIQQ", 10, 0, 0, row.pid, place, row.depth, 0, called, row.time)
        case Xmit():
            name = row.device.encode() + b"\0"
            where = len(name) << 16 | 28
            numbers = (row.skbaddr, row.length, row.rc, where)
            body = struct.pack("<HBBiQIiI", 2305, 0, 0, row.pid, *numbers) + name
    return body.ljust(-(-len(body) // 4) * 4, b"\0")
