"""Call stacks as folded lines: `ping;entry_SYSCALL_64_after_hwframe;...;__dev_queue_xmit 12`.

That is what flame graph tools read. The names are those that inferno and FlameGraph's stackcollapse-perf.pl give by
default: a task's blanks become underscores, a function without a name is called by its module, arguments are left out.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from netdiag.traces._arrow import lists, of_numbers, of_texts
from netdiag.traces.table import NOT_TOLD, UNKNOWN, Columns, Stacks, TraceTable

Ints = npt.NDArray[np.int64]
Rows = Callable[[Columns], npt.NDArray[np.bool_]]

# so many texts are made at once
_TEXTS = 65_536


_SEMICOLON = of_texts([b";"])[0]


def folded(table: TraceTable, event: str = "") -> Mapping[str, int]:
    """How much was sampled at each stack: by task and functions, outermost first. Only events of one name if given.

    A sample of a counter counts as much as its period (ns of a clock, cycles), any other event counts one. Events
    without a stack are left out.
    """
    lines: Counter[str] = Counter()
    for name, stacks in folded_by_event(table).items():
        if event in ("", name.rpartition(":")[2]):
            lines.update(stacks)
    return lines


def folded_by_event(table: TraceTable, wanted: Rows | None = None) -> Mapping[str, Mapping[str, int]]:
    """The same for each kind of event (`net:net_dev_xmit`) that has stacks, in the order of their names.

    `wanted` tells of a batch of events which rows count; without it all do.
    """
    width = max(1, len(table.stacks))
    sums = [(np.array([], np.int64), np.array([], np.int64))]
    for batch in table.event_batches():
        systems, names, tasks = (batch.texts[column] for column in ("system", "name", "task"))
        rows = batch["stack"] != NOT_TOLD
        if wanted:
            rows &= wanted(batch)
        keys = batch["system"][rows].astype(np.int64)
        for column, size in (("name", len(names)), ("task", len(tasks)), ("stack", width)):
            keys = keys * size + batch[column][rows]
        period = batch["period"][rows]
        sums.append(_sums(keys, np.where(period == NOT_TOLD, 1, period)))
    samples, weights = _sums(*(np.concatenate(parts) for parts in zip(*sums, strict=True)))
    texts = _Texts(table.stacks, tasks)
    by_event: dict[str, Counter[str]] = {}
    events, samples = np.divmod(samples, len(tasks) * width)
    # the keys ascend, so those of an event stand together
    starts = np.flatnonzero(np.diff(events, prepend=-1)).tolist()
    for start, end in pairwise([*starts, len(events)]):
        system, name = divmod(int(events[start]), len(names))
        event = ":".join(filter(None, (systems[system], names[name])))
        lines = _lines(texts, *np.divmod(samples[start:end], width), weights[start:end])
        by_event.setdefault(event, Counter()).update(lines)
    return dict(sorted(by_event.items()))


def _lines(texts: "_Texts", task: Ints, stack: Ints, weights: Ints) -> Counter[str]:
    """What was sampled at each of these stacks. Different ones may have the same text."""
    lines: Counter[str] = Counter()
    for start in range(0, len(task), _TEXTS):
        some = slice(start, start + _TEXTS)
        folded_here, weights_here = texts.of(task[some], stack[some]), weights[some].tolist()
        if len(both := dict(zip(folded_here, weights_here, strict=True))) == len(folded_here):
            lines.update(both)
        else:
            for text, weight in zip(folded_here, weights_here, strict=True):
                lines[text] += weight
    return lines


def _sums(keys: Ints, weights: Ints) -> tuple[Ints, Ints]:
    """Each key once, and the sum of its weights."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(keys)])
    return ordered[first], np.add.reduceat(weights[order], first) if len(first) else weights[:0]


class _Texts:
    """A task and the functions of a stack as one text.

    `_parts` are the labels of all frames, then those that they have in Java, then the tasks.
    """

    def __init__(self, stacks: Stacks, tasks: Sequence[str]) -> None:
        self._offsets = stacks.offsets
        self._frames = stacks.frames
        self._java = np.array([task == "java" for task in tasks], bool)
        named = list(zip(stacks.names, stacks.modules, strict=True))
        labels = [
            _label(name, module) if "(" in name or ";" in name or "->" in name or name == UNKNOWN else name
            for name, module in named
        ]
        if self._java.any():
            labels += [_label(name, module, java=True) for name, module in named]
        self._named = len(named)
        self._first_task = len(labels)
        self._told = np.array([bool(label) for label in labels], bool)
        parts = [*labels, *(task.replace(" ", "_") for task in tasks)]
        # as bytes: no text that UTF-8 has no place for is refused. None has a line feed
        self._parts = of_texts("\n".join(parts).encode("utf-8", "surrogatepass").split(b"\n"))

    def of(self, task: Ints, stack: Ints) -> list[str]:
        start, end = self._offsets[stack], self._offsets[stack + 1]
        count = end - start
        row = np.repeat(np.arange(len(stack)), count)
        # innermost last
        place = (end + np.cumsum(count) - count - 1)[row] - np.arange(len(row))
        labels = self._frames[place] + np.where(self._java[task], self._named, 0)[row]
        told = self._told[labels]
        labels, row = labels[told], row[told]
        counts = np.bincount(row, minlength=len(stack)) + 1
        offsets = np.append(0, np.cumsum(counts))
        parts = np.empty(int(offsets[-1]), np.int64)
        is_task = np.zeros(len(parts), bool)
        is_task[offsets[:-1]] = True
        parts[is_task] = self._first_task + task
        parts[~is_task] = labels
        joined = lists(offsets, self._parts.take(of_numbers(parts)))
        texts = pc.binary_join(joined, _SEMICOLON).to_pylist()
        return b"\n".join(texts).decode("utf-8", "surrogatepass").split("\n")


def _label(name: str, module: str, *, java: bool = False) -> str:
    """The functions of a frame, outermost first; empty for what is no function."""
    if name == UNKNOWN and module:
        name = f"[{module.rpartition('/')[2]}]"
    if name.startswith("("):
        return ""
    functions = [tidy(function, java=java) for function in name.split("->")]
    return ";".join([functions[0], *(f"{inlined}_[i]" for inlined in functions[1:])])


_BRACKET = re.compile(r"[<>{}([\]]")


def tidy(function: str, *, java: bool = False) -> str:
    """A function without its arguments, which begin at the first round bracket outside of others; the receiver of a
    method of Go and an anonymous namespace of C++ are none.
    """
    function = function.replace(";", ":")
    if "(" in function:
        function = function[: _length_without_arguments(function)]
    if java and function.startswith("L") and "/" in function:
        function = function[1:]
    return function


def _length_without_arguments(function: str) -> int:
    depth = 0
    for found in _BRACKET.finditer(function):
        character, place = found[0], found.start()
        if character in "<{[":
            depth += 1
        elif character in ">}]":
            depth -= 1
        elif character == "(" and depth == 0:
            go = function[place - 1 : place] == "."
            if not go and not function.startswith("(anonymous namespace)", place):
                return place
    return len(function)
