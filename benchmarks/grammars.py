"""Lines a second of every format on its own samples, as a ratio to plain lark in the same run, and how time grows.

    python benchmarks/grammars.py [LINES [ROUNDS]]

Plain lark is the LALR parser with the contextual lexer making a tree of every text that the reader hands to it, when
the reader may not use the patterns that are derived from the grammar: nothing is made of the trees. The samples of a
format are read one by one, over and over up to LINES lines; both are done in turn, and the fastest of ROUNDS counts,
because other work on the machine can only make a round slower. Formats without a ratio are JSON: docker_inspect.py.

Growth is the time for two and four times the lines: a trace repeated, and iptables rules each with counters of its own,
because lines of the same text are parsed once. Beside it stands the ratio to the same reader when it may not use the
patterns: what they gain, records and all.
"""

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from lark import Lark, UnexpectedInput

from netdiag import formats
from netdiag.formats import _lines
from netdiag.formats._derive import ItemReader, LineReader
from netdiag.spans import Source

SAMPLES = Path(__file__).resolve().parents[1] / "samples" / "formats"
GROWING = {
    "iptables_save": "debian12-iptables1.8.9-nft-docker28-rules.txt",
    "perf_script": "debian12-perf6.1-linux6.18.txt",
    "perf_trace": "debian12-perf6.1-linux6.18.txt",
    "trace_cmd_report": "debian12-trace-cmd3.1.6-linux6.1-function-graph.txt",
    "tracefs_trace": "linux6.12-graph.txt",
}
SIZES = (1, 2, 4)
GROWTH_LINES = 5_000

Parse = Callable[[], object]


def samples(name: str) -> list[Source]:
    """The samples of a format that people typed or tools printed; golden files are not among them."""
    paths = (SAMPLES / name / f"{sample}.txt" for origin in formats.origins(name) for sample in origin.samples)
    return [Source(str(path), path.read_bytes().decode("utf-8", "replace")) for path in sorted(paths)]


def parses(name: str, sources: list[Source]) -> list[Parse]:
    """What lark alone is asked for while the samples are read, to be asked again: a tree of each text."""
    asked: list[Parse] = []
    ask = Lark.parse

    def record(parser: Lark, text: str, start: str | None = None) -> object:
        asked.append(lambda: ask(parser, text, start))
        return ask(parser, text, start)

    with patch.object(Lark, "parse", record), patch.object(_lines, "fused", lambda *_: None), without_patterns():
        read_all(name, sources)
    return asked


@contextmanager
def without_patterns() -> Iterator[None]:
    """Every line is read by lark."""
    with (
        patch.object(LineReader, "row_by_pattern", lambda *_: None),
        patch.object(ItemReader, "rows_by_pattern", lambda *_: None),
    ):
        yield


def read_all(name: str, sources: list[Source]) -> None:
    read = formats.get(name).read
    _lines.kept_meanings.cache_clear()
    for source in sources:
        read(Source(source.path, source.text))


def parse_all(asked: list[Parse]) -> None:
    for parse in asked:
        try:
            parse()
        except UnexpectedInput:
            continue


def seconds(work: Callable[[], object], times: int = 1) -> float:
    start = time.perf_counter()
    for _ in range(times):
        work()
    return time.perf_counter() - start


def speeds(lines: int, rounds: int) -> Iterator[tuple[str, int, float, float | None]]:
    """Of each format: its name, the lines of its samples, lines a second, and the ratio to plain lark."""
    for name in formats.names():
        sources = samples(name)
        count = sum(len(source.lines) for source in sources)
        asked = parses(name, sources)
        times = max(1, lines // count)
        reading = plain = float("inf")
        for _ in range(rounds):
            reading = min(reading, seconds(lambda: read_all(name, sources), times))  # noqa: B023 - called here
            plain = min(plain, seconds(lambda: parse_all(asked), times))  # noqa: B023 - called here
        yield name, count, count * times / reading, plain / reading if asked else None


def large(name: str, sample: str, lines: int) -> str:
    """At least so many lines: the sample over and over, a rule with other counters each time."""
    text = (SAMPLES / name / sample).read_text(encoding="utf-8")
    copies = range(1 + lines // text.count("\n"))
    return "".join(re.sub(r"(?m)^\[\d+:\d+\]", f"[{copy}:{copy * 60}]", text) for copy in copies)


def growth(rounds: int) -> Iterator[tuple[str, float, list[tuple[int, float]]]]:
    """Of each format in `GROWING`: the ratio to reading by lark alone, and lines and seconds for each of `SIZES`."""
    for name, sample in GROWING.items():
        texts = [large(name, sample, GROWTH_LINES * size) for size in SIZES]
        read = formats.get(name).read
        best = [float("inf")] * len(texts)
        by_lark = float("inf")
        for _ in range(rounds):
            for place, text in enumerate(texts):
                best[place] = min(best[place], seconds(lambda: read(Source("large", text))))  # noqa: B023 - called here
            with without_patterns():
                by_lark = min(by_lark, seconds(lambda: read(Source("large", texts[0]))))  # noqa: B023 - called here
        yield name, by_lark / best[0], [(text.count("\n"), taken) for text, taken in zip(texts, best, strict=True)]


def main() -> None:
    lines, rounds = (int(word) for word in [*sys.argv[1:], "2000", "3"][:2])
    print(f"{'format':24} {'sample lines':>12} {'lines/s':>9} {'to plain LALR':>14}")
    for name, count, speed, ratio in speeds(lines, rounds):
        print(f"{name:24} {count:12} {speed:9,.0f} {f'{ratio:.2f}' if ratio else '-':>14}")
    print(f"\n{'growth':24} {'lines':>12} {'lines/s':>9} {'to lark alone':>14} {'times as long':>14}")
    for name, ratio, measured in growth(rounds):
        for count, taken in measured:
            told = f"{ratio:.2f}" if count == measured[0][0] else ""
            print(f"{name:24} {count:12} {count / taken:9,.0f} {told:>14} {taken / measured[0][1]:14.2f}")


if __name__ == "__main__":
    main()
