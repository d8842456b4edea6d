"""What changed on a host: matched by name, and never gone because a bundle does not show it."""

from collections.abc import Callable
from typing import Any

import pytest

from netdiag.comparison import Comparison

from .conftest import container, network

Compared = Callable[[dict[str, Any], dict[str, Any]], Comparison]

LINK = "{n}: {name}: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu {mtu} qdisc noqueue state {state} group default\n" + (
    "    link/ether 02:42:68:d1:95:15 brd ff:ff:ff:ff:ff:ff promiscuity 0\n"
)


def link(number: int, name: str, *addresses: str, mtu: int = 1500, state: str = "UP") -> str:
    told = "".join(f"    inet {address} scope global {name}\n" for address in addresses)
    return LINK.format(n=number, name=name, mtu=mtu, state=state) + told


def changes(comparison: Comparison, *kinds: str) -> list[tuple[str, str, str, str, str, str]]:
    return [
        (each.kind, each.name, each.how.value, each.what, each.before, each.after)
        for each in comparison.changes
        if not kinds or each.kind in kinds
    ]


def test_a_container_that_was_made_anew_is_the_same_one(compared: Compared) -> None:
    old, new = container("web"), container("web", "172.18.0.9", Id="f" * 64)
    told = compared({"containers": [old]}, {"containers": [new]})
    assert changes(told) == [
        ("container", "web", "made anew", "id", old["Id"][:12], "f" * 12),
        ("container", "web", "renumbered", "address on front", "172.18.0.2", "172.18.0.9"),
    ]


def test_a_container_that_came_or_went_or_ended(compared: Compared) -> None:
    ended = container("web", State={"Status": "exited", "StartedAt": "2026-11-28T05:00:00Z"})
    told = compared({"containers": [container("web"), container("old")]}, {"containers": [ended, container("new")]})
    assert changes(told) == [
        ("container", "old", "removed", "", "running", ""),
        ("container", "new", "added", "", "", "running"),
        ("container", "web", "changed", "state", "running", "exited"),
    ]


def test_a_container_that_joined_a_network_and_left_one(compared: Compared) -> None:
    back = {"back": {"NetworkID": "b" * 64, "EndpointID": "e", "IPAddress": "172.19.0.2", "IPPrefixLen": 16}}
    told = compared(
        {"containers": [container("web")]},
        {"containers": [container("web", NetworkSettings={"Networks": back, "Ports": {}})]},
    )
    assert [each[2:4] for each in changes(told)] == [("removed", "network front"), ("added", "network back")]


def test_ports_that_are_published_otherwise(compared: Compared) -> None:
    def publishing(port: str) -> dict[str, Any]:
        bound = {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": port}]}
        return container("web", NetworkSettings={"Networks": {}, "Ports": bound})

    told = compared({"containers": [publishing("8080")]}, {"containers": [publishing("8081")]})
    assert changes(told) == [("container", "web", "changed", "ports", "0.0.0.0:8080->80/tcp", "0.0.0.0:8081->80/tcp")]


def test_a_network_with_another_subnet(compared: Compared) -> None:
    told = compared({"networks": [network()]}, {"networks": [network("172.30.0.0/16", "172.30.0.1")]})
    assert changes(told) == [
        ("network", "front", "changed", "subnets", "172.18.0.0/16", "172.30.0.0/16"),
        ("network", "front", "changed", "gateways", "172.18.0.1", "172.30.0.1"),
    ]


def test_links_and_their_addresses(compared: Compared) -> None:
    before = link(2, "eth0", "192.0.2.1/24", "192.0.2.9/24") + link(3, "eth1")
    after = link(2, "eth0", "192.0.2.1/24", "192.0.2.10/24", mtu=1400) + link(7, "eth1", state="DOWN")
    told = compared({"files": {"host/ip_addr.txt": before}}, {"files": {"host/ip_addr.txt": after}})
    assert changes(told) == [
        ("link", "host eth0", "changed", "mtu", "1500", "1400"),
        ("address", "host eth0", "removed", "", "192.0.2.9/24", ""),
        ("address", "host eth0", "added", "", "", "192.0.2.10/24"),
        ("link", "host eth1", "made anew", "ifindex", "3", "7"),
        ("link", "host eth1", "changed", "state", "UP", "DOWN"),
    ]


def test_a_bridge_is_found_by_its_network(compared: Compared) -> None:
    """The network was made anew: its bridge has another name, and is its bridge all the same."""
    other = "f" * 64
    told = compared(
        {
            "networks": [network()],
            "files": {"host/ip_addr.txt": link(4, "br-7217983a98a6", "172.18.0.1/16")},
        },
        {
            "networks": [network(Id=other)],
            "files": {"host/ip_addr.txt": link(9, "br-ffffffffffff", "172.18.0.1/16")},
        },
    )
    assert changes(told) == [
        ("network", "front", "made anew", "id", "7217983a98a6", "f" * 12),
        ("link", "host <bridge of front>", "made anew", "name", "br-7217983a98a6", "br-ffffffffffff"),
    ]


def test_routes(compared: Compared) -> None:
    before = "default via 192.0.2.254 dev eth0\n198.51.100.0/24 via 192.0.2.7 dev eth0\n"
    after = "198.51.100.0/24 via 192.0.2.8 dev eth0\ndefault via 192.0.2.254 dev eth0\n"
    of_all_tables = {"host/ip_route.txt": {"argv": ["ip", "route", "show", "table", "all"]}}
    told = compared(
        {"files": {"host/ip_route.txt": before}, "artifacts": of_all_tables},
        {"files": {"host/ip_route.txt": after}, "artifacts": of_all_tables},
    )
    assert changes(told, "route") == [
        ("route", "host", "removed", "198.51.100.0/24 via 192.0.2.7 dev eth0", "", ""),
        ("route", "host", "added", "198.51.100.0/24 via 192.0.2.8 dev eth0", "", ""),
    ]


SAVE = """# Generated by iptables-save v1.8.9 (nf_tables)
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [{count}:0]
:DOCKER - [0:0]
{rules}COMMIT
"""


def save(*rules: str, count: int = 0) -> dict[str, str]:
    return {"host/iptables_save.txt": SAVE.format(rules="".join(f"{rule}\n" for rule in rules), count=count)}


def test_counters_are_no_part_of_a_rule(compared: Compared) -> None:
    rule = "-A POSTROUTING -s 172.18.0.0/16 ! -o eth0 -j MASQUERADE"
    told = compared({"files": save(f"[0:0] {rule}")}, {"files": save(f"[7:420] {rule}", count=7)})
    assert changes(told) == []


def test_a_rule_of_a_container_with_another_address_is_renumbered(compared: Compared) -> None:
    def dnat(address: str) -> dict[str, str]:
        return save(f"-A DOCKER -p tcp -m tcp --dport 8080 -j DNAT --to-destination {address}:80")

    told = compared(
        {"containers": [container("web", "172.18.0.2")], "files": dnat("172.18.0.2")},
        {"containers": [container("web", "172.18.0.3")], "files": dnat("172.18.0.3")},
    )
    (change,) = [each for each in told.changes if each.kind == "rule"]
    assert (change.how.value, change.what) == (
        "renumbered",
        "-p tcp -m tcp --dport 8080 -j DNAT --to-destination <web on front>:80",
    )


def test_a_rule_that_was_put_elsewhere_is_moved(compared: Compared) -> None:
    first, second, third = (f"-A POSTROUTING -s 10.{n}.0.0/16 -j ACCEPT" for n in range(3))
    told = compared({"files": save(first, second, third)}, {"files": save(third, first, second)})
    assert changes(told) == [("rule", "nat POSTROUTING", "moved", "-s 10.2.0.0/16 -j ACCEPT", "", "")]


def test_a_policy_that_was_set_otherwise(compared: Compared) -> None:
    files = save()
    dropping = {path: text.replace("PREROUTING ACCEPT", "PREROUTING DROP") for path, text in files.items()}
    told = compared({"files": files}, {"files": dropping})
    assert changes(told) == [("policy", "nat PREROUTING", "changed", "policy", "ACCEPT", "DROP")]


NFT = """table inet guard {{
	chain forward {{
		type filter hook forward priority filter; policy accept;
		ip saddr 10.0.0.0/8 counter packets {count} bytes 0 drop # handle {count}
{more}	}}
}}
"""


def test_rules_of_nftables_without_counters_and_handles(compared: Compared) -> None:
    more = "\t\tip daddr 192.0.2.1 accept\n"
    told = compared(
        {"files": {"host/nft_ruleset.txt": NFT.format(count=1, more="")}},
        {"files": {"host/nft_ruleset.txt": NFT.format(count=9, more=more)}},
    )
    assert changes(told) == [("rule", "nft inet guard forward", "added", "ip daddr 192.0.2.1 accept", "", "")]


def test_settings_that_are_numbers_of_the_moment_are_none(compared: Compared) -> None:
    before = "net.ipv4.ip_forward = 1\nnet.netfilter.nf_conntrack_count = 5\nnet.ipv4.conf.eth0.rp_filter = 0\n"
    after = "net.ipv4.ip_forward = 0\nnet.netfilter.nf_conntrack_count = 7\nnet.ipv4.conf.eth9.rp_filter = 1\n"
    told = compared({"files": {"host/sysctl.txt": before}}, {"files": {"host/sysctl.txt": after}})
    assert changes(told) == [("sysctl", "net.ipv4.ip_forward", "changed", "", "1", "0")]


# --- what is not shown ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"containers": [container("web")]}, "containers"),
        ({"networks": [network()]}, "networks"),
        ({"files": {"host/ip_addr.txt": link(2, "eth0", "192.0.2.1/24")}}, "links of host"),
        ({"files": {"host/ip_route.txt": "default via 192.0.2.254 dev eth0\n"}}, "routes of host"),
        ({"files": save("-A POSTROUTING -j ACCEPT")}, "rules of iptables of host"),
        ({"files": {"host/sysctl.txt": "net.ipv4.ip_forward = 1\n"}}, "settings of host"),
    ],
)
def test_what_one_bundle_lacks_is_neither_gone_nor_new(given: dict[str, Any], what: str, compared: Compared) -> None:
    for before, after, which in ((given, {}, "second"), ({}, given, "first")):
        told = compared(before, after)
        assert told.changes == ()
        assert told.remarks == ()
        why = {each.what: each.why for each in told.not_compared}
        assert why[what].startswith(f"the {which} bundle does not have it"), why


def test_a_list_that_may_not_be_whole_has_nothing_gone(compared: Compared) -> None:
    before = {"containers": [container("web"), container("db", "172.18.0.3")]}
    after = {"containers": [container("web")], "artifacts": {"docker/docker_inspect.json": {"exit_code": 1}}}
    told = compared(before, after)
    assert changes(told, "container") == []
    assert [each.what for each in told.not_compared if each.what == "containers"] == ["containers"]


def test_bundles_of_two_hosts_and_the_wrong_way_round_are_told(compared: Compared) -> None:
    clock = {"wall": "2026-11-22T10:15:00Z", "monotonic": 1.0, "timezone": "UTC"}
    told = compared({"host": "web01"}, {"host": "web02", "clock": clock})
    assert told.doubts == ("the bundles are of two hosts, web01 and web02", "the first bundle is the later one")
    assert told.seconds is None
