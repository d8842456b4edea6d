"""The command line of a running dockerd, an argument a line: the settings that do not stand in daemon.json."""

import json

from lark import Token, Tree

from netdiag.formats._document import Document, Format, Unread
from netdiag.formats._lines import read_lines
from netdiag.formats.records import DaemonSetting
from netdiag.spans import Source


def read(source: Source) -> Document:
    """Every option as a setting; never raises. An option without a value is `true` unless the next argument is
    its value.
    """
    settings: list[DaemonSetting] = []
    unread: list[Unread] = []
    open_option = False
    for number, tree in read_lines(source, "dockerd_cmdline"):
        if isinstance(tree, Unread):
            unread.append(tree)
            continue
        kind, texts = _argument(tree)
        if kind == "value" and not open_option:
            unread.append(Unread(number, "a value without an option before it"))
        elif kind == "value":
            settings[-1] = _setting(source, number - 1, settings[-1].name, texts[0])
        elif kind != "program":
            settings.append(_setting(source, number, texts[0], texts[1] if kind == "assigned" else "true"))
        open_option = kind == "option"
    return Document(source, FORMAT.name, tuple(settings), tuple(unread))


def _argument(tree: Tree[Token]) -> tuple[str, list[str]]:
    (argument,) = tree.find_pred(lambda node: node.data != "line")
    texts = [str(child) for child in argument.children if child is not None]
    return str(argument.data), [*texts, ""]


def _setting(source: Source, line: int, option: str, value: str) -> DaemonSetting:
    """`value` as JSON text, the same as daemon.json would have it."""
    text = value if value in ("true", "false") else json.dumps(value)
    return DaemonSetting(option.lstrip("-"), text, source.span(line))


FORMAT = Format(
    name="dockerd_cmdline",
    title="command line of the running dockerd",
    commands=("tr '\\0' '\\n' </proc/$(pidof dockerd)/cmdline",),
    read=read,
)
