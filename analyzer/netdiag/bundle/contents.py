"""What a bundle holds once it is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from netdiag.spans import Source


@dataclass(frozen=True)
class NotCollected:
    """An artifact that the collector left out or could not get, and why."""

    artifact: str
    scope: str
    command: str
    format: str
    reason: str


@dataclass(frozen=True)
class Problem:
    """Something in the bundle is not as the manifest says (hash differs, listed but absent, present but unlisted)."""

    path: str
    message: str


@dataclass(frozen=True)
class Bundle:
    """One bundle. `sha256` is of the archive file, empty for a directory; `collected_at` is ISO 8601 UTC, empty when
    unknown.

    `host` is the collected host's name, empty when no manifest tells it. `manifest` is the validated manifest, None for
    loose files.
    """

    name: str
    host: str
    collected_at: str
    sha256: str
    sources: tuple[Source, ...]
    not_collected: tuple[NotCollected, ...] = ()
    problems: tuple[Problem, ...] = ()
    manifest: Mapping[str, Any] | None = None
