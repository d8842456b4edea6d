"""Which part of a trace is wanted."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netdiag.traces import NOT_TOLD, Columns


@dataclass(frozen=True)
class Only:
    """Rows of these threads (or processes), tasks and devices, in this time: ns of the trace's clock, the end is out.

    What is empty or None asks for nothing. A row that does not tell what is asked for is not wanted.
    """

    pids: frozenset[int] = frozenset()
    tasks: frozenset[str] = frozenset()
    devices: frozenset[str] = frozenset()
    since: int | None = None
    until: int | None = None

    def of(self, batch: Columns) -> NDArray[np.bool_]:
        """Which rows of a batch of events or calls are wanted."""
        wanted = self.at(batch["time"])
        if self.pids:
            wanted &= batch.isin("pid", self.pids) | batch.isin("tgid", self.pids)
        if self.tasks:
            wanted &= batch.isin("task", self.tasks)
        if self.devices:
            wanted &= batch.isin("device", self.devices)
        return wanted

    def at(self, time: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these moments are in the time that is wanted."""
        wanted = np.ones(len(time), dtype=bool)
        if self.since is not None or self.until is not None:
            wanted &= time != NOT_TOLD
        if self.since is not None:
            wanted &= time >= self.since
        if self.until is not None:
            wanted &= time < self.until
        return wanted
