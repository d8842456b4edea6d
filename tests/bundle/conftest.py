"""Tar archives made by hand, block by block: what no tar program would write, a hostile sender may."""

import gzip
import subprocess
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from netdiag.bundle import Bundle

END_MARK = bytes(2 * tarfile.BLOCKSIZE)


class Raw:
    """The building blocks of an archive, as bytes."""

    end_mark = END_MARK

    @staticmethod
    def header(name: str, *, size: int = 0, kind: bytes = tarfile.REGTYPE, target: str = "") -> bytes:
        info = tarfile.TarInfo(name)
        info.size, info.type, info.linkname = size, kind, target
        return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")

    @classmethod
    def member(cls, name: str, data: bytes = b"x", kind: bytes = tarfile.REGTYPE) -> bytes:
        return cls.header(name, size=len(data), kind=kind) + data + bytes(-len(data) % tarfile.BLOCKSIZE)

    @classmethod
    def pax(cls, **records: str) -> bytes:
        return cls.member("pax", b"".join(map(cls.pax_record, records, records.values())), tarfile.XHDTYPE)

    @staticmethod
    def pax_record(keyword: str, value: str) -> bytes:
        rest = f" {keyword}={value}\n".encode()
        length = next(length for length in range(len(rest), len(rest) + 20) if length == len(rest) + len(str(length)))
        return str(length).encode() + rest

    @staticmethod
    def gzipped_with_zeros(start: bytes, mebibytes: int, end: bytes = b"") -> bytes:
        """A gzip of `start`, so many MiB of zeros and `end`, of which one MiB was compressed; its checksum is wrong."""
        compressor = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
        head = compressor.compress(start) + compressor.flush(zlib.Z_FULL_FLUSH)
        mebibyte = compressor.compress(bytes(1 << 20)) + compressor.flush(zlib.Z_FULL_FLUSH)
        tail = compressor.compress(end) + compressor.flush(zlib.Z_FINISH)
        return gzip.compress(b"")[:10] + head + mebibyte * mebibytes + tail + bytes(8)


@pytest.fixture(scope="session")
def raw() -> type[Raw]:
    return Raw


@pytest.fixture
def texts() -> Callable[[Bundle], dict[str, str]]:
    """The text of each source by its path."""
    return lambda bundle: {source.path: source.text for source in bundle.sources}


@pytest.fixture
def unpack() -> Callable[[Path, Path], Path]:
    """`unpack(archive, folder)`: an archive of our own making as a directory."""

    def unpack(archive: Path, folder: Path) -> Path:
        folder.mkdir()
        # not tarfile's own: its argument `filter` came with Python 3.11.4, and is asked for from 3.12 on
        subprocess.run(["tar", "-xzf", archive, "-C", folder], check=True)
        return folder

    return unpack
