"""Checks of other people's packages, found by their entry points.

A package names each of its checks in its metadata::

    [project.entry-points."netdiag.checks"]
    acme-no-telnet = "acme_netdiag:acme_no_telnet"

What is wrong with one of them costs only that one: a check stands in its place that says so when it is run.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from importlib.metadata import EntryPoint, entry_points

from netdiag.checks._base import Check, NotLoaded, Verdicts
from netdiag.finding import Severity
from netdiag.model import Host

GROUP = "netdiag.checks"
LAYER = "plug-in"

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def plugged_in(taken: Collection[str]) -> Iterator[Check]:
    """The checks of other packages, in the order of their names. `taken` are the names that netdiag's own have."""
    seen = set(taken)
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
        check = _loaded(entry, seen)
        seen.add(check.name)
        yield check


def _loaded(entry: EntryPoint, taken: Collection[str]) -> Check:
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


def _stand_in(entry: EntryPoint, origin: str, taken: Collection[str], trouble: str) -> Check:
    """A check that only says why the true one cannot be run. Its name is the entry point's, made one of its own."""
    name = "-".join(re.findall("[a-z0-9]+", entry.name.lower())) or LAYER
    while name in taken:
        name += "-not-loaded"

    def run(_: Host) -> Verdicts:
        raise NotLoaded(f"the plug-in of {origin} was not loaded: {trouble}")

    return Check(name, LAYER, Severity.NOTE, f"Not loaded: {trouble}.", run, origin=origin)
