"""A bundle of a real host reduced to the artifacts that one check looks at: how the samples of checks are made."""

import hashlib
import json
import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from netdiag import checks
from netdiag.analysis import read_source
from netdiag.bundle import Bundle, open_bundle
from netdiag.checks import Check
from netdiag.finding import Severity
from netdiag.model import Host, build
from netdiag.model.traces import TRACE_FORMATS
from netdiag.plain import plain
from netdiag.spans import Source
from netdiag.testing import run_check

Artifact = dict[str, Any]


def write_sample(bundle: Path, directory: Path, check: str, keep: Collection[str] = ()) -> None:
    """Write a bundle in a directory of which the check says the same as of `bundle`, and which lacks all that it does
    not look at. Artifacts whose ids are in `keep` stay all the same: what a near miss would be none without.
    """
    opened = open_bundle(bundle)
    assert opened.manifest is not None
    # samples go without error outputs, so that of a failure only the exit code is known
    told = tuple(replace(source, trouble=source.trouble.partition(": ")[0]) for source in opened.sources)
    (made,) = (each for each in checks.all_checks() if each.name == check)
    opened = replace(opened, sources=told)
    said = _messages(made, opened)
    opened = next(each for each in _shorter(opened) if _messages(made, each) == said)
    texts = {source.path: source.text for source in opened.sources}
    documents = {source.path: document for source in opened.sources if (document := read_source(source))}

    def host_of(artifacts: Sequence[Artifact]) -> Host:
        """The host of these artifacts alone, each read once for all trials."""
        paths = {artifact["path"] for artifact in artifacts}
        places = {(artifact["id"], artifact["scope"]) for artifact in artifacts}
        part = replace(
            opened,
            sources=tuple(source for source in opened.sources if source.path in paths),
            not_collected=tuple(each for each in opened.not_collected if (each.artifact, each.scope) in places),
            manifest={**(opened.manifest or {}), "artifacts": list(artifacts)},
        )
        return build(part, [document for path, document in documents.items() if path in paths])

    def says(artifacts: Sequence[Artifact]) -> Any:
        return plain(checks.run([made], host_of(artifacts)))

    def alarms(artifacts: Sequence[Artifact]) -> set[str]:
        findings, _ = checks.run(checks.all_checks(), host_of(artifacts))
        return {finding.check for finding in findings if finding.severity is not Severity.NOTE}

    everything: list[Artifact] = [
        {**artifact, "stderr_path": None, **_measured(texts.get(artifact["path"]), artifact)}
        for artifact in opened.manifest["artifacts"]
    ]
    kept, wanted, expected = everything, says(everything), alarms(everything)
    for names in (("scope",), ("id",), ("id", "scope")):
        for group in sorted({tuple(artifact[name] for name in names) for artifact in kept}):
            fewer = [
                artifact
                for artifact in kept
                if artifact["id"] in keep or tuple(artifact[name] for name in names) != group
            ]
            if says(fewer) == wanted:
                kept = fewer
    # A poor bundle can make another check suspicious: then it gets back what tells that nothing is wrong.
    for name in sorted({artifact["id"] for artifact in everything}):
        if alarms(kept) <= expected:
            break
        more = [artifact for artifact in everything if artifact in kept or artifact["id"] == name]
        if says(more) == wanted and alarms(more) < alarms(kept):
            kept = more
    write_bundle(directory, opened.manifest, kept, texts)
    again = run_check(made, directory)
    assert plain((again.findings, (again.outcome,))) == wanted, f"{check}: the reduced bundle tells something else"


def write_bundle(
    directory: Path, manifest: Mapping[str, Any], artifacts: Sequence[Artifact], texts: Mapping[str, str]
) -> None:
    """Write a bundle of these artifacts alone as a directory, in place of what was there."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for artifact in artifacts:
        if artifact["path"]:
            target = directory / artifact["path"]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(texts[artifact["path"]], encoding="utf-8")
    kept = {**manifest, "artifacts": [*artifacts]}
    (directory / "manifest.json").write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")


#: Of a trace's lines so many are kept at either end.
_MOST_LINES = 100
_SKB, _DEVICE = re.compile(r"net:.*skbaddr=(\S+)|skb:.*skbaddr=(\S+)"), re.compile(r"\bdev=(\S+)")


def _messages(made: Check, bundle: Bundle) -> list[str]:
    """What the check says, and which others alarm."""
    documents = [document for source in bundle.sources if (document := read_source(source))]
    host = build(bundle, documents)
    findings, outcomes = checks.run([made], host)
    others, _ = checks.run(checks.all_checks(), host)
    return [
        *(finding.message for finding in findings),
        *(outcome.verdict.value for outcome in outcomes),
        *sorted({finding.check for finding in others if finding.severity is not Severity.NOTE}),
    ]


def _shorter(bundle: Bundle) -> Iterator[Bundle]:
    """The bundle with less and less left out of its traces: the middle, then only the packets that no device of the
    bundle has seen (one kernel traces for all hosts of a laboratory), then nothing.
    """
    documents = [document for source in bundle.sources if (document := read_source(source))]
    host = build(bundle, documents)
    devices = frozenset(link.name for netns in host.namespaces for link in netns.links)
    ours = tuple(_without_strangers(source, devices) for source in bundle.sources)
    yield replace(bundle, sources=tuple(_without_middle(source) for source in ours))
    yield replace(bundle, sources=ours)
    yield bundle


def _without_strangers(source: Source, devices: Collection[str]) -> Source:
    if source.format not in TRACE_FORMATS:
        return source
    lines = source.text.splitlines(keepends=True)
    known = {_skb(line) for line in lines if (device := _DEVICE.search(line)) and device[1] in devices}
    kept = [
        line
        for line in lines
        if (not _skb(line) or _skb(line) in known) and (not (device := _DEVICE.search(line)) or device[1] in devices)
    ]
    return replace(source, text="".join(kept))


def _without_middle(source: Source) -> Source:
    """The lines that tell of lost events stay."""
    lines = source.text.splitlines(keepends=True)
    if source.format not in TRACE_FORMATS or len(lines) <= 2 * _MOST_LINES:
        return source
    lost = [line for line in lines[_MOST_LINES:-_MOST_LINES] if "LOST" in line]
    return replace(source, text="".join([*lines[:_MOST_LINES], *lost, *lines[-_MOST_LINES:]]))


def _skb(line: str) -> str:
    found = _SKB.search(line)
    return (found[1] or found[2]) if found else ""


def _measured(text: str | None, artifact: Artifact) -> Artifact:
    """Size and hash of a text that was shortened."""
    if text is None or artifact["format"] not in TRACE_FORMATS:
        return {}
    data = text.encode()
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
