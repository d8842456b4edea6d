"""A bundle of a real host reduced to the artifacts that one check looks at: how the samples of checks are made."""

import json
import shutil
from pathlib import Path

from netdiag.bundle import open_bundle

_ENGINE = {
    "docker-info",
    "docker-version",
    "docker-inspect",
    "docker-network-inspect",
    "dockerd-cmdline",
    "daemon-json",
}
_OF_LAYER = {
    "link": {"ip-addr"},
    "address": {"ip-addr", "ip-neigh"},
    "nat": {"iptables-save", "ss"},
    "filter": {"iptables-save", "ip-route"},
    "sysctl": {"sysctl"},
}
_OF_CONTAINERS = {"ip-addr"}


def write_sample(bundle: Path, directory: Path, check: str) -> None:
    """Write the artifacts of a check's layer, and the manifest that lists just them, as a bundle in a directory."""
    opened = open_bundle(bundle)
    assert opened.manifest is not None
    of_layer = _OF_LAYER[check.partition("-")[0]]
    artifacts = [
        artifact
        for artifact in opened.manifest["artifacts"]
        if artifact["id"] in _ENGINE | of_layer
        and (artifact["id"] in _OF_CONTAINERS or not artifact["scope"].startswith("netns:"))
    ]
    texts = {source.path: source.text for source in opened.sources}

    shutil.rmtree(directory, ignore_errors=True)
    for artifact in artifacts:
        artifact["stderr_path"] = None
        if artifact["path"]:
            target = directory / artifact["path"]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(texts[artifact["path"]], encoding="utf-8")
    directory.mkdir(parents=True, exist_ok=True)
    manifest = {**opened.manifest, "artifacts": artifacts}
    (directory / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
