"""How long journeys take, and how much memory, beside reading the very same trace.

    python benchmarks/journeys.py [--events 5000000]

The trace is that of `packets.py`, printed as `perf script` does, repeated with later times to be long. Reading is
from text to tables, journeys from those tables to all that an observation says. Seconds of the processor.
"""

import argparse
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

from packets import Kernel, printed

from netdiag.journeys.observed import observe
from netdiag.model import Engine, Facts, Host, Namespace
from netdiag.spans import Source
from netdiag.traces import TraceTable, read_table

_PACKETS = 20_000


def trace(events: int) -> str:
    """About so many events as text."""
    kernel = Kernel(1, containers=20, cpus=8)
    kernel.run(_PACKETS, every=8_000)
    length = kernel.events[-1].time + 1_000_000
    rounds = max(1, round(events / len(kernel.events)))
    return "".join(
        printed([replace(event, time=event.time + number * length) for event in kernel.events])
        for number in range(rounds)
    )


def journeys(table: TraceTable) -> tuple[float, float, str]:
    """Seconds, the most MB beside what was there before, and what was found."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    found = observe(table, Host("", (Namespace("host", "host"),), Facts(), Facts(), Engine()))
    took = time.process_time() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return took, (after - before) / 1000, f"{found.packets} packets, {len(found.paths)} paths"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=5_000_000)
    options = parser.parse_args()
    text = trace(options.events)
    start = time.process_time()
    table = read_table(Source("trace/perf_script.txt", text, format="perf_script"))
    read = time.process_time() - start
    events = sum(len(batch) for batch in table.event_batches())
    # a process of its own begins to count its memory anew
    with ProcessPoolExecutor(1, get_context("fork")) as pool:
        took, memory, found = pool.submit(_on_kept, _keep(table)).result()
    print(f"{events} events, {len(text) / 1e6:.0f} MB of text")
    print(f"reading   {read:6.2f} s  {events / read / 1e6:5.2f} M events/s")
    print(
        f"journeys  {took:6.2f} s  {events / took / 1e6:5.2f} M events/s  {took / read:.2f} of reading  "
        f"{found}, {memory:.0f} MB more"
    )


_kept: list[TraceTable] = []


def _keep(table: TraceTable) -> int:
    """Tables hold functions, which cannot be sent to a process: a fork finds them here."""
    _kept.append(table)
    return len(_kept) - 1


def _on_kept(number: int) -> tuple[float, float, str]:
    return journeys(_kept[number])


if __name__ == "__main__":
    main()
