"""The bundle room: an archive, a directory or loose files become sources. Nothing is ever written at a place that a
bundle names.

Everything in a bundle is taken for hostile: names, sizes, nesting and the manifest are checked before a parser sees a
line.
"""

from netdiag.bundle.contents import Bundle, NotCollected, Problem
from netdiag.bundle.limits import Limits
from netdiag.bundle.reader import open_bundle, open_stream

__all__ = ["Bundle", "Limits", "NotCollected", "Problem", "open_bundle", "open_stream"]
