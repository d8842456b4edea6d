"""Call stacks as folded lines: `ping;entry_SYSCALL_64_after_hwframe;...;__dev_queue_xmit 12`.

That is what flame graph tools read. The names are those that inferno and FlameGraph's stackcollapse-perf.pl give by
default: a task's blanks become underscores, a function without a name is called by its module, arguments are left out.
"""

from collections import Counter
from collections.abc import Mapping
from functools import cached_property

import numpy as np
import pandas as pd

from netdiag.traces.table import NOT_TOLD, UNKNOWN, Stacks, TraceTable


def folded(table: TraceTable, event: str = "") -> Mapping[str, int]:
    """How much was sampled at each stack: by task and functions, outermost first. Only events of one name if given.

    A sample of a counter counts as much as its period (ns of a clock, cycles), any other event counts one. Events
    without a stack are left out.
    """
    samples: Counter[tuple[str, int]] = Counter()
    width = len(table.stacks) + 1
    for batch in table.event_batches():
        wanted = batch["stack"] != NOT_TOLD
        batch = batch[wanted & (batch["name"] == event) if event else wanted]  # noqa: PLW2901
        tasks = batch["task"].cat
        period = batch["period"].to_numpy()
        keys = tasks.codes.to_numpy().astype(np.int64) * width + (batch["stack"].to_numpy() + 1)
        index, unique = pd.factorize(keys)
        weights = np.zeros(len(unique), np.int64)
        np.add.at(weights, index, np.where(period == NOT_TOLD, 1, period))
        names = tasks.categories.tolist()
        for key, weight in zip(unique.tolist(), weights.tolist(), strict=True):
            samples[names[key // width], key % width - 1] += weight
    lines: Counter[str] = Counter()
    shown = {task: task.replace(" ", "_") for task, _ in samples}
    plain, java = _Folder(table.stacks, java=False), _Folder(table.stacks, java=True)
    for (task, number), count in samples.items():
        functions = (java if task == "java" else plain).functions(number)
        lines[f"{shown[task]};{functions}" if functions else shown[task]] += count
    return lines


class _Folder:
    """The functions of each stack as one text, made once."""

    def __init__(self, stacks: Stacks, *, java: bool) -> None:
        self._stacks = stacks
        self._java = java
        self._texts: dict[int, str] = {}

    @cached_property
    def _labels(self) -> list[str]:
        named = zip(self._stacks.names, self._stacks.modules, strict=True)
        return [_label(name, module, java=self._java) for name, module in named]

    @cached_property
    def _bounds(self) -> list[int]:
        bounds: list[int] = self._stacks.offsets.tolist()
        return bounds

    @cached_property
    def _frames(self) -> list[int]:
        frames: list[int] = self._stacks.frames.tolist()
        return frames

    def functions(self, stack: int) -> str:
        if stack not in self._texts:
            start, end = self._bounds[stack : stack + 2]
            self._texts[stack] = ";".join(filter(None, map(self._labels.__getitem__, self._frames[start:end][::-1])))
        return self._texts[stack]


def _label(name: str, module: str, *, java: bool) -> str:
    """The functions of a frame, outermost first; empty for what is no function."""
    if name.startswith("("):
        return ""
    if name == UNKNOWN and module:
        name = f"[{module.rpartition('/')[2]}]"
    functions = [_tidy(function, java=java) for function in name.split("->")]
    return ";".join([functions[0], *(f"{inlined}_[i]" for inlined in functions[1:])])


_OPENING, _CLOSING = "<{[", ">}]"


def _tidy(function: str, *, java: bool) -> str:
    """Without its arguments, which begin at the first round bracket outside of others; the receiver of a method of Go
    and an anonymous namespace of C++ are none.
    """
    function = function.replace(";", ":")
    if "(" in function:
        function = function[: _length_without_arguments(function)]
    if java and function.startswith("L") and "/" in function:
        function = function[1:]
    return function


def _length_without_arguments(function: str) -> int:
    depth = 0
    for place, character in enumerate(function):
        if character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth -= 1
        elif character == "(" and depth == 0:
            go = function[place - 1 : place] == "."
            if not go and not function.startswith("(anonymous namespace)", place):
                return place
    return len(function)
