"""Comparing what the manifest lists with what the bundle holds."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from shlex import join
from typing import TYPE_CHECKING, Any

from netdiag.bundle.contents import NotCollected, Problem
from netdiag.bundle.gate import one_line
from netdiag.spans import Source, StoredSource

if TYPE_CHECKING:
    from netdiag.bundle.stored import Following, StoredBytes

# A log that is still being written when the manifest is cannot be listed with its hash.
_LOGS = "logs/"
_ABSENT = "listed in the manifest, but absent from the bundle"


@dataclass(frozen=True)
class Member:
    """One file of a bundle: its decoded text, and the size in bytes and SHA-256 of what was decoded. Only a manifest
    makes anybody ask for the latter, which of a long trace takes a third as long as unpacking it.

    A long trace is `stored`, its text is empty and `trace_format` says which format its beginning is in. Whoever is
    reading it as that is `following`.
    """

    text: str
    size: int
    sha256: Callable[[], str]
    stored: "StoredBytes | None" = None
    trace_format: str = ""
    following: "Following | None" = None

    def source(self, path: str, **told: str) -> Source:
        """The file as a source; `told` are the fields that the manifest tells."""
        if self.stored is None:
            return Source(path, self.text, **told)
        told = {"format": self.trace_format, **told}
        return StoredSource(path, "", **told, open=self.stored.open, size=self.size, reading=self.following)


@dataclass(frozen=True)
class Inventory:
    """All that a bundle with a manifest holds, lacks, and contradicts."""

    sources: tuple[Source, ...]
    not_collected: tuple[NotCollected, ...]
    problems: tuple[Problem, ...]


def take_inventory(manifest: Mapping[str, Any], members: Mapping[str, Member]) -> Inventory:
    """The sources in `members` (by path in the top directory, without manifest.json), listed or not, in path order.

    The stderr of a command is no source: its first line is in the `trouble` of the command, if that failed. A log is
    one only when it is listed.
    """
    listed: dict[str, Source] = {}
    not_collected: list[NotCollected] = []
    problems: list[Problem] = []
    errors = {path for artifact in manifest["artifacts"] if (path := artifact.get("stderr_path"))}
    for artifact in manifest["artifacts"]:
        path, skipped = artifact.get("path"), artifact.get("skipped")
        if skipped or not path:
            not_collected.append(_not_collected(artifact, skipped or "the manifest names no file for it"))
        if path in listed:
            problems.append(Problem(path, "listed in the manifest more than once, the first listing counts"))
        elif path in members:
            listed[path] = _source(artifact, path, members)
            problems.extend(_differences(artifact, path, members[path]))
        elif path and not skipped:
            problems.append(Problem(path, _ABSENT))
    problems.extend(Problem(path, _ABSENT) for path in errors - members.keys())
    loose = [path for path in members if path not in listed and path not in errors and not path.startswith(_LOGS)]
    problems.extend(Problem(path, "present in the bundle, but not listed in its manifest") for path in loose)
    sources = [*listed.values(), *(members[path].source(path) for path in loose)]
    return Inventory(
        sources=tuple(sorted(sources, key=lambda source: source.path)),
        not_collected=tuple(not_collected),
        problems=tuple(sorted(problems, key=lambda problem: (problem.path, problem.message))),
    )


def _source(artifact: Mapping[str, Any], path: str, members: Mapping[str, Member]) -> Source:
    return members[path].source(
        path,
        command=_command(artifact),
        scope=artifact["scope"],
        artifact=artifact["id"],
        format=artifact["format"],
        trouble=_trouble(artifact, members.get(artifact.get("stderr_path") or "")),
    )


def _not_collected(artifact: Mapping[str, Any], reason: str) -> NotCollected:
    return NotCollected(
        artifact=artifact["id"],
        scope=artifact["scope"],
        command=_command(artifact),
        format=artifact["format"],
        reason=reason,
    )


def _command(artifact: Mapping[str, Any]) -> str:
    return join(artifact.get("argv") or ())


def _trouble(artifact: Mapping[str, Any], errors: Member | None) -> str:
    """What is known against an output: `exit code 1, truncated: iptables: Permission denied`."""
    reasons = []
    if artifact.get("timed_out"):
        reasons.append("timed out")
    elif artifact.get("signal"):
        reasons.append(f"killed by signal {artifact['signal']}")
    elif artifact.get("exit_code"):
        reasons.append(f"exit code {artifact['exit_code']}")
    if artifact.get("truncated"):
        reasons.append("truncated")
    first_line = next((line.strip() for line in errors.text.split("\n") if line.strip()), "") if errors else ""
    return ": ".join(part for part in (", ".join(reasons), one_line(first_line, 200)) if part) if reasons else ""


def _differences(artifact: Mapping[str, Any], path: str, member: Member) -> Iterator[Problem]:
    size, sha256 = artifact.get("bytes"), artifact.get("sha256")
    if size is not None and size != member.size:
        yield Problem(path, f"has {member.size} bytes, the manifest says {size}")
    elif sha256 and sha256.lower() != member.sha256():
        yield Problem(path, "its SHA-256 is not the one in the manifest: it was changed after it was collected")
