"""Routes that a careless check would take for wrong, or for right. Each test changes one thing of a healthy host."""

from typing import Any

import pytest

from netdiag.finding import Severity, Verdict

CLEAN, FINDING, UNKNOWN, NOT_APPLICABLE = Verdict.CLEAN, Verdict.FINDING, Verdict.UNKNOWN, Verdict.NOT_APPLICABLE
DEFAULT = "default via 203.0.113.1 dev eth0\n"
ROUTES, RULES, LINKS = "host/ip-route.txt", "host/ip-rule.txt", "host/ip-addr.txt"


def alarms(site: Any) -> list[str]:
    return [f"{f.check}: {f.message}" for f in site.analysis().findings if f.severity is not Severity.NOTE]


def severity(site: Any, check: str) -> Severity:
    (finding,) = [finding for finding in site.analysis().findings if finding.check == check]
    return finding.severity


def remedy(site: Any, check: str) -> list[str]:
    return [command for f in site.analysis().findings if f.check == check for command in f.remedy]


# --- into the subnet --------------------------------------------------------------------------------------------------


def test_a_better_metric_takes_the_whole_subnet(site: Any) -> None:
    site.replace(
        ROUTES,
        f"172.18.0.0/16 dev {site.BRIDGE}",
        "172.18.0.0/16 via 203.0.113.9 dev eth0\n172.18.0.0/16 dev " + site.BRIDGE,
    )
    site.replace(ROUTES, "src 172.18.0.1", "src 172.18.0.1 metric 100")
    assert severity(site, "route-shadowed") is Severity.ERROR
    assert remedy(site, "route-shadowed") == ["ip route del 172.18.0.0/16 via 203.0.113.9 dev eth0"]


def test_one_route_over_two_networks_names_both(site: Any) -> None:
    site.files[ROUTES] += "172.18.0.2 via 203.0.113.9 dev eth0\n"
    (finding,) = [f for f in site.analysis().findings if f.check == "route-shadowed"]
    assert ("network", "blue") in [(s.kind, s.name) for s in finding.subjects]
    assert [line for line in alarms(site) if not line.startswith("route-shadowed")] == []


@pytest.mark.parametrize(
    ("route", "check"),
    [
        ("blackhole 172.18.0.2", "route-blackhole"),
        ("unreachable 172.18.0.0/24 metric 50", "route-blackhole"),
        ("prohibit 172.18.0.2", "route-blackhole"),
        ("throw 172.18.0.2", "route-blackhole"),
        ("172.18.0.0/24 dev tun0 scope link", "route-shadowed"),
    ],
)
def test_one_route_gives_one_finding(site: Any, route: str, check: str) -> None:
    site.files[ROUTES] += route + "\n"
    assert [line.partition(":")[0] for line in alarms(site)] == [check]
    assert severity(site, check) is Severity.ERROR


def test_aggregates_of_routing_daemons_are_right(site: Any) -> None:
    site.files[ROUTES] += "blackhole 172.18.0.0/15 proto bird\nunreachable 198.51.100.66\n"
    assert alarms(site) == []


def test_a_route_that_is_gone_is_seen_without_containers_too(site: Any) -> None:
    site.replace(ROUTES, "172.17.0.0/16 dev docker0 proto kernel scope link src 172.17.0.1 linkdown\n", "")
    assert severity(site, "route-bridge-subnet-missing") is Severity.WARNING


def test_a_bridge_without_its_address_has_no_route_and_one_finding(site: Any) -> None:
    address = f"    inet 172.18.0.1/16 brd 172.18.255.255 scope global {site.BRIDGE}\n"
    site.replace(LINKS, f"{address}       valid_lft forever preferred_lft forever\n", "")
    site.replace(ROUTES, f"172.18.0.0/16 dev {site.BRIDGE} proto kernel scope link src 172.18.0.1\n", "")
    assert [line.partition(":")[0] for line in alarms(site)] == ["address-bridge-ip-missing"]


def test_a_bridge_that_is_down_has_no_route(site: Any) -> None:
    site.replace(
        LINKS, f"4: {site.BRIDGE}: <BROADCAST,MULTICAST,UP,LOWER_UP>", f"4: {site.BRIDGE}: <BROADCAST,MULTICAST>"
    )
    site.replace(ROUTES, f"172.18.0.0/16 dev {site.BRIDGE} proto kernel scope link src 172.18.0.1\n", "")
    assert [line.partition(":")[0] for line in alarms(site)] == ["link-bridge-down"]


def test_the_routes_of_a_vrf_stand_in_its_own_table(site: Any) -> None:
    site.replace(
        LINKS,
        f"4: {site.BRIDGE}: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500",
        f"4: {site.BRIDGE}: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 master red",
    )
    site.files[LINKS] += (
        "9: red: <NOARP,MASTER,UP,LOWER_UP> mtu 65575 qdisc noqueue state UP group default\n"
        "    link/ether 8a:8e:5f:00:11:99 brd ff:ff:ff:ff:ff:ff promiscuity 0 minmtu 1280 maxmtu 65575\n"
        "    vrf table 10\n"
    )
    site.replace(ROUTES, f"172.18.0.0/16 dev {site.BRIDGE} proto kernel scope link src 172.18.0.1\n", "")
    assert site.verdict("route-bridge-subnet-missing")[0] is CLEAN


# --- policy rules -----------------------------------------------------------------------------------------------------

VPN = "default dev wg0 table 51820 scope link\n"


@pytest.mark.parametrize(
    ("rules", "verdict"),
    [
        # wg-quick as it should be: what main knows better than by its default route is asked there first
        (
            "32764:\tfrom all lookup main suppress_prefixlength 0\n32765:\tnot from all fwmark 0xca6c lookup 51820\n",
            CLEAN,
        ),
        ("32765:\tnot from all fwmark 0xca6c lookup 51820\n", FINDING),
        ("100:\tfrom 172.18.0.0/16 lookup 51820\n", FINDING),  # the host's own packets have the gateway's address
        ("100:\tfrom all to 172.18.0.0/16 lookup 51820\n", FINDING),
        ("100:\tfrom all fwmark 0x1 lookup 51820\n", CLEAN),  # nobody marks a container's packets
        ("100:\tfrom 203.0.113.10 lookup 51820\n", CLEAN),
        ("1000:\tfrom all lookup [l3mdev-table]\n", CLEAN),
        ("100:\tfrom 172.18.0.0/16 blackhole\n", FINDING),
        ("100:\tfrom 10.0.0.0/8 prohibit\n", CLEAN),
    ],
)
def test_which_policy_rules_take_container_traffic(site: Any, rules: str, verdict: Verdict) -> None:
    site.replace(RULES, "32766:", rules + "32766:")
    site.files[ROUTES] += VPN
    assert site.verdict("route-policy-rule-hijack")[0] is verdict


def test_a_subnet_is_looked_up_in_main_before_the_rule(site: Any) -> None:
    site.replace(RULES, "32766:", "32765:\tnot from all fwmark 0xca6c lookup 51820\n32766:")
    site.files[ROUTES] += VPN
    assert remedy(site, "route-policy-rule-hijack") == ["ip rule add to 172.18.0.0/16 lookup main pref 32764"]


def test_policy_rules_that_were_not_collected_are_an_open_question(site: Any) -> None:
    del site.files[RULES]
    assert site.verdict("route-policy-rule-hijack")[0] is UNKNOWN


# --- the way out ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("server", "wanted"),
    [("203.0.113.53", Severity.NOTE), ("127.0.0.53", Severity.NOTE), ("192.0.2.53", Severity.ERROR)],
)
def test_a_host_may_be_kept_off_the_internet(site: Any, server: str, wanted: Severity) -> None:
    site.replace(ROUTES, DEFAULT, "")
    site.files["host/resolv-conf.txt"] = f"nameserver {server}\n"
    assert severity(site, "route-host-default-missing") is wanted
    assert remedy(site, "route-host-default-missing") == ["ip route add default via 203.0.113.1 dev eth0"]


def test_an_address_of_dhcp_comes_with_a_default_route(site: Any) -> None:
    site.replace(ROUTES, DEFAULT, "")
    site.replace(LINKS, "scope global eth0", "scope global dynamic eth0")
    assert severity(site, "route-host-default-missing") is Severity.ERROR


def test_a_router_is_not_guessed_among_several(site: Any) -> None:
    site.replace(ROUTES, DEFAULT, "")
    site.files["host/ip-neigh.txt"] += "203.0.113.77 dev eth0 lladdr 52:54:00:00:00:77 STALE\n"
    assert remedy(site, "route-host-default-missing") == []


def test_a_default_route_of_another_table_is_one(site: Any) -> None:
    site.replace(ROUTES, DEFAULT, DEFAULT.replace("dev eth0", "dev eth0 table 7"))
    site.replace(RULES, "32766:", "100:\tfrom all lookup 7\n32766:")
    assert site.verdict("route-host-default-missing")[0] is CLEAN


@pytest.mark.parametrize(
    ("routes", "check"),
    [
        ("", "route-container-default-missing"),
        ("0.0.0.0/1 dev tun0\n128.0.0.0/1 dev tun0\n", ""),
        ("default dev tun0\n", ""),
        ("default via 172.18.0.1 dev eth0\n", ""),
        ("default via 172.18.0.66 dev eth0\n", "route-container-default-wrong"),
        ("default dev eth0 scope link\n", "route-container-default-wrong"),
        ("default via 172.18.0.2 dev eth0\n", ""),  # a container that routes for it (here: itself)
    ],
)
def test_which_way_out_of_a_container_is_wrong(site: Any, routes: str, check: str) -> None:
    site.replace(f"netns/{site.WEB}/ip-route.txt", "default via 172.18.0.1 dev eth0\n", routes)
    assert [line.partition(":")[0] for line in alarms(site)] == [check] * bool(check)


@pytest.mark.parametrize(
    "change", [{"Internal": True}, {"Options": {"com.docker.network.bridge.inhibit_ipv4": "true"}}]
)
def test_a_network_without_a_way_out_needs_no_default_route(site: Any, change: dict[str, Any]) -> None:
    site.docker("network-inspect")[3].update(change)
    site.replace(f"netns/{site.WEB}/ip-route.txt", "default via 172.18.0.1 dev eth0\n", "")
    assert site.verdict("route-container-default-missing")[0] is NOT_APPLICABLE


def test_routes_of_a_container_that_were_not_collected_are_an_open_question(site: Any) -> None:
    del site.files[f"netns/{site.WEB}/ip-route.txt"]
    assert site.verdict("route-container-default-missing")[0] is UNKNOWN


def test_a_second_gateway_that_answers_is_enough(site: Any) -> None:
    ways = "default\n\tnexthop via 203.0.113.1 dev eth0 weight 1\n\tnexthop via 203.0.113.2 dev eth0 weight 1\n"
    site.replace(ROUTES, DEFAULT, ways)
    site.replace(
        "host/ip-neigh.txt", "203.0.113.1 dev eth0 lladdr 52:54:00:00:00:01 REACHABLE", "203.0.113.1 dev eth0 FAILED"
    )
    assert site.verdict("route-gateway-neigh-failed")[0] is CLEAN
    site.files["host/ip-neigh.txt"] += "203.0.113.2 dev eth0 INCOMPLETE\n"
    assert site.verdict("route-gateway-neigh-failed")[0] is FINDING


def test_a_neighbour_that_failed_and_is_no_gateway(site: Any) -> None:
    site.files["host/ip-neigh.txt"] += f"203.0.113.66 dev eth0 FAILED\n172.18.0.9 dev {site.BRIDGE} FAILED\n"
    assert alarms(site) == []


# --- neighbours -------------------------------------------------------------------------------------------------------


def test_ip_neigh_and_arp_give_one_finding(site: Any) -> None:
    site.replace("host/ip-neigh.txt", "02:42:ac:12:00:02 REACHABLE", "02:de:ad:be:ef:01 PERMANENT")
    site.files["host/arp-n.txt"] = (
        "Address                  HWtype  HWaddress           Flags Mask            Iface\n"
        f"172.18.0.2               ether   02:de:ad:be:ef:01   CM                    {site.BRIDGE}\n"
    )
    assert len([f for f in site.analysis().findings if f.check == "route-permanent-neigh-wrong"]) == 1


def test_a_permanent_entry_on_another_link_is_for_somebody_else(site: Any) -> None:
    site.files["host/ip-neigh.txt"] += "172.18.0.2 dev eth0 lladdr 02:de:ad:be:ef:01 PERMANENT\n"
    assert site.verdict("route-permanent-neigh-wrong")[0] is CLEAN


# --- macvlan ----------------------------------------------------------------------------------------------------------

LAN = "1" * 64


def on_lan(site: Any, **options: str) -> None:
    options = {"parent": "eth0", **options}
    site.docker("network-inspect").append(site.network(LAN, "lan", "macvlan", "203.0.113.0/24", Options=options))
    endpoint = site.endpoint(LAN, "203.0.113.200")
    site.docker("inspect").append(site.container("e" * 64, "onlan", {"lan": endpoint}, mode="lan"))


def test_a_macvlan_on_the_hosts_own_lan_is_worth_a_note(site: Any) -> None:
    on_lan(site)
    assert severity(site, "route-macvlan-host-unreachable") is Severity.NOTE
    assert remedy(site, "route-macvlan-host-unreachable")[-1] == "ip route add 203.0.113.200/32 dev macvlan-shim"


@pytest.mark.parametrize("route", ["203.0.113.200 dev shim scope link\n", "203.0.113.192/26 dev shim scope link\n"])
def test_a_shim_reaches_the_container(site: Any, route: str) -> None:
    on_lan(site)
    site.files[ROUTES] += route
    assert site.verdict("route-macvlan-host-unreachable")[0] is CLEAN


def test_a_parent_that_docker_makes_itself_is_no_missing_one(site: Any) -> None:
    on_lan(site, parent=f"dm-{LAN[:12]}")
    assert site.verdict("route-macvlan-parent-bad")[0] is NOT_APPLICABLE


def test_a_vlan_that_is_gone_is_made_again(site: Any) -> None:
    on_lan(site, parent="eth0.20")
    assert remedy(site, "route-macvlan-parent-bad")[0] == "ip link add link eth0 name eth0.20 type vlan id 20"


def test_a_parent_that_nobody_uses_is_a_warning(site: Any) -> None:
    on_lan(site, parent="enp9s0")
    assert severity(site, "route-macvlan-parent-bad") is Severity.ERROR
    site.docker("inspect").pop()
    assert severity(site, "route-macvlan-parent-bad") is Severity.WARNING


def test_a_parent_that_is_down_matters_to_containers_only(site: Any) -> None:
    on_lan(site)
    site.replace(LINKS, "2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP>", "2: eth0: <BROADCAST,MULTICAST>")
    assert site.verdict("route-macvlan-parent-bad")[0] is FINDING
    site.docker("inspect").pop()
    assert site.verdict("route-macvlan-parent-bad")[0] is CLEAN


# --- two uplinks ------------------------------------------------------------------------------------------------------

SECOND = """\
8: eth1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc fq_codel state UP group default qlen 1000
    link/ether 52:54:00:12:34:99 brd ff:ff:ff:ff:ff:ff promiscuity 0 minmtu 68 maxmtu 65535
    inet 192.0.2.10/24 brd 192.0.2.255 scope global eth1
"""


def two_uplinks(site: Any) -> None:
    site.files[LINKS] += SECOND
    site.files[ROUTES] += "default via 192.0.2.1 dev eth1 table 102\n192.0.2.0/24 dev eth1 proto kernel scope link\n"
    site.replace(RULES, "32766:", "1000:\tfrom 192.0.2.10 lookup 102\n32766:")


def test_answers_of_a_published_port_need_a_mark(site: Any) -> None:
    two_uplinks(site)
    assert site.verdict("route-asymmetric-uplink")[0] is FINDING
    site.replace(RULES, "1000:", "999:\tfrom all fwmark 0x2 lookup 102\n1000:")
    assert site.verdict("route-asymmetric-uplink")[0] is FINDING
    site.files["host/iptables-save.txt"] += (
        "*mangle\n:PREROUTING ACCEPT [0:0]\n[0:0] -A PREROUTING -j CONNMARK --restore-mark\nCOMMIT\n"
    )
    assert site.verdict("route-asymmetric-uplink")[0] is CLEAN


def test_a_port_on_the_other_address_is_not_asked_there(site: Any) -> None:
    two_uplinks(site)
    site.docker("inspect")[0]["NetworkSettings"]["Ports"] = {"80/tcp": site.published(8080, "203.0.113.10")}
    assert site.verdict("route-asymmetric-uplink")[0] is CLEAN


def test_containers_that_leave_by_the_second_uplink_too(site: Any) -> None:
    two_uplinks(site)
    site.replace(
        RULES,
        "1000:",
        "900:\tfrom 172.18.0.0/16 to 172.18.0.0/16 lookup main\n901:\tfrom 172.18.0.0/16 lookup 102\n1000:",
    )
    assert site.verdict("route-asymmetric-uplink")[0] is CLEAN


def test_a_bridge_without_containers_may_have_a_route_that_is_passed_over(site: Any) -> None:
    site.files["host/sysctl.txt"] += "net.ipv4.conf.all.ignore_routes_with_linkdown = 1\n"
    assert site.verdict("route-bridge-subnet-missing")[0] is CLEAN


# --- what follows from an interface -----------------------------------------------------------------------------------

INNER_LINKS, INNER_ROUTES = "netns/{}/ip-addr.txt", "netns/{}/ip-route.txt"
UP, DOWN = "<BROADCAST,MULTICAST,UP,LOWER_UP>", "<BROADCAST,MULTICAST>"
INNER_END = """\
8: eth1@if9: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default
    link/ether 02:42:ac:11:00:02 brd ff:ff:ff:ff:ff:ff link-netnsid 0 promiscuity 0 minmtu 68 maxmtu 65535
    veth
    inet 172.17.0.2/16 brd 172.17.255.255 scope global eth1
       valid_lft forever preferred_lft forever
"""
OUTER_END = """\
9: veth5d6e7f8@if8: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue master docker0 state UP group default
    link/ether 8a:8e:5f:00:11:33 brd ff:ff:ff:ff:ff:ff link-netnsid 0 promiscuity 1 minmtu 68 maxmtu 65535
    veth
"""


def on_two_networks(site: Any) -> None:
    networks = site.docker("inspect")[0]["NetworkSettings"]["Networks"]
    networks["bridge"] = site.endpoint("d" * 64, "172.17.0.2")
    site.files[INNER_LINKS.format(site.WEB)] += INNER_END
    site.files[INNER_ROUTES.format(site.WEB)] += "172.17.0.0/16 dev eth1 proto kernel scope link src 172.17.0.2\n"
    site.files[LINKS] += OUTER_END


def without_default_route(site: Any, down: str) -> set[str]:
    """The checks that find something when a container has no default route, and this interface of it is down."""
    site.replace(INNER_ROUTES.format(site.WEB), "default via 172.18.0.1 dev eth0\n", "")
    path = INNER_LINKS.format(site.WEB)
    for number, name in ((5, "eth0@if6"), (8, "eth1@if9")):
        if down in (name.partition("@")[0], "both"):
            site.files[path] = site.files[path].replace(f"{number}: {name}: {UP}", f"{number}: {name}: {DOWN}")
    found = {finding.check for finding in site.analysis().findings}
    return found & {"link-container-iface-down", "route-container-default-missing"}


def test_the_default_route_of_the_interface_that_is_down_is_part_of_that(site: Any) -> None:
    assert without_default_route(site, "eth0") == {"link-container-iface-down"}


def test_both_interfaces_that_are_down_take_the_default_route_along(site: Any) -> None:
    on_two_networks(site)
    assert without_default_route(site, "both") == {"link-container-iface-down"}


def test_an_interface_that_is_down_beside_the_one_that_should_lead_out_is_another_fault(site: Any) -> None:
    on_two_networks(site)
    assert without_default_route(site, "eth1") == {"link-container-iface-down", "route-container-default-missing"}


def test_the_default_route_of_the_interface_that_is_gone_is_part_of_that(site: Any) -> None:
    links = INNER_LINKS.format(site.WEB)
    site.files[links] = site.files[links].partition("5: eth0@if6")[0]
    site.files[LINKS] = site.files[LINKS].partition("6: veth1a2b3c4@if5")[0]
    site.files[INNER_ROUTES.format(site.WEB)] = ""
    found = {finding.check for finding in site.analysis().findings}
    assert "link-container-iface-missing" in found
    assert "route-container-default-missing" not in found
