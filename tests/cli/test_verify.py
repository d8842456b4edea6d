"""`netdiag verify`: a bundle that arrived whole, one that was changed, one without a manifest."""

import shutil
import tarfile
from pathlib import Path

from click.testing import CliRunner

from netdiag.cli.verify import command

BUNDLES = Path(__file__).parents[2] / "samples" / "bundles"
HEALTHY = BUNDLES / "healthy-nft.tar.gz"


def verify(path: Path) -> tuple[int, list[str]]:
    result = CliRunner().invoke(command, [str(path)], standalone_mode=False)
    assert result.exception is None, result.exception
    return int(result.return_value or 0), result.output.splitlines()


def test_a_whole_bundle_is_told_what_it_lacks_and_why() -> None:
    code, lines = verify(HEALTHY)
    assert code == 0
    assert any(line.endswith("not collected") and " outputs, " in line for line in lines)
    assert any("No such file or directory" in line for line in lines)


def test_a_changed_archive_is_damaged(tmp_path: Path) -> None:
    bundle = shutil.copy(HEALTHY, tmp_path / "netdiag-web01.tar.gz")
    beside = tmp_path / "netdiag-web01.tar.gz.sha256"
    beside.write_text(f"{'0' * 64}  netdiag-web01.tar.gz\n")
    code, lines = verify(Path(bundle))
    assert code == 1
    assert lines[0].startswith("netdiag-web01.tar.gz: it was changed on its way: its SHA-256 is ")


def test_a_changed_file_in_it_is_damaged(tmp_path: Path) -> None:
    with tarfile.open(HEALTHY) as archive:
        for member in archive:
            content = archive.extractfile(member)  # Python before 3.11.4 has no filters for extractall
            if content:
                path = tmp_path / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.read())
    (top,) = tmp_path.iterdir()
    with (top / "host" / "ip-addr.txt").open("a") as file:
        file.write("more\n")
    code, lines = verify(top)
    assert (code, lines[0].partition(" has ")[0]) == (1, "host/ip-addr.txt:")


def test_without_a_manifest_nothing_can_be_told() -> None:
    code, lines = verify(BUNDLES / "seed")
    assert (code, lines) == (0, ["8 files, no manifest: nothing tells whether they are whole"])
