"""The container engines, and the dialect of firewall rules that the version of Docker programs."""

import re
from dataclasses import dataclass, field
from enum import Enum

from netdiag.formats.records import (
    DaemonSetting,
    EngineInfo,
    EngineVersion,
    FileEntry,
    JournalLine,
    NetavarkDriver,
    PodmanInfo,
    ProcessLine,
    Rule,
    UnitProperty,
)
from netdiag.model.firewall import FirewallTable
from netdiag.model.knowledge import Facts
from netdiag.model.nftables import NativeTable
from netdiag.spans import Span

_FIRST_WITH_TWO_ISOLATION_CHAINS = 18
_VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")


class Dialect(Enum):
    """The ways in which Docker Engine has programmed the firewall. Read from moby's rule documents of each release."""

    UP_TO_17 = "up to 17.12"
    UP_TO_27 = "18 to 27"
    V28_0_0 = "28.0.0"
    V28 = "28.0.1 to 28.5"
    V29_IPTABLES = "29 with iptables"
    V29_NFTABLES = "29 with nftables"

    @property
    def derives_macs(self) -> bool:
        """Whether a bridge endpoint's MAC address is `02:42:` and its IPv4 address; from 28.0.0 on it is random."""
        return self in (Dialect.UP_TO_17, Dialect.UP_TO_27)


@dataclass(frozen=True)
class Silence:
    """Docker was asked and did not answer: what its client says, and where. `hangs` is whether it was given up on.

    With `asleep` it was not asked, which would have started it: then systemd says so.
    """

    message: str
    span: Span | None = None
    hangs: bool = False
    asleep: bool = False


@dataclass(frozen=True)
class Engine:
    """Docker as far as the bundle tells. `dialect_proof` is the line that the dialect was read from; `absent` is why
    there is no Docker on this host, empty when there is or may be one.

    `silence` is set when it was asked and did not answer. `processes` are the dockerd processes of every network
    namespace, `files` its pid file and socket and the host's resolv.conf, `unit` and `journal` what systemd says.
    """

    version: EngineVersion | None = None
    info: EngineInfo | None = None
    settings: Facts[DaemonSetting] = field(default_factory=Facts)
    dialect: Dialect | None = None
    dialect_proof: Span | None = None
    absent: str = ""
    silence: Silence | None = None
    processes: Facts[ProcessLine] = field(default_factory=Facts)
    files: Facts[FileEntry] = field(default_factory=Facts)
    unit: Facts[UnitProperty] = field(default_factory=Facts)
    journal: Facts[JournalLine] = field(default_factory=Facts)

    def file(self, path: str) -> FileEntry | None:
        return next((each for each in self.files if each.path == path), None)

    def setting(self, name: str) -> DaemonSetting | None:
        return next((setting for setting in self.settings if setting.name == name), None)


@dataclass(frozen=True)
class Podman:
    """Podman as far as the bundle tells, `absent` as for Docker. It has no daemon that keeps its rules; `driver` is by
    what its network backend programs them.
    """

    version: EngineVersion | None = None
    info: PodmanInfo | None = None
    driver: NetavarkDriver | None = None
    absent: str = ""


def dialect_of(
    version: EngineVersion | None,
    firewall: Facts[FirewallTable],
    nftables: Facts[NativeTable],
    info: EngineInfo | None,
    settings: Facts[DaemonSetting],
) -> tuple[Dialect | None, Span | None]:
    """The dialect and the line that tells it.

    What the engine says of its backend comes first. Rules that only one dialect programs are stronger than the version,
    because distributions backport and because the rules are what the packets meet; without such rules the version
    decides.
    """
    by_backend = _nftables_backend(info, settings)
    if by_backend:
        return Dialect.V29_NFTABLES, by_backend
    by_rules = _dialect_of_rules(firewall)
    if by_rules:
        return by_rules
    table = next((table for table in nftables if (table.family, table.name) == ("ip", "docker-bridges")), None)
    if table:
        return Dialect.V29_NFTABLES, table.head.span
    number = _VERSION.match(version.version) if version else None
    if version is None or number is None:
        return None, None
    major, minor, patch = (int(part or 0) for part in number.groups())
    if major < _FIRST_WITH_TWO_ISOLATION_CHAINS:
        return Dialect.UP_TO_17, version.span
    if major < 28:
        return Dialect.UP_TO_27, version.span
    if (major, minor, patch) == (28, 0, 0):
        return Dialect.V28_0_0, version.span
    return (Dialect.V28 if major == 28 else Dialect.V29_IPTABLES), version.span


def _nftables_backend(info: EngineInfo | None, settings: Facts[DaemonSetting]) -> Span | None:
    """Where the engine says, or was told, that it uses its nftables backend."""
    if info and info.firewall_driver:
        return info.span if "nftables" in info.firewall_driver else None
    setting = next((setting for setting in settings if setting.name == "firewall-backend"), None)
    return setting.span if setting and setting.value == '"nftables"' else None


def _dialect_of_rules(firewall: Facts[FirewallTable]) -> tuple[Dialect, Span] | None:
    chains = {
        chain.name: chain
        for table in firewall
        if table.family == "ipv4" and table.name == "filter"
        for chain in table.chains.values()
    }
    if "DOCKER-INTERNAL" in chains:
        return Dialect.V29_IPTABLES, chains["DOCKER-INTERNAL"].head.span
    if "DOCKER-FORWARD" in chains:
        return Dialect.V28, chains["DOCKER-FORWARD"].head.span
    if "DOCKER-ISOLATION" in chains:
        return Dialect.UP_TO_17, chains["DOCKER-ISOLATION"].head.span
    own_port = _own_port_masquerade(firewall)
    return (Dialect.UP_TO_27, own_port.span) if own_port else None


def _own_port_masquerade(firewall: Facts[FirewallTable]) -> Rule | None:
    """A MASQUERADE of a container to its own published port beside an OUTPUT jump that spares 127.0.0.0/8.

    The jump shows that the userland proxy is on, and with the proxy on only engines up to 27 write the MASQUERADE.
    """
    for table in firewall:
        if table.family != "ipv4" or table.name != "nat" or not {"OUTPUT", "POSTROUTING"} <= table.chains.keys():
            continue
        proxy_is_on = any(
            rule.target == "DOCKER" and rule.destination_negated and str(rule.destination) == "127.0.0.0/8"
            for rule in table.chains["OUTPUT"].rules
        )
        for rule in table.chains["POSTROUTING"].rules:
            to_itself = rule.source is not None and rule.source == rule.destination and rule.source.num_addresses == 1
            if proxy_is_on and rule.target == "MASQUERADE" and to_itself:
                return rule
    return None
