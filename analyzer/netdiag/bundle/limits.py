"""How much a bundle may bring in before it is refused."""

from dataclasses import dataclass

_MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """The limits on one bundle. Passing one of them refuses the bundle; the message names the option that raises it.

    `members`: files and directories, at most.
    `member_bytes`: bytes of one file, unpacked.
    `total_bytes`: bytes of the whole unpacked archive, tar headers and padding included (of a directory: of its
    files). The decoded text is held to the same number of bytes of memory: with characters beyond Latin-1 in it, a
    text takes two or four bytes a character, and a byte that is not UTF-8 becomes four characters.
    `trace_bytes`: bytes of all long traces (of more than 16 MiB each), unpacked. They are not held in memory and count
    against no other limit on bytes. A packed one takes as much room in the directory of temporary files.
    `depth`: parts of a path, so `top/host/ip_addr.txt` has three.
    `manifest_bytes`: bytes of manifest.json, which takes up to some thirty times its size of memory when it is read.
    `manifest_nesting`: arrays and objects within each other in manifest.json.

    Memory is bounded by `total_bytes` for the text, five times `member_bytes` for the member being read, and the
    manifest. An ordinary bundle of ASCII text takes its own unpacked size.
    """

    members: int = 20_000
    member_bytes: int = 256 * _MIB
    total_bytes: int = 1024 * _MIB
    trace_bytes: int = 8 * 1024 * _MIB
    depth: int = 16
    manifest_bytes: int = 16 * _MIB
    manifest_nesting: int = 32


DEFAULT_LIMITS = Limits()


def option(limit: str) -> str:
    """The command-line option that sets a field of `Limits`: `member_bytes` is `--max-member-bytes`."""
    return "--max-" + limit.replace("_", "-")
