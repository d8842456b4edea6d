"""What tests of several rooms share: bundles and archives built from a dictionary of files."""

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from netdiag.journeys.observed import _walk

TOP = "netdiag-web01-20261123T101500Z"
Files = Mapping[str, bytes | str]


def _bytes(content: bytes | str) -> bytes:
    return content.encode() if isinstance(content, str) else content


def _scope(path: str) -> str:
    room, _, rest = path.partition("/")
    return f"netns:{rest.split('/')[0]}" if room == "netns" else room


def _artifact(path: str, content: bytes, facts: Mapping[str, Any]) -> dict[str, Any]:
    name = Path(path).stem
    return {
        "id": name,
        "format": name,
        "argv": None,
        "scope": _scope(path),
        "path": path,
        "exit_code": 0,
        "signal": None,
        "timed_out": False,
        "truncated": False,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "started": "2026-11-23T10:15:00Z",
        "duration_s": 0.01,
        "stderr_path": None,
        "skipped": None,
        **facts,
    }


@pytest.fixture
def make_manifest() -> Callable[..., dict[str, Any]]:
    """`make_manifest(files, artifacts=..., skipped=..., **keys)`: a manifest that lists the files but stderr and logs.

    `artifacts` has by path what differs from a command that ended well, with `id` and `format` after the file's name;
    None leaves the file unlisted. `skipped` are further artifacts as they are. `keys` replace the manifest's own keys.
    """

    def make(
        files: Files,
        *,
        artifacts: Mapping[str, Mapping[str, Any] | None] | None = None,
        skipped: tuple[Mapping[str, Any], ...] = (),
        **keys: Any,
    ) -> dict[str, Any]:
        facts = artifacts or {}
        errors = {fact["stderr_path"] for fact in facts.values() if fact and "stderr_path" in fact}
        listed = [
            _artifact(path, _bytes(content), facts.get(path) or {})
            for path, content in files.items()
            if facts.get(path, {}) is not None and path not in errors and not path.startswith("logs/")
        ]
        return {
            "schema_version": "1.0",
            "collector": {"version": "0.1.0", "sha256": "0" * 64},
            "host": "web01",
            "kernel": "6.1.0-27-amd64",
            "os_release": "Debian GNU/Linux 12 (bookworm)",
            "uid": 0,
            "capabilities": "000001fffeffffff",
            "clock": {"wall": "2026-11-23T10:15:00Z", "monotonic": 4711.5, "timezone": "UTC"},
            "argv": ["netdiag_collect.py"],
            "options": {},
            "redaction": {},
            "artifacts": [*listed, *skipped],
            **keys,
        }

    return make


@pytest.fixture
def make_tar(tmp_path: Path) -> Callable[..., Path]:
    """`make_tar(files, name)`: an archive of just these files, gzipped when the name ends in `gz`."""

    def make(files: Files, name: str = f"{TOP}.tar.gz") -> Path:
        path = tmp_path / name
        with tarfile.open(path, "w:gz" if name.endswith("gz") else "w") as archive:
            for member, content in files.items():
                header = tarfile.TarInfo(member)
                header.size = len(_bytes(content))
                archive.addfile(header, io.BytesIO(_bytes(content)))
        return path

    return make


@pytest.fixture
def make_bundle(make_tar: Callable[..., Path], make_manifest: Callable[..., dict[str, Any]]) -> Callable[..., Path]:
    """`make_bundle(files, ...)`: a bundle as the collector writes it: one top directory and the manifest first.

    The further arguments are those of `make_manifest`; `extra` are files that the manifest does not know.
    """

    def make(files: Files, *, extra: Files | None = None, **manifest: Any) -> Path:
        text = json.dumps(make_manifest(files, **manifest))
        return make_tar(
            {f"{TOP}/{path}": content for path, content in {"manifest.json": text, **files, **(extra or {})}.items()}
        )

    return make


@pytest.fixture
def all_packets_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every packet of a trace is a journey of its own: usually those that are like others are only counted."""
    monkeypatch.setitem(_walk.MOST_KEPT, "first", 1_000_000)
