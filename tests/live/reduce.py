"""A bundle of a real host reduced to the artifacts that one check looks at: how the samples of checks are made."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from netdiag import checks
from netdiag.bundle import open_bundle
from netdiag.plain import plain
from netdiag.testing import run_check


def write_sample(bundle: Path, directory: Path, check: str) -> None:
    """Write a bundle in a directory of which the check says the same as of `bundle`, and which lacks all that it does
    not look at.
    """
    opened = open_bundle(bundle)
    assert opened.manifest is not None
    texts = {source.path: source.text for source in opened.sources}

    def write(artifacts: Sequence[dict[str, Any]]) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        for artifact in artifacts:
            if artifact["path"]:
                target = directory / artifact["path"]
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(texts[artifact["path"]], encoding="utf-8")
        directory.mkdir(parents=True, exist_ok=True)
        manifest = {**opened.manifest, "artifacts": list(artifacts)}  # type: ignore[dict-item]
        (directory / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")

    def says() -> Any:
        (made,) = (each for each in checks.all_checks() if each.name == check)
        return plain(run_check(made, directory))

    kept = [{**artifact, "stderr_path": None} for artifact in opened.manifest["artifacts"]]
    write(kept)
    wanted = says()
    for names in (("id",), ("id", "scope")):
        for group in sorted({tuple(artifact[name] for name in names) for artifact in kept}):
            fewer = [artifact for artifact in kept if tuple(artifact[name] for name in names) != group]
            write(fewer)
            if says() == wanted:
                kept = fewer
    write(kept)
