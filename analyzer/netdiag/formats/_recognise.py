"""What a loose file is, found from its content by trying: for files that somebody mailed, without a manifest.

A grammar says in a comment what every output of its format has (`// Every such output has: /a regular expression/`): a
file without it is not tried, and the format's module not loaded. A format whose grammar says nothing is always tried.
"""

import re
from collections.abc import Iterable
from functools import cache

from netdiag import places
from netdiag.formats._document import Document, Format
from netdiag.spans import Source

# enough to tell outputs apart, and little enough for every format to try
_HEAD_LINES = 200
# characters of a line in which to look for what an output must have; no line of a real one is longer
_WIDTH = 65536
# formats that take words they do not know, and so the lines of others too: of equally good readers they come last, the
# more such words a format takes the later
_PLAIN = ("hosts", "ip_route")
# formats that take any key with a value: without a record they have recognised nothing
_OPEN = (*_PLAIN, "docker_info_text", "podman_info_text")

_MARK = re.compile(r"^// Every such output has: /(.*)/$", re.MULTILINE)


def may_be(name: str, source: Source) -> bool:
    """Whether a source could be an output of the format of this name, from a look at its head."""
    if not _has_grammar(name):  # JSON outputs have a schema or nothing where the others have a grammar
        return source.text.lstrip()[:1] in ("{", "[", '"')
    mark = _mark(name)
    return mark is None or mark.search("\n".join(line[:_WIDTH] for line in source.lines[:_HEAD_LINES])) is not None


@cache
def _has_grammar(name: str) -> bool:
    return (places.grammars() / f"{name}.lark").exists()


@cache
def _mark(name: str) -> re.Pattern[str] | None:
    found = _MARK.search((places.grammars() / f"{name}.lark").read_text(encoding="utf-8"))
    return re.compile(found[1], re.MULTILINE) if found else None


def _head(source: Source) -> str:
    return "\n".join(source.lines[:_HEAD_LINES])


def best(source: Source, formats: Iterable[Format]) -> Format | None:
    """The format that reads the largest share of the source's head.

    It must read more than half of the lines that are not blank, and find at least one record. Of formats that read
    equally much those that read others' lines too come last, else the one with more records is taken (it tells more
    apart), of those the first by name. A heading with nothing below it tells something too, that there is nothing: it
    is taken when one format alone reads it whole.
    """
    tried = ((format_, _read_head(source, format_)) for format_ in formats)
    ranked = [(_share(document), len(document.records), format_) for format_, document in tried]
    candidates = [entry for entry in ranked if entry[0] > 0.5 and entry[1] > 0]
    if not candidates:
        whole = [format_ for share, _, format_ in ranked if share == 1 and format_.name not in _OPEN]
        return whole[0] if len(whole) == 1 and not _is_all_comment(source) else None
    return min(candidates, key=lambda entry: (-entry[0], _plainness(entry[2]), -entry[1], entry[2].name))[2]


def _is_all_comment(source: Source) -> bool:
    return all(line.lstrip().startswith("#") for line in source.lines if line.strip())


def _plainness(format_: Format) -> int:
    return _PLAIN.index(format_.name) + 1 if format_.name in _PLAIN else 0


def _read_head(source: Source, format_: Format) -> Document:
    """The format's reading of the head. JSON cannot be read in part: it is read whole."""
    if _has_grammar(format_.name):
        source = Source(source.path, _head(source), source.command, source.scope)
    return format_.read(source)


def _share(document: Document) -> float:
    """How much of the lines that are not blank was read, from 0 to 1."""
    lines = sum(1 for line in document.source.lines if line.strip())
    return 1 - len(document.unread) / lines if lines else 0
