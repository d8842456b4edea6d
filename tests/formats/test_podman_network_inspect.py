import json
from typing import Any

from netdiag import formats
from netdiag.formats import Document, Unread
from netdiag.formats.records import Network
from netdiag.spans import Source

FRONT = {
    "name": "front",
    "id": "c" * 64,
    "driver": "bridge",
    "network_interface": "podman1",
    "subnets": [{"subnet": "10.89.0.0/24", "gateway": "10.89.0.1"}, {"subnet": "fd00::/64", "gateway": "fd00::1"}],
    "internal": False,
    "options": {"mtu": "1400"},
}


def read(*values: Any) -> Document:
    text = "\n".join(map(json.dumps, values))
    return formats.get("podman_network_inspect").read(Source("networks.txt", text))


def networks(document: Document) -> list[Network]:
    return [record for record in document.records if isinstance(record, Network)]


def test_the_bridge_is_named_among_the_options() -> None:
    (network,) = networks(read(FRONT))
    assert network.options == {"network_interface": "podman1", "mtu": "1400"}
    assert [(str(found.subnet), str(found.gateway)) for found in network.subnets] == [
        ("10.89.0.0/24", "10.89.0.1"),
        ("fd00::/64", "fd00::1"),
    ]


def test_who_is_attached_is_unknown_before_podman_5_and_may_be_nobody_since() -> None:
    assert [network.members for network in networks(read(FRONT, FRONT | {"containers": {}}))] == [None, ()]


def test_each_interface_of_a_container_is_a_member_with_its_ipv4_address() -> None:
    def interface(*addresses: str) -> dict[str, Any]:
        return {"subnets": [{"ipnet": text} for text in addresses], "mac_address": "AA:BB:CC:00:00:01"}

    web = {"name": "web", "interfaces": {"eth0": interface("fd00::2/64", "10.89.0.2/24"), "eth1": interface()}}
    (network,) = networks(read(FRONT | {"containers": {"0" * 64: web}}))
    assert network.members is not None
    assert [(member.name, str(member.address), member.mac) for member in network.members] == [
        ("web", "10.89.0.2/24", "aa:bb:cc:00:00:01"),
        ("web", "None", "aa:bb:cc:00:00:01"),
    ]


def test_a_cni_bridge_that_is_no_gateway_is_internal() -> None:
    def cni(name: str, **plugin: Any) -> dict[str, Any]:
        return {"cniVersion": "0.4.0", "name": name, "plugins": [plugin, {"type": "portmap"}]}

    found = networks(
        read(
            cni("in", type="bridge", bridge="cni-podman1", isGateway=False),
            cni("out", type="bridge", bridge="cni-podman2", isGateway=True),
            cni("lan", type="macvlan", master="eth0", ipam={"type": "dhcp"}),
            {"cniVersion": "0.4.0", "name": "empty", "plugins": []},
        )
    )
    assert [(network.name, network.driver, network.internal) for network in found] == [
        ("in", "bridge", True),
        ("out", "bridge", False),
        ("lan", "macvlan", None),
        ("empty", None, None),
    ]


def test_a_network_of_docker_is_not_podmans() -> None:
    docker = {"Id": "d" * 64, "Name": "bridge", "Driver": "bridge", "IPAM": {}}
    assert read(docker).unread == (Unread(1, "not a network of podman network inspect"),)
