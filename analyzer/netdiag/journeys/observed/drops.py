"""What a drop means: the kernel's reason and the place that freed the packet, looked up in the tables of this package.

`drop_reasons.csv` has each reason of the kernel (include/net/dropreason-core.h; `later` is whether a packet may have
waited before, in a queue or in a socket, and `long` where the kernel itself kept it, until a timer or a neighbour),
`drop_places.csv` functions that say more than the reason that they give, or
that say it where there is none (before Linux 5.17 there are no reasons).
`drop_numbers.csv` has the numbers of the reasons, which `perf trace` prints instead of their names. They shift from
release to release, and even within a stable series: the lists were read in the headers of Debian's kernels 6.1 and 6.12
and in the events/skb/kfree_skb/format of a running 6.18. The number of any other kernel stays a number.
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


def reason_of(printed: str, place: str, kernel: str) -> Reason:
    """What `kfree_skb` tells by its reason as it is printed (a name, a number, or nothing) and its location.

    `kernel` is its release (`6.1.0-53-amd64`).
    """
    names = _names(printed, kernel)
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


def comes_at_once(printed: str) -> bool:
    """Whether the kernel drops for this reason only in the very call that received or sent the packet.

    What waits in a queue or in a socket may also be dropped later, by another task. A number may be any reason.
    """
    return _reasons().get(printed, {}).get("later") == "no"


def comes_of_waiting(printed: str, place: str) -> bool:
    """Whether the kernel drops so what it has kept itself, so that the packet is the one that came before, however long
    ago that was.
    """
    return _reasons().get(printed, {}).get("later") == "long" or function_of(place) in _KEEPERS


#: Functions that free what waited for the rest of its fragments, or for the address of its next hop.
_KEEPERS = frozenset(
    {
        *("ip_expire", "ip6frag_expire_frag_queue", "inet_frag_rbtree_purge", "inet_frag_destroy"),
        *("arp_error_report", "ndisc_error_report", "neigh_invalidate", "neigh_timer_handler", "neigh_release"),
    }
)


def function_of(place: str) -> str:
    """The function of `nft_do_chain+0x3e8` or `br_dev_xmit.isra.0+0x5/0x20`; empty for an address."""
    found = _SYMBOL.match(place)
    return _SUFFIX.sub("", found[0]) if found else ""


def _names(printed: str, kernel: str) -> tuple[str, ...]:
    """The names that a printed reason may stand for."""
    if not printed or not printed.isdecimal():
        return (printed,) if printed else ()
    number = int(printed)
    series = _SERIES.match(kernel)
    if not series:
        return ()
    release = _RELEASE.match(kernel)
    columns = {each: names for each, names in _numbers().items() if _SERIES.match(each)[0] == series[0]}  # type: ignore[index]
    if release and release[0] in columns:
        columns = {release[0]: columns[release[0]]}
    return tuple(dict.fromkeys(names[number] for names in columns.values() if number in names))


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
