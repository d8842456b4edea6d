"""What a drop means: the kernel's reason and the place that freed the packet, looked up in the tables of this package.

`drop_reasons.csv` has each reason of the kernel (include/net/dropreason-core.h; `later` is whether a packet may have
waited before, in a queue or in a socket, and `long` where the kernel itself kept it, until a timer or a neighbour),
`drop_places.csv` functions that say more than the reason that they give, or
that say it where there is none (before Linux 5.17 there are no reasons).
`perf trace` prints the numbers of the reasons instead of their names. They shift from release to release, and even
within a stable series. What the traced kernel itself lists (events/skb/kfree_skb/format, which the collector takes) is
right; where a bundle has no such list, `drop_numbers.csv` knows some kernels: their lists were read in the headers of
Debian's kernels 6.1 and 6.12 and in that file of a running 6.18. The number of any other kernel stays a number, as do
those that a kernel does not list: reasons of its subsystems (mac80211, openvswitch) begin at 65536.

Of what that file tells besides, `protocol` and `location` are columns of a trace; `rx_sk` (Linux 6.11) is an address of
a socket that no other event prints: it stays in the text of the event.
"""

import csv
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from netdiag.journeys.observed.facts import DropClass, Reason

_SYMBOL = re.compile(r"[A-Za-z_][\w.]*")
#: What compilers append to the name of a function: `ip_rcv_core.isra.0`, `foo.constprop.0`.
_SUFFIX = re.compile(r"\.(?:isra|constprop|part|cold|llvm)\b.*")
_SERIES = re.compile(r"\d+\.\d+")
_RELEASE = re.compile(r"\d+\.\d+\.\d+")


def reason_of(printed: str, place: str, kernel: str, listed: Mapping[int, str] | None = None) -> Reason:
    """What `kfree_skb` tells by its reason as it is printed (a name, a number, or nothing) and its location.

    `kernel` is its release (`6.1.0-53-amd64`), `listed` are the names of the numbers if it tells them.
    """
    names = _names(printed, kernel, listed)
    name = names[0] if len(names) == 1 else ""
    symbol = function_of(place)
    if printed and not name:
        of = f"kernel {kernel}" if kernel else "an unknown kernel"
        may_be = f" ({' or '.join(names)})" if names else ""
        number = f"reason number {printed} of {of}{may_be}"
        row = _places().get((symbol, ""))
        if row:
            return Reason("", DropClass(row["class"]), benign=row["benign"] == "yes", text=f"{row['text']} ({number})")
        return Reason("", DropClass.OTHER, benign=False, text=number)
    row = _places().get((symbol, name)) or (_reasons().get(name) if name else None)
    if row:
        return Reason(name, DropClass(row["class"]), benign=row["benign"] == "yes", text=row["text"])
    if name:
        return Reason(name, DropClass.OTHER, benign=False, text=f"the kernel's reason is {name}")
    return Reason("", DropClass.OTHER, benign=False, text="the trace gives no reason")


def comes_at_once(printed: str, listed: Mapping[int, str] | None = None) -> bool:
    """Whether the kernel drops for this reason only in the very call that received or sent the packet.

    What waits in a queue or in a socket may also be dropped later, by another task. A number may be any reason, unless
    the kernel lists it.
    """
    return _later(printed, listed) == "no"


def comes_of_waiting(printed: str, place: str, listed: Mapping[int, str] | None = None) -> bool:
    """Whether the kernel drops so what it has kept itself, so that the packet is the one that came before, however long
    ago that was.
    """
    return _later(printed, listed) == "long" or function_of(place) in _KEEPERS


#: Functions that free what waited for the rest of its fragments, or for the address of its next hop.
_KEEPERS = frozenset(
    {
        *("ip_expire", "ip6frag_expire_frag_queue", "inet_frag_rbtree_purge", "inet_frag_destroy"),
        *("arp_error_report", "ndisc_error_report", "neigh_invalidate", "neigh_timer_handler", "neigh_release"),
    }
)


def _later(printed: str, listed: Mapping[int, str] | None) -> str:
    """What `drop_reasons.csv` says in this column of a reason as it is printed; nothing if its name is not known."""
    number = _number(printed)
    name = (listed or {}).get(number, "") if number is not None else printed
    return _reasons().get(name, {}).get("later", "")


def function_of(place: str) -> str:
    """The function of `nft_do_chain+0x3e8` or `br_dev_xmit.isra.0+0x5/0x20`; empty for an address."""
    found = _SYMBOL.match(place)
    return _SUFFIX.sub("", found[0]) if found else ""


def _names(printed: str, kernel: str, listed: Mapping[int, str] | None) -> tuple[str, ...]:
    """The names that a printed reason may stand for."""
    number = _number(printed)
    if number is None:
        return (printed,) if printed else ()
    if listed is not None:
        return (listed[number],) if listed.get(number) else ()
    series = _SERIES.match(kernel)
    if not series:
        return ()
    release = _RELEASE.match(kernel)
    columns = {each: names for each, names in _numbers().items() if _SERIES.match(each)[0] == series[0]}  # type: ignore[index]
    if release and release[0] in columns:
        columns = {release[0]: columns[release[0]]}
    return tuple(dict.fromkeys(names[number] for names in columns.values() if number in names))


def _number(printed: str) -> int | None:
    """The number that is printed. It has ten digits at most: of more no kernel has a name."""
    return int(printed[:11]) if printed.isdecimal() else None


def _rows(table: str) -> list[dict[str, str]]:
    text = files("netdiag.journeys.observed").joinpath(table).read_text(encoding="utf-8")
    return [*csv.DictReader(text.splitlines())]


@cache
def _reasons() -> Mapping[str, dict[str, str]]:
    return {row["reason"]: row for row in _rows("drop_reasons.csv")}


@cache
def _places() -> Mapping[tuple[str, str], dict[str, str]]:
    return {(row["place"], row["reason"]): row for row in _rows("drop_places.csv")}


@cache
def _numbers() -> Mapping[str, Mapping[int, str]]:
    """By release the names of the numbers."""
    rows = _rows("drop_numbers.csv")
    releases = [name for name in rows[0] if name != "reason"]
    return {each: {int(row[each]): row["reason"] for row in rows if row[each]} for each in releases}
