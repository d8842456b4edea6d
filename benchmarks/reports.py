"""What the page and the PDF of a small host, of 60 and of 1,000 containers cost: time, beside the analysis, and size.

    python benchmarks/reports.py [--sizes small,60,1000] [--browser] [--no-pdf]

`small` is the real host of samples/bundles/three-faults.tar.gz; the larger hosts are those of hosts.py, with all that
the collector takes of each namespace, so that 1,000 containers have 24,000 outputs. All are seconds of the
processor, the PDF's in its child process. `ratio` is the page's time to the analysis's, of which the goal is at most 2.
With `--browser` Chromium opens the page and searches all of it: what its main thread spends until the page is laid out,
and for the search.
"""

import argparse
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from hosts import host_with

from netdiag.analysis import analyze_bundle
from netdiag.bundle import Bundle, open_bundle
from netdiag.report import render

SMALL = Path(__file__).resolve().parents[1] / "samples" / "bundles" / "three-faults.tar.gz"
GOAL = 2
HEADS = ("host", "sources", "MB", "analysis", "page", "ratio", "page MB", "PDF", "PDF MB", "opened", "searched")
WIDTHS = (6, 8, 7, 9, 7, 6, 8, 7, 7, 7, 9)

T = TypeVar("T")


def bundle_of(size: str) -> Bundle:
    return open_bundle(SMALL) if size == "small" else host_with(int(size), whole=True)


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What comes of the work, and the seconds of the processor that it took, here and in child processes."""

    def spent() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime

    start = spent()
    made = work()
    return made, spent() - start


def opened(page: bytes) -> tuple[float, float]:
    """Seconds of the processor until Chromium has laid out the page, and for a search through all of it."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only for those who ask for it

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as running:
        path = Path(folder) / "report.html"
        path.write_bytes(page)
        browser = running.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page()
        tab.goto("about:blank")
        told = tab.context.new_cdp_session(tab)
        told.send("Performance.enable", {"timeDomain": "threadTicks"})

        def spent() -> float:
            return next(
                each["value"]
                for each in told.send("Performance.getMetrics")["metrics"]
                if each["name"] == "TaskDuration"
            )

        start = spent()
        tab.goto(path.as_uri(), timeout=120_000)
        tab.evaluate("document.documentElement.scrollHeight")
        laid_out = spent()
        tab.locator(".filters [name=text]").fill("172.18 masquerade", timeout=120_000)
        tab.locator(".filters output").filter(has_text="findings").wait_for(timeout=120_000)
        tab.evaluate("document.documentElement.scrollHeight")
        searched = spent()
        browser.close()
    return laid_out - start, searched - laid_out


def print_row(cells: Sequence[object]) -> None:
    print(" ".join(f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True)), flush=True)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--sizes", default="small,60,1000", help="`small` or numbers of containers, with commas")
    options.add_argument("--browser", action="store_true", help="open the pages in Chromium as well")
    options.add_argument("--no-pdf", action="store_true", help="leave the PDF out")
    told = options.parse_args()
    worst = 0.0
    print_row(HEADS)
    for size in told.sizes.split(","):
        bundle = bundle_of(size)
        analysis, analysing = timed(lambda: analyze_bundle(bundle))  # noqa: B023 - called here
        page, rendering = timed(lambda: render(analysis, "html"))  # noqa: B023 - called here
        row = [size, len(bundle.sources), f"{sum(len(source.text) for source in bundle.sources) / 1e6:.1f}"]
        row += [f"{analysing:.2f}", f"{rendering:.2f}", f"{rendering / analysing:.2f}", f"{len(page) / 1e6:.1f}"]
        if told.no_pdf:
            row += ["", ""]
        else:
            pdf, printing = timed(lambda: render(analysis, "pdf"))  # noqa: B023 - called here
            row += [f"{printing:.2f}", f"{len(pdf) / 1e6:.2f}"]
        row += [f"{number:.2f}" for number in opened(page)] if told.browser else ["", ""]
        print_row(row)
        worst = max(worst, rendering / analysing)
    print(f"the page in at most {GOAL} times the analysis: {'met' if worst <= GOAL else 'MISSED'}")


if __name__ == "__main__":
    main()
