"""The gate of the bundle room: the name and size of every member pass here, be it of an archive or of a directory."""

import re
import sys

from netdiag.bundle.limits import Limits, option
from netdiag.errors import BundleRefused

# PATH_MAX of Linux (limits.h): no file of a longer path can have been collected.
_LONGEST_PATH = 4096

# C0, DEL, C1, the line separators, and the bidirectional controls, with which a name looks like another one.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_SURROGATE = re.compile("[\ud800-\udfff]")


def visible(text: str) -> str:
    """`text` with each lone surrogate, which no output could encode, as an escape of its byte or its code.

    Python reads a byte that is not UTF-8 as such a surrogate (PEP 383): byte 0x80 + n is U+DC80 + n.
    """
    return text if text.isascii() else _SURROGATE.sub(_escape_surrogate, text)


def one_line(text: str, longest: int = 300) -> str:
    """`text` safe for one line of a terminal: what is not printable as escapes, cut after `longest` characters."""
    shown = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in visible(text[: longest + 1])
    )
    return shown if len(shown) <= longest else shown[:longest] + "…"


class Gate:
    """What has been let in of one bundle so far, and the limits on it. Every refusal names the bundle."""

    def __init__(self, bundle: str, limits: Limits) -> None:
        self.limits = limits
        self._bundle = bundle
        self._members = 0
        self._bytes = 0
        self._text_bytes = 0
        self._trace_bytes = 0
        self._files: set[str] = set()
        self._directories: set[str] = set()

    def refusal(self, reason: str, member: str = "") -> BundleRefused:
        """The error to raise: one line with the bundle, the member if there is one, and the reason."""
        return BundleRefused(": ".join(one_line(part) for part in (self._bundle, member, reason) if part))

    def over(self, limit: str, reason: str, member: str = "") -> BundleRefused:
        """The error to raise when a limit is passed; `limit` is the field of `Limits`."""
        return self.refusal(f"{reason}, {option(limit)} raises the limit", member)

    def admit_directory(self, name: str) -> str:
        """Count a directory and return its checked path, with `.` parts and doubled slashes gone. It may come twice."""
        path = self._admit(name)
        if path in self._files:
            raise self.refusal("is in the bundle twice, as a file and as a directory", path)
        self._directories.add(path)
        return path

    def admit_file(self, name: str) -> str:
        """Count a file and return its checked path, with `.` parts and doubled slashes gone."""
        path = self._admit(name)
        if not path:
            raise self.refusal("a file has no name", name)
        if path in self._files:
            raise self.refusal("is in the bundle twice", path)
        if path in self._directories:
            raise self.refusal("is in the bundle twice, as a file and as a directory", path)
        self._files.add(path)
        return path

    def admit_size(self, size: int, member: str) -> None:
        """Check the size in bytes of one file."""
        if size > self.limits.member_bytes:
            raise self.over("member_bytes", f"is larger than {self.limits.member_bytes} bytes", member)

    def spend(self, size: int, member: str = "") -> None:
        """Count bytes against the limit on all bytes."""
        self._bytes += size
        if self._bytes > self.limits.total_bytes:
            raise self.over("total_bytes", f"the bundle holds more than {self.limits.total_bytes} bytes", member)

    def spend_trace(self, size: int, member: str) -> None:
        """Count bytes of a long trace."""
        self._trace_bytes += size
        if self._trace_bytes > self.limits.trace_bytes:
            reason = f"the long traces of the bundle take more than {self.limits.trace_bytes} bytes"
            raise self.over("trace_bytes", reason, member)

    def spend_text(self, text: str, member: str) -> None:
        """Count the memory of decoded text against the limit on all bytes."""
        self._text_bytes += sys.getsizeof(text) - sys.getsizeof("")
        if self._text_bytes > self.limits.total_bytes:
            reason = f"the text of the bundle takes more than {self.limits.total_bytes} bytes of memory"
            raise self.over("total_bytes", reason, member)

    def _admit(self, name: str) -> str:
        self._members += 1
        if self._members > self.limits.members:
            raise self.over("members", f"the bundle holds more than {self.limits.members} files and directories", name)
        path = self._checked(name)
        parents = path.split("/")[:-1]
        for depth in range(1, len(parents) + 1):
            parent = "/".join(parents[:depth])
            if parent in self._files:
                raise self.refusal("lies in a directory that the bundle also holds as a file", path)
            self._directories.add(parent)
        return path

    def _checked(self, name: str) -> str:
        if len(name) > _LONGEST_PATH:
            raise self.refusal(f"the path is longer than {_LONGEST_PATH} characters", name)
        if _CONTROL.search(name):
            raise self.refusal("the path has a control character in it", name)
        if name.startswith("/"):
            raise self.refusal("the path is absolute", name)
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise self.refusal("the path leads upwards (`..`)", name)
        if len(parts) > self.limits.depth:
            raise self.over("depth", f"the path has more than {self.limits.depth} parts", name)
        return visible("/".join(parts))


def _escape_surrogate(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
