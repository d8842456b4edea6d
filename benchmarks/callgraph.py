"""How long it takes to make a call tree of function_graph, beside the time that reading its text takes.

    python benchmarks/callgraph.py [ROWS [ROUNDS]]

Two traces of so many rows: `real` repeats a recording of Debian's kernel 6.1, `generated` is what generate_traces.py
writes, in which functions call each other at random: such a tree has as many paths as it may have. Seconds of the
processor, the fastest of the rounds, each made in a process of its own; the memory is what making the tree needs beside
the table.
"""

import multiprocessing
import resource
import sys
import time
from pathlib import Path

from generate_traces import generated

from netdiag.journeys.callgraph import function_graphs
from netdiag.spans import Source
from netdiag.traces import TraceTable, read_table

RECORDING = (
    Path(__file__).resolve().parents[1]
    / "samples/formats/trace_cmd_report/debian12-trace-cmd3.1.6-linux6.1-function-graph.txt"
)


def text_of(kind: str, rows: int) -> str:
    """Whole lines, about as many as asked for."""
    if kind == "real":
        lines = RECORDING.read_text(encoding="utf-8").splitlines(keepends=True)[1:]
        return "".join(lines) * -(-rows // len(lines))
    sample = generated("function_graph", 20_000_000).decode()
    lines = sample.count("\n")
    return sample * -(-rows // lines)


def peak() -> int:
    """The most memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def measure(kind: str, rows: int, results: "multiprocessing.Queue[tuple[float, ...]]") -> None:
    source = Source("trace.txt", text_of(kind, rows), format="trace_cmd_report")
    begin = time.process_time()
    table: TraceTable = read_table(source)
    reading = time.process_time() - begin
    before = peak()
    begin = time.process_time()
    (graph,) = function_graphs(table)
    making = time.process_time() - begin
    tree = graph.tree
    results.put((table.lines, reading, making, peak() - before, len(tree), int(tree.calls[1:].sum())))


def main(rows: int = 10_000_000, rounds: int = 1) -> None:
    print(
        f"{'trace':10} {'rows':>11} {'reading s':>10} {'tree s':>8} {'ratio':>6} "
        f"{'MB more':>8} {'paths':>8} {'calls':>11}"
    )
    for kind in ("real", "generated"):
        found = []
        for _ in range(rounds):
            results: multiprocessing.Queue[tuple[float, ...]] = multiprocessing.Queue()
            child = multiprocessing.Process(target=measure, args=(kind, rows, results))
            child.start()
            found.append(results.get())
            child.join()
        lines, reading, making, memory, paths, calls = min(found, key=lambda each: each[2])
        ratio = making / reading
        print(f"{kind:10} {lines:11,} {reading:10.2f} {making:8.2f} {ratio:6.2f} {memory:8} {paths:8,} {calls:11,}")


if __name__ == "__main__":
    main(*(int(float(argument)) for argument in sys.argv[1:3]))
