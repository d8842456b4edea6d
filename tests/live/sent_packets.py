"""Packets that were really sent, and their way and fate as a file keeps them.

Each packet of a capture has a length of its own, or the few of one length take the same way, so that a trace that tells
nothing but device and length can be compared with what was sent. A way is the devices that the packet passes, in order,
each as ``namespace:device``; the namespace is ``host``, a container's name, or ``wan``, the outside world of the
laboratory, which no bundle tells of. It is empty where it can not be known, as that of a packet that only passes lo.

Nothing of netdiag is imported here: an emulated machine that takes captures would load it for minutes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sent:
    """One packet that somebody sent. `octets` is the length of the IP packet; `way` the devices it passes.

    `fate` is `delivered`, the reason of the kernel for dropping it, or `cut`. `part` says what it is a piece of, or of
    how many pieces it is: ``fragment 2/3``, ``perhaps fragment 2/3`` where only lengths tell it, ``segment 2/3 merged``
    where GRO made it a part of another, ``of 3 more``.
    """

    octets: int
    way: tuple[str, ...]
    fate: str = "delivered"
    part: str = ""


def write(sent: Iterable[Sent], path: Path) -> None:
    path.write_text(json.dumps([asdict(each) for each in sent], indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> list[Sent]:
    rows = json.loads(path.read_text(encoding="utf-8"))
    return [Sent(row["octets"], tuple(row["way"]), row["fate"], row.get("part", "")) for row in rows]
