"""`docker info` as people paste it: where the engine runs and in which mode.

Of what the JSON form tells, this one leaves out whether IPv4 forwarding is on; that it is off is a warning, and the
record then stands at that line, because it is what somebody will want to see. Security options are given in the JSON
form's words (`name=seccomp,profile=default`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format, Unread
from netdiag.formats._lines import line_span, read_lines
from netdiag.formats._values import address, address_of_pair, address_pool
from netdiag.formats.records import AddressPool, EngineInfo, NoAnswer, Remark, Swarm
from netdiag.spans import Source

_FORWARDING_IS_OFF = "IPv4 forwarding is disabled"


@dataclass(frozen=True)
class _Line:
    """`indent` is in characters; an item of a list has a `text` and no `key`."""

    indent: int
    key: str
    text: str


@v_args(inline=True)
class _Meaning(Transformer[Token, _Line]):
    def setting(self, indent: Token | None, key: Token, text: Token | None) -> _Line:
        return _Line(len(indent or ""), str(key), str(text or ""))

    def item(self, indent: Token, text: Token) -> _Line:
        return _Line(len(indent), "", str(text))

    def line(self, line: _Line) -> _Line:
        return line


def read(source: Source) -> Document:
    """The engine's description, or why the client got no answer; never raises."""
    unread: list[Unread] = []
    lines: list[tuple[int, _Line]] = []
    for number, line in read_lines(source, FORMAT.name, _Meaning()):
        if isinstance(line, Unread):
            unread.append(line)
        else:
            lines.append((number, line))
    return Document(source, FORMAT.name, tuple(_infos(source, lines)), tuple(unread))


def _infos(source: Source, lines: Sequence[tuple[int, _Line]]) -> Iterator[EngineInfo | NoAnswer]:
    number, version = next(((number, line) for number, line in lines if line.key == "Server Version"), (0, None))
    if version is None:
        errors = ((number, line.text) for number, line in lines if line.key == "ERROR")
        yield from (NoAnswer(text, line_span(source, number)) for number, text in errors)
        return
    said = [line for _, line in lines]
    warning = next((number for number, line in lines if line.text == _FORWARDING_IS_OFF), None)
    settings = {line.key: line.text for line in said if line.indent == version.indent}
    live_restore = settings.get("Live Restore Enabled")
    pools = (_pool(line) for line in _below(said, version.indent, "Default Address Pools"))
    yield EngineInfo(
        host_name=settings.get("Name") or None,
        operating_system=settings.get("Operating System") or None,
        security_options=tuple(_security_options(said, version.indent)),
        swarm_state=settings.get("Swarm") or None,
        firewall_driver=settings.get("Firewall Backend") or None,
        ipv4_forwarding=False if warning else None,
        live_restore=live_restore == "true" if live_restore else None,
        place=line_span(source, warning or number),
        address_pools=tuple(pool for pool in pools if pool),
        swarm=_swarm(source, lines, version.indent),
        warnings=tuple(Remark(line.text, line_span(source, at)) for at, line in lines if line.key == "WARNING"),
        kernel=settings.get("Kernel Version") or None,
        http_proxy=settings.get("HTTP Proxy") or None,
        https_proxy=settings.get("HTTPS Proxy") or None,
        no_proxy=settings.get("No Proxy") or None,
    )


def _swarm(source: Source, lines: Sequence[tuple[int, _Line]], indent: int) -> Swarm | None:
    """What stands below `Swarm: active`."""
    number, state = next(((number, line.text) for number, line in lines if line.key == "Swarm"), (0, ""))
    if state in ("", "inactive"):
        return None
    said = list(_below([line for _, line in lines], indent, "Swarm"))
    told = {line.key: line.text for line in said}
    is_manager = told.get("Is Manager")
    managers = (address_of_pair(line.text or line.key) for line in _below(said, indent + 1, "Manager Addresses"))
    return Swarm(
        place=line_span(source, number),
        node_address=address(told.get("Node Address")),
        is_manager=is_manager == "true" if is_manager else None,
        managers=tuple(found for found in managers if found),
        nodes=_number(told.get("Nodes")),
        data_path_port=_number(told.get("Data Path Port")),
    )


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _below(lines: Sequence[_Line], indent: int, heading: str) -> Iterator[_Line]:
    """The lines below a heading."""
    found = False
    for line in lines:
        if line.indent <= indent and found:
            return
        if found:
            yield line
        found = found or (line.key == heading and line.indent == indent)


def _pool(line: _Line) -> AddressPool | None:
    """`Base: 172.80.0.0/16, Size: 24`."""
    base, _, size = line.text.partition(", Size: ")
    return address_pool(base, size) if line.key == "Base" else None


def _security_options(lines: Sequence[_Line], indent: int) -> Iterator[str]:
    """The items below `Security Options`, each with the settings below it."""
    words: list[str] = []
    for line in _below(lines, indent, "Security Options"):
        if not line.key and words:
            yield ",".join(words)
            words = []
        words.append(f"{line.key.lower()}={line.text}" if line.key else f"name={line.text}")
    if words:
        yield ",".join(words)


FORMAT = Format(
    name="docker_info_text",
    title="docker info",
    commands=("docker info",),
    read=read,
)
