"""Whatever bytes a bundle is made of, it is read or refused; no other error leaves the room."""

import gzip
import json
import tarfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netdiag.bundle import Bundle, Limits, open_bundle
from netdiag.errors import BundleRefused

SMALL = Limits(members=50, member_bytes=1 << 20, total_bytes=1 << 22)
SETTINGS = settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


def _read_or_refused(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        shown = _all_text(open_bundle(path, SMALL))
    except BundleRefused as refusal:
        shown = str(refusal)
        assert shown.isprintable()
    assert shown.encode()


def _all_text(bundle: Bundle) -> str:
    return bundle.name + "".join(s.path + s.text + s.command + s.scope + s.trouble for s in bundle.sources)


@SETTINGS
@given(data=st.binary(max_size=2048))
def test_any_bytes(tmp_path: Path, data: bytes) -> None:
    _read_or_refused(tmp_path / "any", data)


@SETTINGS
@given(changes=st.lists(st.tuples(st.integers(0, 6000), st.integers(0, 255)), min_size=1, max_size=8), data=st.data())
def test_a_tar_with_changed_bytes(tmp_path: Path, raw, changes: list[tuple[int, int]], data: st.DataObject) -> None:
    """The checksums of the headers are made right again, so that the change is read and not just noticed."""
    tar = bytearray(
        raw.pax(path="top/a.txt", size="3")
        + raw.member("ignored", b"one")
        + raw.member("long/" * 40 + "b.txt", b"two")
        + raw.member("top/", b"", tarfile.DIRTYPE)
        + raw.member("top/c.txt", b"three")
        + raw.end_mark
    )
    for place, value in changes:
        tar[place % len(tar)] = value
    for place in range(0, len(tar), tarfile.BLOCKSIZE):
        block = tar[place : place + tarfile.BLOCKSIZE]
        if block[257:262] == b"ustar":
            total = sum(block) - sum(block[148:156]) + 8 * ord(" ")
            tar[place + 148 : place + 156] = b"%06o\0 " % total
    packed = gzip.compress(bytes(tar)) if data.draw(st.booleans()) else bytes(tar)
    _read_or_refused(tmp_path / "changed", packed)


@SETTINGS
@given(data=st.data())
def test_a_manifest_with_changed_values(tmp_path: Path, raw, make_manifest, data: st.DataObject) -> None:
    manifest = make_manifest({"host/a.txt": "x", "host/b.txt": "y"})
    target = data.draw(st.sampled_from([manifest, *manifest["artifacts"], manifest["clock"], manifest["collector"]]))
    target[data.draw(st.sampled_from(sorted(target)))] = data.draw(JSON)
    text = json.dumps(manifest).encode()
    members = raw.member("t/manifest.json", text), raw.member("t/host/a.txt"), raw.member("t/host/b.txt")
    _read_or_refused(tmp_path / "changed", b"".join(members) + raw.end_mark)
