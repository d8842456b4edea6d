"""Draw docs/pictures anew: the page in Chromium, the PDF by pdftoppm, both of a real host with three faults; packets of
the host while a rule dropped them; what changed when the faults came.

python benchmarks/pictures.py
"""

import io
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hosts import host_with
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from netdiag.analysis import analyze, analyze_bundle
from netdiag.comparison import compare
from netdiag.report import diff_html, render

TOP = Path(__file__).resolve().parents[1]
PICTURES = TOP / "docs" / "pictures"
BUNDLES = TOP / "samples" / "bundles"
DESK, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
#: The page has few colours: a palette makes a third of the file. One that covers them all keeps those of small signs.
COLOURS = 96
PAGES = {"case-file-cover": 1, "case-file-finding": 2, "case-file-map": 5, "case-file-coverage": 6}


def save(name: str, picture: bytes) -> None:
    whole = Image.open(io.BytesIO(picture)).convert("RGB")
    image = whole.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    path = PICTURES / f"{name}.png"
    image.save(path, optimize=True)
    print(f"{path.name} {path.stat().st_size // 1000} kB")


def shoot(browser: Browser, shown: bytes, shots: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, bytes]]:
    """Pictures of a page: of what is in view where `at` begins, or of the one element `of`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        path.write_bytes(shown)
        for name, wanted in shots.items():
            context = browser.new_context(
                viewport=wanted.get("size", DESK),
                color_scheme=wanted.get("scheme", "light"),
                reduced_motion="reduce",
            )
            page = context.new_page()
            page.goto(path.as_uri() + wanted.get("at", ""))
            if "hover" in wanted:
                page.locator(wanted["hover"]).first.hover()
                page.wait_for_timeout(300)
            if "of" in wanted:
                page.evaluate("document.querySelector('.bar').style.position = 'static'")
                yield name, page.locator(wanted["of"]).first.screenshot()
            else:
                yield name, page.screenshot()
            context.close()


def main() -> None:
    analysis = analyze(BUNDLES / "three-faults.tar.gz")
    dropping = analyze(BUNDLES / "journey-docker-user.tar.gz")
    changed = diff_html.render(compare(analyze(BUNDLES / "healthy-nft.tar.gz"), analysis)).encode()
    worst = analysis.shown()[1]
    finding = f"#{worst.check}-{worst.fingerprint}"
    shots: dict[str, dict[str, Any]] = {
        "page": {"size": {"width": 1280, "height": 1120}},
        "page-finding": {"of": finding},
        "page-finding-dark": {"of": finding, "scheme": "dark"},
        "page-map": {"of": ".topology"},
        "page-map-traced": {"of": ".topology", "hover": ".topology a[href='#container-2']", "scheme": "dark"},
        "page-phone": {"at": finding, "size": PHONE},
    }
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        pictures = [
            *shoot(browser, render(analysis, "html"), shots),
            *shoot(browser, render(dropping, "html"), {"page-packets": {"of": "#journeys"}}),
            *shoot(browser, changed, {"page-changed": {"size": {"width": 1280, "height": 1120}}}),
            *shoot(browser, render(analyze_bundle(host_with(60)), "html"), {"page-map-60": {"of": ".topology"}}),
        ]
    for name, picture in pictures:
        save(name, picture)
    pdf = render(analysis, "pdf")
    for name, number in PAGES.items():
        command = ["pdftoppm", "-r", "72", "-png", "-f", str(number), "-l", str(number), "-singlefile", "-"]
        save(name, subprocess.run(command, input=pdf, capture_output=True, check=True).stdout)


if __name__ == "__main__":
    main()
