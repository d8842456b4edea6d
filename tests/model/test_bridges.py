"""Bridges and their ports, joined from the outputs that tell of them."""

from typing import Any

BRIDGE = """\
4: br0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP
    link/ether 02:42:1a:f7:bf:a9 brd ff:ff:ff:ff:ff:ff promiscuity 0
    bridge forward_delay 1500 stp_state 1 vlan_filtering 1 nf_call_iptables 0
"""
PORT = """\
6: vetha@if5: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue master br0 state UP
    link/ether 8a:8e:5f:00:11:22 brd ff:ff:ff:ff:ff:ff link-netnsid 0 promiscuity 1
    veth
    bridge_slave state forwarding priority 32 cost 2 hairpin off learning off flood on isolated on
"""
PLAIN_PORT = "6: vetha@if5: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue master br0 state UP\n"
BOND = """\
8: bond0: <BROADCAST,MULTICAST,MASTER,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP
    link/ether 52:54:00:12:34:56 brd ff:ff:ff:ff:ff:ff promiscuity 0
    bond mode active-backup
9: eth1: <BROADCAST,MULTICAST,SLAVE,UP,LOWER_UP> mtu 1500 qdisc fq_codel master bond0 state UP
    link/ether 52:54:00:12:34:56 brd ff:ff:ff:ff:ff:ff promiscuity 0
"""


def test_details_of_links_tell_the_switches_of_bridges_and_ports(read: Any, host_of: Any) -> None:
    (bridge,) = host_of(read("ip_addr", BRIDGE + PORT)).root.bridges
    assert (bridge.name, bridge.stp, bridge.vlan_filtering, bridge.nf_call_iptables) == ("br0", True, True, False)
    (port,) = bridge.ports
    assert (port.name, port.state, port.hairpin, port.isolated, port.learning, port.flood) == (
        *("vetha", "forwarding"),
        *(False, True, False, True),
    )
    assert (port.locked, port.vlans, port.vlans_known) == (None, (), False)


def test_bridge_link_tells_what_the_list_of_links_does_not(read: Any, host_of: Any) -> None:
    told = (
        "6: vetha@if5: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 master br0 state disabled priority 32 cost 2\n"
        "    hairpin on guard off learning on flood on isolated off locked on\n"
    )
    host = host_of(read("ip_addr", PLAIN_PORT), read("bridge_link", told))
    port = host.root.bridge("br0").port("vetha") if host.root.bridge("br0") else None
    assert host.root.bridges == ()  # nothing shows br0 itself
    assert port is None
    host = host_of(read("ip_addr", BRIDGE + PLAIN_PORT), read("bridge_link", told))
    port = host.root.bridge("br0").port("vetha")
    assert (port.state, port.hairpin, port.isolated, port.locked) == ("disabled", True, False, True)


def test_vlans_stand_with_their_port_and_their_bridge(read: Any, host_of: Any) -> None:
    vlans = (
        "port              vlan-id\n"
        "br0               1 PVID Egress Untagged\n"
        "vetha             10\n"
        "                  20 PVID\n"
    )
    host = host_of(read("ip_addr", BRIDGE + PORT), read("bridge_vlan", vlans))
    bridge = host.root.bridge("br0")
    assert [vlan.vlan for vlan in bridge.vlans] == [1]
    assert [vlan.vlan for vlan in bridge.ports[0].vlans] == [10, 20]
    assert bridge.ports[0].vlans_known


def test_a_bond_is_no_bridge_and_a_master_without_details_is_one(read: Any, host_of: Any) -> None:
    assert host_of(read("ip_addr", BOND)).root.bridges == ()
    plain = "4: br0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP\n"
    (bridge,) = host_of(read("ip_addr", plain + PLAIN_PORT)).root.bridges
    assert (bridge.name, [port.name for port in bridge.ports], bridge.stp) == ("br0", ["vetha"], None)


def test_brctl_alone_tells_bridges_their_ports_and_stp(read: Any, host_of: Any) -> None:
    table = (
        "bridge name\tbridge id\t\tSTP enabled\tinterfaces\n"
        "br0\t\t8000.02421af7bfa9\tyes\t\tvetha\n"
        "\t\t\t\t\t\t\tvethb\n"
    )
    (bridge,) = host_of(read("brctl_show", table)).root.bridges
    assert (bridge.name, bridge.stp, [port.name for port in bridge.ports]) == ("br0", True, ["vetha", "vethb"])
