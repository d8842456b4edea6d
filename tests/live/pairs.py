"""Two bundles of one real host reduced to the artifacts that their comparison needs: how its samples are made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reduce import Artifact, write_bundle

from netdiag.analysis import read_source
from netdiag.bundle import Bundle, open_bundle
from netdiag.comparison import compare
from netdiag.formats import Document
from netdiag.model import build
from netdiag.results import Analysis


@dataclass(frozen=True)
class _Side:
    """A bundle with each of its sources read once for all trials."""

    bundle: Bundle
    manifest: Mapping[str, Any]
    documents: Mapping[str, Document]

    def analysis(self, artifacts: Sequence[Artifact]) -> Analysis:
        """What there is to compare of these artifacts alone; no check is run."""
        paths = {artifact["path"] for artifact in artifacts}
        places = {(artifact["id"], artifact["scope"]) for artifact in artifacts}
        part = replace(
            self.bundle,
            sources=tuple(source for source in self.bundle.sources if source.path in paths),
            not_collected=tuple(e for e in self.bundle.not_collected if (e.artifact, e.scope) in places),
            manifest={**self.manifest, "artifacts": list(artifacts)},
        )
        documents = tuple(document for path, document in self.documents.items() if path in paths)
        return Analysis(part, documents, (), build(part, documents), (), ())


def _opened(path: Path) -> _Side:
    bundle = open_bundle(path)
    assert bundle.manifest is not None
    # samples go without error outputs, so that of a failure only the exit code is known
    sources = tuple(replace(source, trouble=source.trouble.partition(": ")[0]) for source in bundle.sources)
    documents = {source.path: document for source in sources if (document := read_source(source))}
    return _Side(replace(bundle, sources=sources), bundle.manifest, documents)


def write_pair(before: Path, after: Path, directory: Path) -> None:
    """Write both bundles as directories in `directory`, without the artifacts that the remarks do without."""
    sides = [_opened(path) for path in (before, after)]
    kept = [[{**artifact, "stderr_path": None} for artifact in side.manifest["artifacts"]] for side in sides]

    def says(artifacts: Sequence[Sequence[Artifact]]) -> list[Any]:
        comparison = compare(*(side.analysis(part) for side, part in zip(sides, artifacts, strict=True)))
        return [
            (
                (remark.name, remark.severity, remark.message),
                [(s.side, s.place.span.source.path, s.place.span.line, s.label) for s in remark.shown],
            )
            for remark in comparison.remarks
        ]

    wanted = says(kept)
    for names in (("scope",), ("id",), ("id", "scope")):
        for group in sorted({tuple(artifact[name] for name in names) for part in kept for artifact in part}):
            fewer = [[a for a in part if tuple(a[name] for name in names) != group] for part in kept]
            if says(fewer) == wanted:
                kept = fewer
    for name, side, part in zip(("before", "after"), sides, kept, strict=True):
        texts = {source.path: source.text for source in side.bundle.sources}
        write_bundle(directory / name, side.manifest, part, texts)
    assert says(kept) == wanted
