"""Reading a tar archive, gzipped or not, as a stream: no member is skipped unseen and none is written anywhere.

The header blocks are read by `tarfile`; the walk from header to header is our own, because `TarFile` reads extended
headers of any size into memory, takes a damaged header for the end of the archive, and leaves the gzip checksum
behind the end unread.
"""

import gzip
import re
import tarfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from netdiag.bundle.inventory import Member
from netdiag.bundle.stored import Intake

# Such a header holds a path and a few attributes; the largest attribute of Linux has 64 KiB (limits.h, XATTR_SIZE_MAX).
_EXTENSION_BYTES = 1024 * 1024
# A global and a local pax header, a long name and a long link name are all that tar programs write before one member.
_EXTENSIONS_PER_MEMBER = 4

_CHUNK = 1024 * 1024
_PAX_RECORD = re.compile(rb"([0-9]{1,9}) ([^=]+)=")
_KINDS = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a character device",
    tarfile.BLKTYPE: "a block device",
    tarfile.FIFOTYPE: "a fifo",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}
_REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)


def is_tar(block: bytes) -> bool:
    """Whether a file that starts with these 512 bytes is a tar: a header, or the zeros that end an empty archive."""
    if block[257:262] == b"ustar":
        return True
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return len(block) == tarfile.BLOCKSIZE and not any(block)
    return True


def archive_members(file: BinaryIO, intake: Intake, *, gzipped: bool) -> Iterator[tuple[str, Member]]:
    """Each file by its checked path, in the order of the archive.

    After the last member the archive is read to its end: it must hold the two blocks of zeros that end a tar (POSIX
    pax, "ustar interchange format"), nothing but zeros after them, and a right gzip checksum. Several gzip streams
    behind each other are one (RFC 1952, 2.2), zeros after them are padding; anything else there is refused. Raises
    `BundleRefused`.
    """
    if gzipped:
        with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
            yield from _Tar(unpacked, intake).files(None)
    else:
        yield from _Tar(file, intake).files(file)


class _Tar:
    def __init__(self, file: BinaryIO | gzip.GzipFile, intake: Intake) -> None:
        self._file = file
        self._intake = intake
        self._gate = intake.gate
        self._position = 0
        self._global_records: dict[str, str] = {}

    def files(self, plain: BinaryIO | None) -> Iterator[tuple[str, Member]]:
        """Each file; `plain` is the archive itself if it is not packed."""
        for path, header in self._headers():
            lies_at = (plain, self._position) if plain else None
            yield path, self._intake.take(path, header.size, self._chunks(header), lies_at)
            self._exactly(-header.size % tarfile.BLOCKSIZE, path)
        self._read_to_end()

    def _chunks(self, header: tarfile.TarInfo) -> Iterator[bytes]:
        """The bytes of a file, which count when they are taken in."""
        left = header.size
        while left > 0:
            chunk = self._whole(min(left, _CHUNK), header.name)
            left -= len(chunk)
            yield chunk

    def _headers(self) -> Iterator[tuple[str, tarfile.TarInfo]]:
        while (header := self._next_header()) is not None:
            if header.type == tarfile.DIRTYPE or (header.type == tarfile.AREGTYPE and header.name.endswith("/")):
                self._gate.admit_directory(header.name)
                continue
            if header.type not in _REGULAR:
                kind = _KINDS.get(header.type, f"of an unknown kind ({header.type!r})")
                raise self._gate.refusal(f"is {kind}, not a plain file", header.name)
            path = self._gate.admit_file(header.name)
            if header.size < 0:
                raise self._gate.refusal("corrupt tar: its size is negative", path)
            yield path, header

    def _next_header(self) -> tarfile.TarInfo | None:
        """The header of the next member, with its extended headers applied; None at the end mark."""
        records: dict[str, str] = {}
        for _ in range(_EXTENSIONS_PER_MEMBER + 1):
            block = self._exactly(tarfile.BLOCKSIZE)
            if not any(block):
                if records:
                    raise self._gate.refusal("corrupt tar: it ends between an extended header and its member")
                return None
            header = self._header(block)
            if header.type == tarfile.GNUTYPE_LONGNAME:
                records["path"] = self._long_name(header)
            elif header.type == tarfile.GNUTYPE_LONGLINK:
                self._long_name(header)
            elif header.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
                records |= self._pax_records(header)
            elif header.type == tarfile.XGLTYPE:
                self._global_records |= self._pax_records(header)
            else:
                return self._extended(header, self._global_records | records)
        raise self._gate.refusal(f"corrupt tar: more than {_EXTENSIONS_PER_MEMBER} extended headers before one member")

    def _header(self, block: bytes) -> tarfile.TarInfo:
        try:
            return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            if self._position == tarfile.BLOCKSIZE:
                raise self._gate.refusal("holds no tar archive") from None
            start = self._position - tarfile.BLOCKSIZE
            raise self._gate.refusal(f"corrupt tar header at byte {start}: {error}") from None

    def _extended(self, header: tarfile.TarInfo, records: dict[str, str]) -> tarfile.TarInfo:
        header.name = records.get("path", header.name)
        if any(key.startswith("GNU.sparse.") for key in records):
            raise self._gate.refusal("is a sparse file, not a plain file", header.name)
        if "size" in records:
            header.size = self._number(records["size"], header.name)
        return header

    def _number(self, digits: str, name: str) -> int:
        if not re.fullmatch("[0-9]{1,20}", digits):
            raise self._gate.refusal("corrupt tar: the size in its extended header is not a number", name)
        return int(digits)

    def _long_name(self, header: tarfile.TarInfo) -> str:
        return self._extension(header).partition(b"\0")[0].decode("utf-8", "surrogateescape")

    def _pax_records(self, header: tarfile.TarInfo) -> dict[str, str]:
        """The keyword and value of each record of an extended header: `<length> <keyword>=<value>` and a line feed."""
        data = self._extension(header)
        records: dict[str, str] = {}
        start = 0
        while start < len(data):
            found = _PAX_RECORD.match(data, start)
            end = start + int(found[1]) if found else 0
            if not found or not found.end() < end <= len(data) or data[end - 1 : end] != b"\n":
                raise self._gate.refusal("corrupt tar: an extended header cannot be read", header.name)
            keyword, value = found[2], data[found.end() : end - 1]
            records[keyword.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
            start = end
        return records

    def _extension(self, header: tarfile.TarInfo) -> bytes:
        if header.size > _EXTENSION_BYTES:
            raise self._gate.refusal(f"has an extended header larger than {_EXTENSION_BYTES} bytes")
        return self._data(header)

    def _data(self, header: tarfile.TarInfo) -> bytes:
        """The bytes behind a header, without the padding to whole blocks."""
        if header.size < 0:
            raise self._gate.refusal("corrupt tar: its size is negative", header.name)
        data = self._exactly(header.size, header.name)
        self._exactly(-header.size % tarfile.BLOCKSIZE, header.name)
        return data

    def _exactly(self, size: int, member: str = "") -> bytes:
        self._gate.spend(size, member)
        return self._whole(size, member)

    def _whole(self, size: int, member: str) -> bytes:
        data = self._read(size)
        if len(data) < size:
            if not self._position:
                raise self._gate.refusal("holds no tar archive, it is empty")
            raise self._gate.refusal(f"truncated: the tar stops at byte {self._position}, before its end mark", member)
        return data

    def _read_to_end(self) -> None:
        """Check what follows the first block of the end mark; in a gzip this is what makes its checksum be read."""
        trailer = self._exactly(tarfile.BLOCKSIZE)
        while trailer:
            if trailer.count(0) != len(trailer):
                raise self._gate.refusal("has data after the end mark of its tar")
            trailer = self._read(_CHUNK)
            self._gate.spend(len(trailer))

    def _read(self, size: int) -> bytes:
        try:
            data = self._file.read(size)
        except EOFError:
            raise self._gate.refusal(f"truncated: its gzip stops after {self._position} unpacked bytes") from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise self._gate.refusal(f"corrupt gzip after {self._position} unpacked bytes: {error}") from None
        self._position += len(data)
        return data
