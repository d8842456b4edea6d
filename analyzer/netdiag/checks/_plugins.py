"""Checks of other people's packages, found by their entry points.

A package names each of its checks in its metadata::

    [project.entry-points."netdiag.checks"]
    acme-no-telnet = "acme_netdiag:acme_no_telnet"

What is wrong with one of them costs only that one: a check stands in its place that says so when it is run.
"""

import re
import sys
from collections.abc import Collection, Iterator
from dataclasses import replace
from glob import escape, iglob
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING

from netdiag.checks._base import Check, NotLoaded, Verdicts
from netdiag.finding import Severity
from netdiag.model import Host

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "netdiag.checks"
LAYER = "plug-in"

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def plugged_in(taken: Collection[str]) -> Iterator[Check]:
    """The checks of other packages, in the order of their names. `taken` are the names that netdiag's own have."""
    if not _may_be_named():
        return
    from importlib.metadata import entry_points  # noqa: PLC0415  # loads the reader of e-mails

    seen = set(taken)
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        check = _loaded(entry, seen)
        seen.add(check.name)
        yield check


def _may_be_named() -> bool:
    """Whether any installed package names a check, from a look at the files in which packages name their entry points.

    True also where packages may be that are no files in a folder: importlib.metadata, which takes as long as a tenth of
    a small analysis, then knows.
    """
    if any(hasattr(finder, "find_distributions") and finder is not PathFinder for finder in sys.meta_path):
        return True
    for place in map(Path, sys.path):
        if place.is_file():
            return True
        for folder in ("*.dist-info", "*.egg-info", "EGG-INFO"):
            for file in iglob(f"{escape(str(place))}/{folder}/entry_points.txt"):
                if GROUP.encode() in Path(file).read_bytes():
                    return True
    return False


def _loaded(entry: "EntryPoint", taken: Collection[str]) -> Check:
    origin = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "a package without a name"
    try:
        found = entry.load()
    except (Exception, SystemExit) as error:  # importing runs the package's code, which may do anything
        return _stand_in(entry, origin, taken, f"{entry.value} cannot be imported: {type(error).__name__}: {error}")
    if not isinstance(found, Check):
        return _stand_in(entry, origin, taken, f"{entry.value} is a {type(found).__name__}, not a check")
    if not _NAME.fullmatch(found.name):
        return _stand_in(entry, origin, taken, f"the name {found.name!r} is not in kebab-case")
    if found.name in taken:
        return _stand_in(entry, origin, taken, f"there is another check named {found.name}")
    return replace(found, origin=origin)


def _stand_in(entry: "EntryPoint", origin: str, taken: Collection[str], trouble: str) -> Check:
    """A check that only says why the true one cannot be run. Its name is the entry point's, made one of its own."""
    name = "-".join(re.findall("[a-z0-9]+", entry.name.lower())) or LAYER
    while name in taken:
        name += "-not-loaded"

    def run(_: Host) -> Verdicts:
        raise NotLoaded(f"the plug-in of {origin} was not loaded: {trouble}")

    return Check(name, LAYER, Severity.NOTE, f"Not loaded: {trouble}.", run, origin=origin)
