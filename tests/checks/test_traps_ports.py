"""Traps around the veths of containers and the ports of bridges. Each test changes one thing of a healthy host."""

from typing import Any

import pytest

from netdiag.finding import Severity, Verdict

CLEAN, FINDING, UNKNOWN, NOT_APPLICABLE = Verdict.CLEAN, Verdict.FINDING, Verdict.UNKNOWN, Verdict.NOT_APPLICABLE

PORT_CHECKS = (
    "bridge-ebtables-drop",
    "bridge-fdb-stale-static",
    "bridge-flood-learning-off",
    "bridge-port-isolated",
    "bridge-port-not-forwarding",
    "bridge-vlan-filtering-mismatch",
    "link-container-iface-down",
    "link-container-iface-missing",
    "link-veth-down",
    "link-veth-not-enslaved",
    "link-veth-wrong-bridge",
    "mtu-veth-mismatch",
)
LINKS, PORTS, ENTRIES = "host/ip-addr.txt", "host/bridge-link.txt", "host/bridge-fdb.txt"
OTHER = "8" * 64
STUCK = "dev veth0000014 master {} static sticky\n"
FLAGS = "<BROADCAST,MULTICAST,UP,LOWER_UP>"


def alarms(site: Any) -> list[str]:
    return [f"{finding.check}: {finding.message}" for finding in site.analysis().findings]


def severities(site: Any) -> dict[str, Severity]:
    return {finding.check: finding.severity for finding in site.analysis().findings}


def add_container(site: Any, name: str, address: str, index: int, mtu: int = 1500) -> str:
    """A second running container on network blue, with a healthy port; the path of its links."""
    last = address.rpartition(".")[2]
    mac = f"02:42:ac:12:00:{int(last):02x}"
    veth = f"veth{index:07x}"
    site.docker("inspect").append(site.container(OTHER, name, {"blue": site.endpoint(site.BLUE, address)}))
    site.files[LINKS] += (
        f"{index}: {veth}@if{index - 1}: {FLAGS} mtu {mtu} qdisc noqueue master {site.BRIDGE} state UP group default\n"
        f"    link/ether 8a:8e:5f:00:12:{index:02x} brd ff:ff:ff:ff:ff:ff link-netnsid 1 promiscuity 1\n"
        "    veth\n"
    )
    site.files[PORTS] += (
        f"{index}: {veth}@if{index - 1}: {FLAGS} mtu {mtu} master {site.BRIDGE} state forwarding priority 32 cost 2\n"
        "    hairpin off guard off root_block off fastleave off learning on flood on mcast_flood on bcast_flood on "
        "isolated off\n"
    )
    site.files[ENTRIES] += f"{mac} dev {veth} master {site.BRIDGE}\n"
    path = f"netns/{OTHER}/ip-addr.txt"
    site.files[path] = (
        site.files[f"netns/{site.WEB}/ip-addr.txt"]
        .replace("5: eth0@if6", f"{index - 1}: eth0@if{index}")
        .replace("mtu 1500", f"mtu {mtu}")
        .replace("02:42:ac:12:00:02", mac)
        .replace("172.18.0.2/", f"{address}/")
    )
    return path


def test_a_second_container_is_healthy_too(site: Any) -> None:
    add_container(site, "db", "172.18.0.3", 20)
    assert alarms(site) == []


# --- what was not collected -------------------------------------------------------------------------------------------


def test_without_the_container_s_namespace_nothing_is_known_of_its_veth(site: Any) -> None:
    del site.files[f"netns/{site.WEB}/ip-addr.txt"]
    analysis = site.analysis()
    assert {o.verdict for o in analysis.outcomes if o.check in PORT_CHECKS} == {UNKNOWN}
    (outcome,) = [o for o in analysis.outcomes if o.check == "link-veth-down"]
    assert outcome.ask == ("nsenter -t $(docker inspect -f '{{.State.Pid}}' web) -n ip -d addr",)


@pytest.mark.parametrize("check", ["bridge-flood-learning-off", "bridge-port-isolated", "bridge-port-not-forwarding"])
def test_without_bridge_link_the_settings_of_ports_are_not_known(site: Any, check: str) -> None:
    del site.files[PORTS]
    verdict, reason = site.verdict(check)
    assert verdict is UNKNOWN
    assert "bridge -d link" in reason


def test_the_details_of_ip_link_tell_the_settings_too(site: Any) -> None:
    del site.files[PORTS]
    site.replace(LINKS, "    veth\n", "    veth\n    bridge_slave state listening learning on flood on isolated off\n")
    assert site.verdict("bridge-port-not-forwarding")[0] is FINDING
    assert site.verdict("bridge-port-isolated")[0] is CLEAN


def test_a_bridge_link_without_details_tells_the_state_and_no_settings(site: Any) -> None:
    site.files[PORTS] = site.files[PORTS].splitlines()[0] + "\n"
    assert site.verdict("bridge-port-not-forwarding")[0] is CLEAN
    assert site.verdict("bridge-flood-learning-off")[0] is UNKNOWN


def test_without_bridge_fdb_nobody_knows_where_frames_go(site: Any) -> None:
    del site.files[ENTRIES]
    assert site.verdict("bridge-fdb-stale-static")[0] is UNKNOWN


def test_a_kernel_that_knows_no_isolation_isolates_nothing(site: Any) -> None:
    site.replace(PORTS, " isolated off", "")
    assert site.verdict("bridge-port-isolated")[0] is CLEAN


# --- one cause, one finding -------------------------------------------------------------------------------------------


def test_a_veth_that_is_down_explains_its_disabled_port(site: Any) -> None:
    site.replace(LINKS, f"6: veth1a2b3c4@if5: {FLAGS}", "6: veth1a2b3c4@if5: <BROADCAST>")
    site.replace(PORTS, FLAGS, "<BROADCAST>")
    site.replace(PORTS, "state forwarding", "state disabled")
    assert [alarm.partition(":")[0] for alarm in alarms(site)] == ["link-veth-down"]


def test_an_interface_that_is_down_explains_the_port_without_carrier(site: Any) -> None:
    site.replace(f"netns/{site.WEB}/ip-addr.txt", f"5: eth0@if6: {FLAGS}", "5: eth0@if6: <BROADCAST>")
    site.replace(LINKS, "6: veth1a2b3c4@if5: <BROADCAST,", "6: veth1a2b3c4@if5: <NO-CARRIER,BROADCAST,")
    site.replace(LINKS, "UP,LOWER_UP> mtu 1500 qdisc noqueue master", "UP> mtu 1500 qdisc noqueue master")
    site.replace(PORTS, "state forwarding", "state disabled")
    assert [alarm.partition(":")[0] for alarm in alarms(site)] == ["link-container-iface-down"]


def test_a_bridge_that_is_down_explains_its_ports(site: Any) -> None:
    site.replace(LINKS, f"4: {site.BRIDGE}: {FLAGS}", f"4: {site.BRIDGE}: <BROADCAST>")
    site.replace(PORTS, "state forwarding", "state disabled")
    assert [alarm.partition(":")[0] for alarm in alarms(site) if "port" in alarm] == []


def test_a_veth_on_another_bridge_is_one_finding_with_the_owner_s_name(site: Any) -> None:
    site.replace(LINKS, f"noqueue master {site.BRIDGE}", "noqueue master docker0")
    site.replace(PORTS, f"master {site.BRIDGE}", "master docker0")
    assert alarms(site) == [
        "link-veth-wrong-bridge: `veth1a2b3c4` of container `web` is a port of `docker0`, the bridge of network "
        f"`bridge`, not of `{site.BRIDGE}`"
    ]


# --- by design --------------------------------------------------------------------------------------------------------


def test_unused_tunnels_of_every_namespace_are_down_and_nobody_s_fault(site: Any) -> None:
    site.files[f"netns/{site.WEB}/ip-addr.txt"] += (
        "2: tunl0@NONE: <NOARP> mtu 1480 qdisc noop state DOWN group default qlen 1000\n"
        "    link/ipip 0.0.0.0 brd 0.0.0.0 promiscuity 0 minmtu 0 maxmtu 0\n"
    )
    assert alarms(site) == []


def test_an_interface_with_another_address_and_mac_on_the_right_bridge_is_there(site: Any) -> None:
    path = f"netns/{site.WEB}/ip-addr.txt"
    site.replace(path, "172.18.0.2/", "172.18.0.77/")
    site.replace(path, "02:42:ac:12:00:02", "02:42:ac:12:00:4d")
    assert site.verdict("link-container-iface-missing")[0] is CLEAN


def test_an_interface_that_is_gone_is_said_once(site: Any) -> None:
    path = f"netns/{site.WEB}/ip-addr.txt"
    site.files[path] = site.files[path][: site.files[path].index("5: eth0")]
    site.files[LINKS] = site.files[LINKS][: site.files[LINKS].index("6: veth")]
    site.files[PORTS] = ""
    assert [alarm.partition(":")[0] for alarm in alarms(site)] == ["link-container-iface-missing"]
    assert site.verdict("link-veth-not-enslaved")[0] is CLEAN


def test_a_container_that_starts_while_the_bundle_is_made_may_still_lack_its_interface(site: Any) -> None:
    path = f"netns/{site.WEB}/ip-addr.txt"
    site.files[path] = site.files[path][: site.files[path].index("5: eth0")]
    site.docker("inspect")[0]["State"]["StartedAt"] = "2026-11-23T10:15:02.5Z"
    assert site.verdict("link-container-iface-missing")[0] is UNKNOWN


def isolate(site: Any) -> None:
    add_container(site, "db", "172.18.0.3", 20)
    site.files[PORTS] = site.files[PORTS].replace("isolated off", "isolated on")


def test_isolated_ports_of_a_network_that_shall_not_talk_are_a_note(site: Any) -> None:
    isolate(site)
    assert severities(site) == {"bridge-port-isolated": Severity.ERROR}
    site.docker("network-inspect")[3]["Options"] = {"com.docker.network.bridge.enable_icc": "false"}
    assert severities(site)["bridge-port-isolated"] is Severity.NOTE


def run_stp(site: Any) -> None:
    site.files[LINKS] = site.files[LINKS].replace("stp_state 0", "stp_state 1")
    site.replace(PORTS, "state forwarding", "state learning")


@pytest.mark.parametrize(
    ("started", "verdict"), [("2026-11-23T10:14:50Z", UNKNOWN), ("2026-11-23T10:10:00Z", FINDING)], ids=["new", "old"]
)
def test_stp_lets_a_new_port_wait_for_thirty_seconds(site: Any, started: str, verdict: Verdict) -> None:
    run_stp(site)
    site.docker("inspect")[0]["State"]["StartedAt"] = started
    assert site.verdict("bridge-port-not-forwarding")[0] is verdict


def test_a_switch_port_keeps_stp_on_a_bridge_of_the_administrator_s(site: Any) -> None:
    site.files[LINKS] = site.files[LINKS].replace("stp_state 0", "stp_state 1")
    site.files[LINKS] += (
        f"30: eth1: {FLAGS} mtu 1500 qdisc fq_codel master {site.BRIDGE} state UP group default\n"
        "    link/ether 52:54:00:12:34:57 brd ff:ff:ff:ff:ff:ff promiscuity 1\n"
        "30: eth2: <BROADCAST> mtu 1500 qdisc noop master docker0 state DOWN group default\n"
        "    link/ether 52:54:00:12:34:58 brd ff:ff:ff:ff:ff:ff promiscuity 1\n"
    )
    assert site.verdict("bridge-stp-enabled")[0] is CLEAN


@pytest.mark.parametrize(
    ("settings", "severity"),
    [
        ("learning on flood on bcast_flood off", Severity.ERROR),
        ("learning off flood off bcast_flood on", Severity.ERROR),
        ("learning on flood off bcast_flood on", Severity.WARNING),
        ("learning off flood on bcast_flood on", None),
        ("learning on flood on bcast_flood on locked on", Severity.ERROR),
    ],
)
def test_what_a_port_refuses_decides_how_bad_it_is(site: Any, settings: str, severity: Severity | None) -> None:
    site.replace(PORTS, "learning on flood on mcast_flood on bcast_flood on", settings)
    assert severities(site).get("bridge-flood-learning-off") is severity


def test_a_static_entry_for_the_container_makes_up_for_flooding(site: Any) -> None:
    site.replace(PORTS, "learning on flood on", "learning off flood off")
    assert site.verdict("bridge-flood-learning-off")[0] is FINDING
    site.replace(
        ENTRIES, f"dev veth1a2b3c4 master {site.BRIDGE}\n8a", f"dev veth1a2b3c4 master {site.BRIDGE} static\n8a"
    )
    assert site.verdict("bridge-flood-learning-off")[0] is CLEAN


def test_two_containers_with_one_mac_are_no_stale_entry(site: Any) -> None:
    path = add_container(site, "db", "172.18.0.3", 20)
    site.replace(path, "02:42:ac:12:00:03", "02:42:ac:12:00:02")
    site.files[ENTRIES] = site.files[ENTRIES].replace("02:42:ac:12:00:03", "02:42:ac:12:00:02")
    assert site.verdict("bridge-fdb-stale-static")[0] is CLEAN


def test_a_learned_entry_elsewhere_is_only_a_warning(site: Any) -> None:
    add_container(site, "db", "172.18.0.3", 20)
    site.replace(ENTRIES, "02:42:ac:12:00:02 dev veth1a2b3c4", "02:42:ac:12:00:02 dev veth0000014")
    assert severities(site) == {"bridge-fdb-stale-static": Severity.WARNING}
    site.replace(
        ENTRIES, f"dev veth0000014 master {site.BRIDGE}\n", f"dev veth0000014 master {site.BRIDGE} static sticky\n"
    )
    assert severities(site) == {"bridge-fdb-stale-static": Severity.ERROR}


def without_the_proxy(site: Any) -> None:
    site.files["docker/dockerd-cmdline.txt"] += "--userland-proxy=false\n"
    site.files["host/sysctl.txt"] += site.WITHOUT_PROXY


def test_hairpin_mode_is_nobody_s_need_on_a_routed_network(site: Any) -> None:
    without_the_proxy(site)
    assert site.verdict("bridge-hairpin-missing")[0] is FINDING
    site.docker("network-inspect")[3]["Options"] = {"com.docker.network.bridge.gateway_mode_ipv4": "routed"}
    assert site.verdict("bridge-hairpin-missing")[0] is CLEAN


def test_hairpin_mode_is_nobody_s_need_when_the_host_translates_instead_of_the_bridge(site: Any) -> None:
    without_the_proxy(site)
    site.replace("host/sysctl.txt", "nf-call-iptables = 1", "nf-call-iptables = 0")
    site.replace(LINKS, "vlan_filtering 0", "vlan_filtering 0 nf_call_iptables 0")
    assert site.verdict("bridge-hairpin-missing")[0] is CLEAN


def test_hairpin_mode_is_nobody_s_need_for_a_port_of_the_host_alone(site: Any) -> None:
    without_the_proxy(site)
    (binding,) = site.docker("inspect")[0]["NetworkSettings"]["Ports"]["80/tcp"]
    binding["HostIp"] = "127.0.0.1"
    assert site.verdict("bridge-hairpin-missing")[0] is CLEAN


def test_a_veth_put_back_without_the_proxy_needs_hairpin_mode_too(site: Any) -> None:
    site.files["docker/dockerd-cmdline.txt"] += "--userland-proxy=false\n"
    site.replace(LINKS, f"noqueue master {site.BRIDGE}", "noqueue")
    (finding,) = [f for f in site.analysis().findings if f.check == "link-veth-not-enslaved"]
    assert finding.remedy == (
        f"ip link set dev veth1a2b3c4 master {site.BRIDGE}",
        "bridge link set dev veth1a2b3c4 hairpin on",
    )


# --- bridges ----------------------------------------------------------------------------------------------------------

PHYSICAL = (
    f"31: eth1: {FLAGS} mtu 1500 qdisc fq_codel master {{}} state UP group default\n"
    "    link/ether 52:54:00:12:34:57 brd ff:ff:ff:ff:ff:ff promiscuity 1\n"
)


def test_a_physical_port_of_a_bridge_that_the_engine_made_is_a_warning(site: Any) -> None:
    site.files[LINKS] += PHYSICAL.format(site.BRIDGE)
    assert severities(site) == {"bridge-uplink-enslaved": Severity.WARNING}


def test_a_physical_port_with_an_address_is_an_error(site: Any) -> None:
    site.files[LINKS] += PHYSICAL.format(site.BRIDGE) + "    inet 192.0.2.9/24 scope global eth1\n"
    assert severities(site)["bridge-uplink-enslaved"] is Severity.ERROR


def test_a_lan_bridge_that_docker_was_given_is_meant_so(site: Any) -> None:
    site.docker("network-inspect")[3]["Options"] = {"com.docker.network.bridge.name": "br0"}
    for path in (LINKS, PORTS, ENTRIES, "host/iptables-save.txt", "host/ip-route.txt"):
        site.files[path] = site.files[path].replace(site.BRIDGE, "br0")
    site.files[LINKS] += PHYSICAL.format("br0")
    assert alarms(site) == []


def test_a_port_whose_kind_is_not_told_is_no_uplink(site: Any) -> None:
    site.files[LINKS] = "\n".join(line for line in site.files[LINKS].splitlines() if line.strip() != "veth") + "\n"
    assert site.verdict("bridge-uplink-enslaved")[0] is CLEAN


@pytest.mark.parametrize(("ports", "severity"), [(999, None), (1000, Severity.WARNING), (1023, Severity.ERROR)])
def test_a_bridge_has_1023_ports_at_most(site: Any, ports: int, severity: Severity | None) -> None:
    site.files[LINKS] += "".join(
        f"{100 + number}: tap{number}: <BROADCAST,UP> mtu 1500 qdisc noqueue master {site.BRIDGE} state UP\n"
        "    link/ether 8a:8e:5f:01:00:00 brd ff:ff:ff:ff:ff:ff promiscuity 1\n    tun type tap\n"
        for number in range(ports - 1)
    )
    assert severities(site).get("bridge-port-limit") is severity


def join(site: Any, stp: int = 0) -> None:
    """A veth pair with both ends on network blue's bridge."""
    site.files[LINKS] += "".join(
        f"{index}: {name}@{peer}: {FLAGS} mtu 1500 qdisc noqueue master {site.BRIDGE} state UP\n"
        f"    link/ether 8a:8e:5f:00:13:{index} brd ff:ff:ff:ff:ff:ff promiscuity 1\n    veth\n"
        for index, name, peer in ((40, "la", "lb"), (41, "lb", "la"))
    )
    site.files[LINKS] = site.files[LINKS].replace("stp_state 0", f"stp_state {stp}")


def test_a_loop_is_one_finding_with_the_orphans_that_it_is_made_of(site: Any) -> None:
    join(site)
    assert [alarm.partition(":")[0] for alarm in alarms(site)] == ["bridge-l2-loop"]


def test_stp_cuts_a_loop(site: Any) -> None:
    join(site, stp=1)
    assert site.verdict("bridge-l2-loop")[0] is CLEAN


def test_a_container_that_joins_two_interfaces_of_one_network_makes_a_loop(site: Any) -> None:
    site.files[LINKS] += (
        f"51: veth0000033@if50: {FLAGS} mtu 1500 qdisc noqueue master {site.BRIDGE} state UP\n"
        "    link/ether 8a:8e:5f:00:13:51 brd ff:ff:ff:ff:ff:ff link-netnsid 0 promiscuity 1\n    veth\n"
    )
    path = f"netns/{site.WEB}/ip-addr.txt"
    site.replace(
        path, f"{FLAGS} mtu 1500 qdisc noqueue state UP", f"{FLAGS} mtu 1500 qdisc noqueue master br0 state UP"
    )
    site.files[path] += (
        f"50: eth1@if51: {FLAGS} mtu 1500 qdisc noqueue master br0 state UP\n"
        "    link/ether 02:42:ac:12:00:99 brd ff:ff:ff:ff:ff:ff link-netnsid 0 promiscuity 1\n    veth\n"
        f"52: br0: {FLAGS} mtu 1500 qdisc noqueue state UP\n"
        "    link/ether 02:42:ac:12:00:02 brd ff:ff:ff:ff:ff:ff promiscuity 0\n    bridge stp_state 0\n"
    )
    (finding,) = [f for f in site.analysis().findings if f.check == "bridge-l2-loop"]
    assert finding.remedy == ("nsenter -t $(docker inspect -f '{{.State.Pid}}' web) -n ip link set dev eth1 nomaster",)


VLANS = "port              vlan-id\n{bridge}    {own} PVID Egress Untagged\nveth1a2b3c4       {theirs}\n"


@pytest.mark.parametrize(
    ("theirs", "verdict"),
    [
        ("1 PVID Egress Untagged", CLEAN),
        ("10 PVID Egress Untagged", FINDING),
        ("1 Egress Untagged", FINDING),
        ("1 PVID", FINDING),
    ],
)
def test_the_port_must_be_in_the_bridge_s_own_vlan_both_ways(site: Any, theirs: str, verdict: Verdict) -> None:
    site.files["host/bridge-vlan.txt"] = VLANS.format(bridge=site.BRIDGE, own=1, theirs=theirs)
    assert site.verdict("bridge-vlan-filtering-mismatch")[0] is CLEAN  # the bridge does not filter
    site.files[LINKS] = site.files[LINKS].replace("vlan_filtering 0", "vlan_filtering 1")
    assert site.verdict("bridge-vlan-filtering-mismatch")[0] is verdict


def test_without_the_list_of_vlans_a_filtering_bridge_cannot_be_judged(site: Any) -> None:
    site.files[LINKS] = site.files[LINKS].replace("vlan_filtering 0", "vlan_filtering 1")
    assert site.verdict("bridge-vlan-filtering-mismatch")[0] is UNKNOWN


# --- rules of bridges -------------------------------------------------------------------------------------------------

CHAIN = "table bridge site {{\n\tchain f {{\n\t\ttype filter hook {} priority filter; policy {};\n{}\t}}\n}}\n"


def bridge_rules(site: Any, hook: str, policy: str, *rules: str) -> None:
    site.files["host/nft-ruleset.txt"] = CHAIN.format(hook, policy, "".join(f"\t\t{rule}\n" for rule in rules))


def test_a_policy_of_the_bridge_family_drops_what_iptables_lets_pass(site: Any) -> None:
    add_container(site, "db", "172.18.0.3", 20)
    bridge_rules(site, "forward", "drop")
    (finding,) = site.analysis().findings
    assert finding.check == "bridge-ebtables-drop"
    assert finding.remedy == ("nft chain bridge site f '{ policy accept; }'",)


def test_one_container_alone_on_its_network_has_nobody_to_be_kept_from(site: Any) -> None:
    bridge_rules(site, "forward", "drop")
    assert site.verdict("bridge-ebtables-drop")[0] is CLEAN


def test_rules_that_let_arp_and_ip_pass_before_the_policy_are_right(site: Any) -> None:
    add_container(site, "db", "172.18.0.3", 20)
    bridge_rules(site, "forward", "drop", "ether type arp accept", "meta protocol ip accept")
    assert alarms(site) == []


def test_arp_alone_is_dropped_and_said(site: Any) -> None:
    bridge_rules(
        site, "input", "accept", 'iifname "veth1a2b3c4" ether type arp counter packets 7 bytes 196 drop # handle 4'
    )
    (finding,) = site.analysis().findings
    assert "drops ARP of containers `web` at hook input" in finding.message
    assert finding.evidence[0].label.endswith("; 7 so far")
    assert finding.remedy == ("nft delete rule bridge site f handle 4",)


def test_a_rule_for_the_port_of_a_virtual_machine_is_not_about_containers(site: Any) -> None:
    bridge_rules(site, "prerouting", "accept", 'iifname "vnet0" drop', 'iifname "vnet*" ether type arp drop')
    assert alarms(site) == []


def test_a_rule_against_spoofed_macs_cannot_be_judged(site: Any) -> None:
    bridge_rules(site, "prerouting", "accept", 'iifname "veth1a2b3c4" ether saddr != 02:42:ac:12:00:02 drop')
    assert site.verdict("bridge-ebtables-drop")[0] is UNKNOWN
