"""How long journeys take, and how much memory, beside reading the very same trace.

    python benchmarks/journeys.py [--events 5000000]

The trace is that of `packets.py`, printed as `perf script` does, repeated with later times to be long. Reading is
from text to tables, journeys from those tables to all that an observation says. Seconds of the processor.
"""

import argparse
import resource
import time
from dataclasses import replace

from packets import Kernel, printed

from netdiag.journeys.observed._tell import observe
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


def megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=5_000_000)
    options = parser.parse_args()
    text = trace(options.events)
    source = Source("trace/perf_script.txt", text, format="perf_script")
    start = time.process_time()
    table: TraceTable = read_table(source)
    read = time.process_time() - start
    before = megabytes()
    start = time.process_time()
    found = observe(table, Host("", (Namespace("host", "host"),), Facts(), Facts(), Engine()))
    took = time.process_time() - start
    print(f"{found.events} events, {len(text) / 1e6:.0f} MB of text")
    print(f"reading   {read:6.2f} s  {found.events / read / 1e6:5.2f} M events/s")
    print(
        f"journeys  {took:6.2f} s  {found.events / took / 1e6:5.2f} M events/s  {took / read:.2f} of reading  "
        f"{found.packets} packets, {len(found.paths)} paths, +{megabytes() - before:.0f} MB at most"
    )


if __name__ == "__main__":
    main()
