"""A host built from texts, each read by its own format as in an analysis."""

from collections.abc import Callable
from typing import Any

import pytest

from netdiag import formats
from netdiag.bundle import Bundle, NotCollected
from netdiag.model import Host, build
from netdiag.spans import Source


def _read(format_name: str, text: str, scope: str = "host", **more: Any) -> Any:
    artifact = more.pop("artifact", format_name.replace("_", "-"))
    path = f"{scope}/{artifact}.txt"
    return formats.get(format_name).read(Source(path, text, scope=scope, artifact=artifact, format=format_name, **more))


@pytest.fixture
def read() -> Callable[..., Any]:
    """`read(format, text, scope)`: the document of a text."""
    return _read


@pytest.fixture
def host_of(make_manifest: Callable[..., dict[str, Any]]) -> Callable[..., Host]:
    """`host_of(documents, collector=True, left_out=())`: the host that they describe."""

    def make(*documents: Any, collector: bool = True, left_out: tuple[NotCollected, ...] = ()) -> Host:
        manifest = make_manifest({}) if collector else None
        bundle = Bundle("b", "web01", "", "", (), not_collected=left_out, manifest=manifest)
        return build(bundle, documents)

    return make
