"""What `ethtool` tells of the devices of a namespace, its listings joined by device.

Some listings name their device in a heading; of those that do not (`-i`, `-S`) the command names it, or the listing
before them in the same output.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from netdiag.formats import Document
from netdiag.formats.records import DeviceCounter, DeviceFeature, DriverInfo, LinkSettings, RingParameters

T = TypeVar("T")

_NAMES_ITS_DEVICE = (LinkSettings, DeviceFeature, RingParameters)


@dataclass(frozen=True)
class Nic:
    """A device by what its driver says. Each part is None, or empty, where that listing was not collected."""

    name: str
    settings: LinkSettings | None = None
    features: Mapping[str, DeviceFeature] = field(default_factory=dict)
    rings: RingParameters | None = None
    counters: Mapping[str, DeviceCounter] = field(default_factory=dict)
    driver: DriverInfo | None = None


def build_nics(documents: Iterable[Document]) -> tuple[Nic, ...]:
    """The devices of all outputs of `ethtool` of a namespace."""
    by_device: dict[str, list[object]] = defaultdict(list)
    for document in documents:
        words = document.source.command.split()
        device = words[-1] if len(words) > 1 else ""
        for record in document.records:
            if isinstance(record, _NAMES_ITS_DEVICE):
                device = record.device
            if device:
                by_device[device].append(record)
    return tuple(_joined(device, records) for device, records in by_device.items())


def _joined(name: str, records: list[object]) -> Nic:
    return Nic(
        name,
        settings=_last(records, LinkSettings),
        features={record.name: record for record in records if isinstance(record, DeviceFeature)},
        rings=_last(records, RingParameters),
        counters={record.name: record for record in records if isinstance(record, DeviceCounter)},
        driver=_last(records, DriverInfo),
    )


def _last(records: list[object], kind: type[T]) -> T | None:
    return next((record for record in reversed(records) if isinstance(record, kind)), None)
