"""`ip -br addr` and `ip -o addr` tell less than `ip -d addr`: what they leave out is unknown, never a fault."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from netdiag import formats
from netdiag.analysis import analyze
from netdiag.finding import Verdict
from netdiag.formats.records import Link
from netdiag.spans import Source

BUNDLE = Path(__file__).parents[2] / "samples" / "checks" / "link-bridge-down" / "fires"


def brief(links: list[Link]) -> Iterator[str]:
    for link in links:
        yield f"{link.name} {link.state} {' '.join(str(item.address) for item in link.addresses)}"


def one_line(links: list[Link]) -> Iterator[str]:
    for link in links:
        for item in link.addresses:
            family = "inet6" if item.address.version == 6 else "inet"
            yield f"{link.index}: {link.name}    {family} {item.address} scope {item.scope} {item.label or ''}\\"


@pytest.mark.parametrize("poorer", [brief, one_line])
def test_a_poorer_list_of_links_raises_no_alarm(poorer: Callable[[list[Link]], Iterator[str]], tmp_path: Path) -> None:
    for name in ("inspect.json", "network_inspect.json", "info.json", "version.json"):
        shutil.copy(BUNDLE / "docker" / name, tmp_path / name)
    text = (BUNDLE / "host" / "ip-addr.txt").read_text(encoding="utf-8")
    records = formats.get("ip_addr").read(Source("ip-addr.txt", text)).records
    lines = list(poorer([record for record in records if isinstance(record, Link)]))
    (tmp_path / "ip.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    analysis = analyze(tmp_path)
    assert [(each.path, each.format, each.unread) for each in analysis.coverage if each.path.endswith("ip.txt")] == [
        ("ip.txt", "ip_addr", ())
    ]
    assert analysis.findings == ()
    verdicts = {outcome.check: outcome.verdict for outcome in analysis.outcomes}
    assert verdicts["link-bridge-down"] is Verdict.UNKNOWN
