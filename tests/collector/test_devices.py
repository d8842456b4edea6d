"""What ethtool is asked, and of which devices: `lo`, which every namespace has, stands for a physical one."""

import pytest

import netdiag_collect as collect

from .fakes import FakeHost, with_constant

LISTINGS = {"": "lo", "-driver": "-i lo", "-features": "-k lo", "-rings": "-g lo", "-statistics": "-S lo"}


@pytest.fixture
def host_with_device(fake_host: FakeHost) -> FakeHost:
    """A host whose `lo` is up and counts as a physical device."""
    source = with_constant(fake_host.collector.read_text(), "SYSFS_DEVICE", "/sys/class/net/{}/ifindex")
    fake_host.collector.write_text(source)
    for arguments in LISTINGS.values():
        fake_host.answer("ethtool", arguments, f"answer to {arguments}\n")
    return fake_host


def test_each_physical_device_is_asked_for_all_listings(host_with_device: FakeHost) -> None:
    bundle = host_with_device.collect()
    for name, arguments in LISTINGS.items():
        artifact = bundle.artifact(f"ethtool{name}-lo")
        assert artifact["format"] == "ethtool"
        assert artifact["argv"] == ["ethtool", *arguments.split()]
        assert bundle.text(f"ethtool{name}-lo") == f"answer to {arguments}\n"


def test_the_counters_of_a_device_are_read_when_the_run_begins_and_when_it_ends(host_with_device: FakeHost) -> None:
    rows = [row for row in host_with_device.collect().manifest["artifacts"] if row["format"] == "ethtool"]
    assert [row["id"] for row in rows if row["scope"] != "host"] == ["ethtool-statistics-lo"] * 2
    assert {row["scope"] for row in rows} == {"before:host", "host", "after:host"}


def test_a_virtual_device_is_not_asked(fake_host: FakeHost) -> None:
    artifacts = fake_host.collect().manifest["artifacts"]
    assert [each["id"] for each in artifacts if each["format"] == "ethtool"] == []


def test_a_card_that_is_cut_into_very_many_costs_no_more_than_some(host_with_device: FakeHost) -> None:
    source = with_constant(host_with_device.collector.read_text(), "MOST_DEVICES", 0)
    host_with_device.collector.write_text(source)
    bundle = host_with_device.collect()
    assert [each for each in bundle.manifest["artifacts"] if each["format"] == "ethtool"] == []
    assert "1 of 1 physical devices are left out" in bundle.text("collector-log", "logs")


def test_the_listings_are_those_of_the_table() -> None:
    asked = [item.command for item in collect.ITEMS if item.format == "ethtool"]
    assert asked == [f"ethtool {arguments}".replace("lo", "{device}") for arguments in LISTINGS.values()]
