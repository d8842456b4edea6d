"""`ethtool`: a device's link settings, driver, offloads, statistics and rings.

All of its listings are one format, because they are often asked for in one go; each has a type of record of its own.
"""

from dataclasses import dataclass, replace
from typing import Any

from lark import Token, Transformer, v_args

from netdiag.formats._document import Document, Format, Record, Unread
from netdiag.formats._lines import line_span, read_lines
from netdiag.formats.records import DeviceCounter, DeviceFeature, DriverInfo, LinkSettings, RingParameters
from netdiag.spans import Source, Span

_ANSWERS = {"on": True, "off": False, "yes": True, "no": False}
# the fields of DriverInfo; the other lines are its details
_DRIVER_FIELDS = {"version": "version", "firmware-version": "firmware_version", "bus-info": "bus_info"}


@dataclass(frozen=True)
class _Heading:
    topic: str
    device: str


@dataclass(frozen=True)
class _Subheading:
    name: str


@dataclass(frozen=True)
class _Speed:
    megabits: int


@dataclass(frozen=True)
class _Choice:
    name: str
    word: str
    reason: str


@dataclass(frozen=True)
class _Setting:
    name: str
    value: str


@dataclass(frozen=True)
class _More:
    text: str


@dataclass(frozen=True)
class _Driver:
    name: str
    value: str


@dataclass(frozen=True)
class _Feature:
    name: str
    enabled: bool
    fixed: bool
    requested: bool | None


@dataclass(frozen=True)
class _Ring:
    name: str
    value: int | str | None


@dataclass(frozen=True)
class _Statistic:
    name: str
    value: int


@v_args(inline=True)
class _Meaning(Transformer[Token, Any]):
    """A line's tree as one of the classes above; None for what tells nothing of a device."""

    def line(self, meaning: Any) -> Any:
        return meaning

    def heading(self, topic: Token, device: Token) -> _Heading:
        return _Heading(str(topic), str(device))

    def statistics(self) -> None:
        return None

    nothing = statistics

    def subheading(self, name: Token) -> _Subheading:
        return _Subheading(str(name))

    def speed(self, number: Token) -> _Speed:
        return _Speed(int(number))

    def choice(self, name: Token, word: Token, reason: Token | str = "") -> _Choice:
        return _Choice(name.strip().rstrip(":"), word.lower(), str(reason))

    def setting(self, name: Token, value: Token | str = "") -> _Setting:
        return _Setting(name.strip().rstrip(":"), str(value))

    def more(self, text: Token) -> _More:
        return _More(str(text))

    def driver(self, name: Token, value: Token | str = "") -> _Driver:
        return _Driver(name.rstrip(":"), str(value))

    def feature(self, name: Token, *words: Token) -> _Feature:
        switches = [word == "on" for word in words if word.type == "SWITCH"]
        fixed = any(word.type == "FIXED" for word in words)
        return _Feature(name.strip().rstrip(":"), switches[0], fixed, switches[1] if switches[1:] else None)

    def ring(self, name: Token, value: Token) -> _Ring:
        if value.type == "NONE":
            return _Ring(name.rstrip(":"), None)
        return _Ring(name.rstrip(":"), int(value) if value.type == "INT" else str(value))

    def statistic(self, name: Token, value: Token) -> _Statistic:
        return _Statistic(name.strip().rstrip(":"), int(value))


class _Listings:
    """The records so far, and where the next line belongs: under the heading above it."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.heading = _Heading("", "")
        self.subheading = ""
        self.setting = ""

    def take(self, meaning: Any, span: Span) -> str | None:
        """Add what a line means; the reason, where it cannot be told."""
        match meaning:
            case _Heading():
                self.heading, self.setting = meaning, ""
                if meaning.topic == "Settings":
                    self.records.append(LinkSettings(meaning.device, span))
                elif meaning.topic == "Ring parameters":
                    self.records.append(RingParameters(meaning.device, span))
            case _Subheading(name):
                self.subheading = name
            case _Statistic(name, value):
                self.records.append(DeviceCounter(name, value, span))
            case _Feature(name, enabled, fixed, requested):
                if self.heading.topic not in ("Features", "Offload parameters"):
                    return "no heading of a device's features above it"
                self.records.append(DeviceFeature(self.heading.device, name, enabled, span, fixed, requested))
            case _Driver(name, value):
                return self._driver(name, value, span)
            case _Ring(name, value):
                return self._ring(name, value)
            case _:
                return self._setting(meaning)
        return None

    def _driver(self, name: str, value: str, span: Span) -> str | None:
        last = self.records[-1] if self.records else None
        if name == "driver":
            self.records.append(DriverInfo(value, span))
        elif not isinstance(last, DriverInfo):
            return "no driver above it"
        elif name in _DRIVER_FIELDS:
            told: dict[str, Any] = {_DRIVER_FIELDS[name]: value or None}
            self.records[-1] = replace(last, **told)
        else:
            self.records[-1] = replace(last, details={**last.details, name: value})
        return None

    def _ring(self, name: str, value: int | str | None) -> str | None:
        last = self.records[-1] if self.records else None
        if not isinstance(last, RingParameters):
            return "no heading of a device's rings above it"
        if isinstance(value, str):
            self.records[-1] = replace(last, details={**last.details, name: value})
        elif isinstance(value, int) and self.subheading == "Pre-set maximums:":
            self.records[-1] = replace(last, maximum={**last.maximum, name: value})
        elif isinstance(value, int):
            self.records[-1] = replace(last, current={**last.current, name: value})
        return None

    def _setting(self, meaning: _Speed | _Choice | _Setting | _More) -> str | None:
        last = self.records[-1] if self.records else None
        if not isinstance(last, LinkSettings):
            return "no heading of a device's settings above it"
        match meaning:
            case _Speed(megabits):
                self.records[-1] = replace(last, speed=megabits)
            case _Choice(name, word, reason):
                self.records[-1] = _with_choice(last, name, word, reason)
            case _Setting("Port", value):
                self.records[-1] = replace(last, port=value)
            case _Setting(name, value):
                self.setting = name
                self.records[-1] = replace(last, details={**last.details, name: value})
            case _More(text) if self.setting:
                longer = f"{last.details[self.setting]} {text}"
                self.records[-1] = replace(last, details={**last.details, self.setting: longer})
            case _More():
                return "no setting above it"
        return None


def _with_choice(settings: LinkSettings, name: str, word: str, reason: str) -> LinkSettings:
    details = {**settings.details, **({name: reason} if reason else {})}
    if name == "Duplex":
        return replace(settings, duplex=word if word in ("full", "half") else None, details=details)
    if name == "Auto-negotiation":
        return replace(settings, autonegotiation=_ANSWERS.get(word), details=details)
    return replace(settings, link_detected=_ANSWERS.get(word), details=details)


def read(source: Source) -> Document:
    """Every setting, driver, offload, counter and ring; never raises."""
    listings = _Listings()
    unread: list[Unread] = []
    for number, meaning in read_lines(source, FORMAT.name, _Meaning()):
        if isinstance(meaning, Unread):
            unread.append(meaning)
        elif meaning is not None:
            reason = listings.take(meaning, line_span(source, number))
            if reason:
                unread.append(Unread(number, reason))
    return Document(source, FORMAT.name, tuple(listings.records), tuple(unread))


FORMAT = Format(
    name="ethtool",
    title="settings, driver, offloads, counters and rings of a device (ethtool)",
    commands=("ethtool eth0", "ethtool -i eth0", "ethtool -k eth0", "ethtool -S eth0", "ethtool -g eth0"),
    read=read,
)
