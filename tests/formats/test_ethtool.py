import pytest

from netdiag import formats
from netdiag.formats import Document, Record, Unread
from netdiag.formats.records import DeviceCounter, DeviceFeature, DriverInfo, LinkSettings, RingParameters
from netdiag.spans import Source


def read(text: str) -> Document:
    return formats.get("ethtool").read(Source("ethtool.txt", text))


def only_record(text: str) -> Record:
    document = read(text)
    assert document.unread == ()
    (record,) = document.records
    return record


@pytest.mark.parametrize(
    ("lines", "speed", "duplex", "autonegotiation", "link"),
    [
        ("\tSpeed: 1000Mb/s\n\tDuplex: Full\n\tAuto-negotiation: on\n\tLink detected: yes", 1000, "full", True, True),
        ("\tSpeed: 10Mb/s\n\tDuplex: Half\n\tAuto-negotiation: off\n\tLink detected: no", 10, "half", False, False),
        ("\tSpeed: Unknown!\n\tDuplex: Unknown! (255)\n", None, None, None, None),
    ],
)
def test_link_settings_are_typed_where_they_are_known(
    *, lines: str, speed: int | None, duplex: str | None, autonegotiation: bool | None, link: bool | None
) -> None:
    settings = only_record("Settings for eth0:\n" + lines)
    assert isinstance(settings, LinkSettings)
    assert (settings.device, settings.speed, settings.duplex) == ("eth0", speed, duplex)
    assert (settings.autonegotiation, settings.link_detected) == (autonegotiation, link)


def test_why_there_is_no_link_is_kept() -> None:
    settings = only_record("Settings for eth0:\n\tLink detected: no (No cable)\n")
    assert isinstance(settings, LinkSettings)
    assert (settings.link_detected, settings.details) == (False, {"Link detected": "(No cable)"})


def test_a_setting_of_several_lines_is_one() -> None:
    settings = only_record(
        "Settings for eth0:\n\tSupported link modes:   10baseT/Half 10baseT/Full\n"
        "\t                        100baseT/Half\n\tWake-on: g\n        Current message level: 0x07 (7)\n"
        "                               drv probe link\n"
    )
    assert isinstance(settings, LinkSettings)
    assert settings.details == {
        "Supported link modes": "10baseT/Half 10baseT/Full 100baseT/Half",
        "Wake-on": "g",
        "Current message level": "0x07 (7) drv probe link",
    }


def test_the_driver_is_one_record() -> None:
    info = only_record("driver: veth\nversion: 1.0\nfirmware-version: \nbus-info: \nsupports-test: no\n")
    assert isinstance(info, DriverInfo)
    assert (info.driver, info.version, info.firmware_version, info.bus_info) == ("veth", "1.0", None, None)
    assert info.details == {"supports-test": "no"}


@pytest.mark.parametrize(
    ("line", "name", "enabled", "fixed", "requested"),
    [
        ("rx-checksumming: on", "rx-checksumming", True, False, None),
        ("\ttx-checksum-ipv4: off [fixed]", "tx-checksum-ipv4", False, True, None),
        ("tx-udp_tnl-segmentation: off [requested on]", "tx-udp_tnl-segmentation", False, False, True),
    ],
)
def test_a_feature_is_on_or_off_fixed_or_asked_for(
    *, line: str, name: str, enabled: bool, fixed: bool, requested: bool | None
) -> None:
    document = read(f"Features for eth0:\n{line}\n")
    feature = DeviceFeature("eth0", name, enabled, document.records[0].span, fixed, requested)
    assert document.records == (feature,)


def test_rings_have_maximum_and_current_sizes_and_leave_out_what_the_device_has_not() -> None:
    rings = only_record(
        "Ring parameters for eth0:\nPre-set maximums:\nRX:\t\t4096\nRX Mini:\tn/a\nTX:\t\t4096\n"
        "Current hardware settings:\nRX:\t\t256\nRX Mini:\tn/a\nTX:\t\t512\nTX Push:\toff\n"
    )
    assert isinstance(rings, RingParameters)
    assert (rings.maximum, rings.current) == ({"RX": 4096, "TX": 4096}, {"RX": 256, "TX": 512})
    assert rings.details == {"TX Push": "off"}


def test_a_statistic_is_a_number_by_the_name_of_the_driver() -> None:
    document = read("NIC statistics:\n     peer_ifindex: 7\n     [0]: rx_ucast_packets: 12\n")
    assert [(counter.name, counter.value) for counter in document.records if isinstance(counter, DeviceCounter)] == [
        ("peer_ifindex", 7),
        ("[0]: rx_ucast_packets", 12),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("rx-checksumming: on", "no heading of a device's features above it"),
        ("RX:\t\t256", "no heading of a device's rings above it"),
        ("\tSpeed: 1000Mb/s", "no heading of a device's settings above it"),
        ("version: 1.0", "no driver above it"),
    ],
)
def test_a_line_without_its_heading_is_told(line: str, reason: str) -> None:
    assert read(line).unread == (Unread(1, reason),)
