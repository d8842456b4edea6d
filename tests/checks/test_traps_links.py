"""Traps around links that lead outside, queues, counters and the kernel's log. Each test changes one thing of a healthy
host.
"""

from typing import Any

import pytest

from netdiag.finding import Severity, Verdict

CLEAN, FINDING, UNKNOWN, NOT_APPLICABLE = Verdict.CLEAN, Verdict.FINDING, Verdict.UNKNOWN, Verdict.NOT_APPLICABLE
LINKS, QUEUES, NIC, LOG = "host/ip-addr.txt", "host/tc-qdisc.txt", "host/ethtool.txt", "host/dmesg.txt"
NIC_CHECKS = ("perf-half-duplex-speed", "perf-lro-on-forwarding", "perf-ring-drops")
FLAGS = "<BROADCAST,MULTICAST,UP,LOWER_UP>"


def severities(site: Any) -> dict[str, Severity]:
    return {finding.check: finding.severity for finding in site.analysis().findings}


def verdicts(site: Any, *checks: str) -> set[Verdict]:
    return {outcome.verdict for outcome in site.analysis().outcomes if outcome.check in checks}


# --- ethtool ----------------------------------------------------------------------------------------------------------


def test_without_ethtool_the_devices_are_an_open_question(site: Any) -> None:
    del site.files[NIC]
    analysis = site.analysis()
    asked = {o.check: o.ask for o in analysis.outcomes if o.check in NIC_CHECKS}
    assert asked == {
        "perf-half-duplex-speed": ("ethtool eth0",),
        "perf-lro-on-forwarding": ("ethtool -k eth0",),
        "perf-ring-drops": ("ethtool -S eth0",),
    }


def test_a_virtual_uplink_has_no_such_settings(site: Any) -> None:
    del site.files[NIC]
    site.replace(LINKS, "2: eth0:", "2: eth0@if9:")
    site.replace(LINKS, "    inet 203.0.113.10", "    veth\n    inet 203.0.113.10")
    assert verdicts(site, *NIC_CHECKS) == {NOT_APPLICABLE}


def test_the_members_of_a_bond_are_what_counts(site: Any) -> None:
    site.replace(LINKS, "    inet 203.0.113.10", "    bond mode active-backup\n    inet 203.0.113.10")
    site.files[LINKS] += (
        f"9: eno1: {FLAGS} mtu 1500 qdisc mq master eth0 state UP group default qlen 1000\n"
        "    link/ether 52:54:00:12:34:56 brd ff:ff:ff:ff:ff:ff promiscuity 1\n"
    )
    site.files[NIC] = site.files[NIC].replace(" eth0:", " eno1:").replace("offload: off [fixed]", "offload: on")
    assert severities(site) == {"perf-lro-on-forwarding": Severity.ERROR}


def test_a_vlan_leaves_by_its_parent(site: Any) -> None:
    site.replace(LINKS, "2: eth0:", "2: eth0@eno1:")
    site.replace(LINKS, "    inet 203.0.113.10", "    vlan protocol 802.1Q id 5\n    inet 203.0.113.10")
    site.files[LINKS] += (
        f"9: eno1: {FLAGS} mtu 1500 qdisc mq state UP group default qlen 1000\n"
        "    link/ether 52:54:00:12:34:56 brd ff:ff:ff:ff:ff:ff promiscuity 0\n"
    )
    site.files[NIC] = site.files[NIC].replace(" eth0:", " eno1:").replace("Duplex: Full", "Duplex: Half")
    assert severities(site) == {"perf-half-duplex-speed": Severity.WARNING}


def test_lro_is_nobody_s_business_on_a_host_that_does_not_forward(site: Any) -> None:
    site.replace(NIC, "large-receive-offload: off [fixed]", "large-receive-offload: on")
    assert site.verdict("perf-lro-on-forwarding")[0] is FINDING
    site.files["host/sysctl.txt"] = "net.ipv4.ip_forward = 0\n"
    assert site.verdict("perf-lro-on-forwarding")[0] is NOT_APPLICABLE


@pytest.mark.parametrize(
    ("speed", "modes", "verdict"),
    [
        ("100Mb/s", "100baseT/Full", CLEAN),
        ("100Mb/s", "1000baseT/Full", FINDING),
        ("Unknown!", "1000baseT/Full", CLEAN),
        ("2500Mb/s", "10000baseT/Full", CLEAN),
    ],
)
def test_a_device_is_slow_when_it_can_do_more(site: Any, speed: str, modes: str, verdict: Verdict) -> None:
    site.replace(NIC, "Speed: 1000Mb/s", f"Speed: {speed}")
    site.replace(NIC, "1000baseT/Full", modes)
    assert site.verdict("perf-half-duplex-speed")[0] is verdict


@pytest.mark.parametrize(
    ("counter", "size", "verdict"),
    [
        ("rx_missed_errors: 5000", 256, FINDING),
        ("rx_missed_errors: 5000", 4096, CLEAN),  # there is no larger ring
        ("rx_missed_errors: 90", 256, CLEAN),
        ("tx_missed_errors: 5000", 256, CLEAN),
        ("rx_out_of_buffer: 5000", 256, FINDING),
    ],
)
def test_a_ring_is_too_small_when_it_could_be_larger(site: Any, counter: str, size: int, verdict: Verdict) -> None:
    site.replace(NIC, "rx_missed_errors: 0", counter)
    site.replace(NIC, "RX:\t\t256", f"RX:\t\t{size}")
    assert site.verdict("perf-ring-drops")[0] is verdict


# --- counters ---------------------------------------------------------------------------------------------------------


def test_frames_of_unknown_protocols_are_no_loss(site: Any) -> None:
    site.replace(LINKS, "91234      0    1250       0      12", "91234      0    9250       0      12")
    assert severities(site) == {}


@pytest.mark.parametrize(
    ("numbers", "check"),
    [
        ("91234    500       0       0      12", "link-rx-tx-errors"),
        ("91234      0       0     500      12", "link-rx-tx-errors"),
        ("91234     60       0       0      12", None),
        ("9123400    500       0       0      12", None),
    ],
    ids=["errors", "missed", "few", "of many"],
)
def test_losses_count_when_they_are_many_and_a_part_of_the_traffic(site: Any, numbers: str, check: str | None) -> None:
    site.replace(LINKS, "91234      0    1250       0      12", numbers)
    assert set(severities(site)) == ({check} if check else set())


def test_missed_packets_of_a_small_ring_are_one_finding(site: Any) -> None:
    site.replace(LINKS, "91234      0    1250       0      12", "91234      0       0    5000      12")
    site.replace(NIC, "rx_missed_errors: 0", "rx_missed_errors: 5000")
    assert list(severities(site)) == ["perf-ring-drops"]


def test_links_without_counters_tell_no_losses(site: Any) -> None:
    lines = site.files[LINKS].splitlines()
    site.files[LINKS] = "\n".join(line for line in lines if not line.startswith(("    RX", "    TX", "      "))) + "\n"
    assert site.verdict("link-rx-tx-errors")[0] is UNKNOWN


# --- queues -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dropped", "verdict"), [(9, CLEAN), (500, CLEAN), (5000, FINDING)], ids=["few", "under load", "many"]
)
def test_a_queue_that_drops_one_in_a_hundred_is_full(site: Any, dropped: int, verdict: Verdict) -> None:
    site.replace(QUEUES, "dropped 3", f"dropped {dropped}")
    assert site.verdict("link-txqueuelen-qdisc-drops")[0] is verdict


@pytest.mark.parametrize("path", ["host", "netns"])
def test_netem_is_there_to_lose_packets(site: Any, path: str) -> None:
    file, device = (QUEUES, "veth1a2b3c4") if path == "host" else (f"netns/{site.WEB}/tc-qdisc.txt", "eth0")
    site.replace(file, f"qdisc noqueue 0: dev {device} root", f"qdisc netem 8001: dev {device} root")
    (finding,) = site.analysis().findings
    assert ("container", "web") in [(s.kind, s.name) for s in finding.subjects]
    assert finding.remedy[0].endswith(f"tc qdisc del dev {device} root")


def test_queues_that_were_not_collected_are_an_open_question(site: Any) -> None:
    del site.files[QUEUES]
    assert site.verdict("link-txqueuelen-qdisc-drops")[0] is UNKNOWN


# --- who listens ------------------------------------------------------------------------------------------------------


def test_a_listening_program_is_told_from_a_setting(site: Any) -> None:
    site.replace(LINKS, "ff:ff promiscuity 0 minmtu 68 maxmtu 65535\n    inet 203", "ff:ff promiscuity 1\n    inet 203")
    (finding,) = site.analysis().findings
    assert (finding.check, finding.severity) == ("link-promisc-or-sniffer", Severity.NOTE)
    assert finding.remedy == ("ss -0 -l -p",)
    site.replace(LINKS, f"2: eth0: {FLAGS}", f"2: eth0: {FLAGS.replace('UP', 'PROMISC,UP', 1)}")
    assert site.analysis().findings[0].remedy == ("ip link set dev eth0 promisc off",)


CHILD = (
    "9: {}@eth0: <BROADCAST,UP> mtu 1500 qdisc noqueue state UP\n"
    "    link/ether 52:54:00:12:34:57 brd ff:ff:ff:ff:ff:ff\n    {}\n"
)


@pytest.mark.parametrize(
    "children",
    [CHILD.format("eth0.5", "vlan protocol 802.1Q id 5"), CHILD.format("shim", "macvlan mode bridge")],
    ids=["vlan", "macvlan"],
)
def test_a_parent_looks_at_the_frames_of_its_children(site: Any, children: str) -> None:
    site.replace(LINKS, "ff:ff promiscuity 0 minmtu 68 maxmtu 65535\n    inet 203", "ff:ff promiscuity 1\n    inet 203")
    site.files[LINKS] += children
    assert severities(site) == {}


def test_a_macvlan_in_a_container_is_a_child_too(site: Any) -> None:
    site.replace(LINKS, "ff:ff promiscuity 0 minmtu 68 maxmtu 65535\n    inet 203", "ff:ff promiscuity 1\n    inet 203")
    site.files[f"netns/{site.WEB}/ip-addr.txt"] += (
        f"7: eth1@if2: {FLAGS} mtu 1500 qdisc noqueue state UP group default\n"
        "    link/ether 02:42:c0:00:02:02 brd ff:ff:ff:ff:ff:ff link-netnsid 0 promiscuity 0\n    macvlan mode bridge\n"
    )
    assert severities(site) == {}


# --- two connected routes ---------------------------------------------------------------------------------------------

OLD = (
    "60: oldbr: <NO-CARRIER,BROADCAST,MULTICAST,UP> mtu 1500 qdisc noqueue state DOWN group default\n"
    "    link/ether 02:42:3d:04:11:99 brd ff:ff:ff:ff:ff:ff promiscuity 0\n    bridge stp_state 0\n"
    "    inet 172.18.255.1/16 scope global oldbr\n"
)
OLD_ROUTE = "172.18.0.0/16 dev oldbr proto kernel scope link src 172.18.255.1\n"


def two_routes(site: Any, *, first: bool, old: str = OLD) -> None:
    site.files[LINKS] += old
    routes = site.files["host/ip-route.txt"]
    site.files["host/ip-route.txt"] = OLD_ROUTE + routes if first else routes + OLD_ROUTE


@pytest.mark.parametrize(("place", "severity"), [("first", Severity.ERROR), ("last", Severity.WARNING)])
def test_the_older_of_two_connected_routes_takes_the_packets(site: Any, place: str, severity: Severity) -> None:
    two_routes(site, first=place == "first")
    assert severities(site) == {"link-dual-connected-route": severity}


def test_a_deleted_network_s_bridge_in_the_way_is_one_finding(site: Any) -> None:
    two_routes(site, first=True, old=OLD.replace("oldbr", "br-0123456789ab"))
    site.files["host/ip-route.txt"] = site.files["host/ip-route.txt"].replace("oldbr", "br-0123456789ab")
    assert "link-stale-bridge" in severities(site)
    assert "link-dual-connected-route" not in severities(site)


# --- the kernel's log -------------------------------------------------------------------------------------------------

WAITS = "[ {}.561096] unregister_netdevice: waiting for lo to become free. Usage count = 1\n"


@pytest.mark.parametrize(("times", "severity"), [(1, Severity.NOTE), (3, Severity.ERROR)])
def test_the_kernel_repeats_itself_while_it_hangs(site: Any, times: int, severity: Severity) -> None:
    site.files[LOG] += "".join(WAITS.format(3152 + 10 * number) for number in range(times))
    assert severities(site) == {"link-unregister-netdevice-hang": severity}


def test_without_the_kernel_s_log_nobody_knows_whether_it_hangs(site: Any) -> None:
    del site.files[LOG]
    assert site.verdict("link-unregister-netdevice-hang")[0] is UNKNOWN


# --- offloads that the kernel complains of ----------------------------------------------------------------------------

OFFLOADS = "perf-gro-tso-tunnel-bug"
BAD_OFFLOAD = """\
[ 3152.561096] bnxt_en: caps=(0x009201c01dd14833, 0x0000000e401d4869)
[ 3152.561101] WARNING: CPU: 1 PID: 5273 at net/core/dev.c:3535 skb_warn_bad_offload+0x81/0x140
[ 3152.561139] RIP: 0010:skb_warn_bad_offload+0x81/0x140
"""


def test_the_driver_that_the_kernel_names_has_a_device(site: Any) -> None:
    site.files[LOG] += BAD_OFFLOAD * 3
    site.files["host/ethtool.txt"] += "driver: bnxt_en\nversion: 6.1.0-18-amd64\n"
    (finding,) = site.analysis().findings
    assert (finding.check, finding.severity) == (OFFLOADS, Severity.WARNING)
    assert finding.remedy == ("ethtool -K eth0 tso off gro off",)


def test_a_device_without_a_bus_is_named_itself(site: Any) -> None:
    site.files[LOG] += "[ 3152.561096] docker0: caps=(0x00000006401d7869, 0x00000006401d7869)\n"
    (finding,) = site.analysis().findings
    assert ("interface", "docker0") in [(subject.kind, subject.name) for subject in finding.subjects]


@pytest.mark.parametrize(
    "line",
    [
        "[ 3152.561139]  ? skb_warn_bad_offload+0xc4/0xe0\n",  # a frame of another trace
        "[ 3152.561139] usb 1-1: caps=(none)\n",
        "[ 3152.561139] WARNING: CPU: 1 PID: 5273 at net/core/dev.c:3535 netif_set_xps_queue+0x81/0x140\n",
    ],
)
def test_other_complaints_are_none_of_offloads(site: Any, line: str) -> None:
    site.files[LOG] += line
    assert site.verdict(OFFLOADS)[0] is CLEAN


# --- who else sets interfaces up --------------------------------------------------------------------------------------

MANAGERS = "    PID      NETNS COMMAND\n    412 4026531840 {}\n"
NETWORKCTL = (
    "IDX LINK            TYPE     OPERATIONAL SETUP\n"
    "  2 eth0            ether    routable    configured\n"
    "  4 {bridge} bridge   routable    unmanaged\n"
    "  6 veth1a2b3c4     ether    {state}\n"
)
NMCLI = (
    "DEVICE           TYPE      STATE                   CONNECTION\n"
    "eth0             ethernet  connected               Wired connection 1\n"
    "{bridge}  bridge    {state}  --\n"
    "veth1a2b3c4      ethernet  unmanaged               --\n"
)


def networkd(site: Any, state: str) -> None:
    site.files["host/ps.txt"] = MANAGERS.format("/lib/systemd/systemd-networkd")
    site.files["host/networkctl.txt"] = NETWORKCTL.format(bridge=site.BRIDGE, state=state)


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        ("enslaved    unmanaged", CLEAN),
        ("enslaved    configured", FINDING),
        ("degraded    unmanaged", CLEAN),
        ("enslaved    pending", FINDING),
        ("enslaved    linger", CLEAN),
    ],
)
def test_networkd_manages_what_it_configures(site: Any, state: str, verdict: Verdict) -> None:
    networkd(site, state)
    assert site.verdict("link-nm-or-networkd-managed")[0] is verdict


@pytest.mark.parametrize(
    ("state", "verdict"),
    [("connected (externally)", CLEAN), ("unmanaged", CLEAN), ("disconnected", FINDING), ("connected", FINDING)],
)
def test_networkmanager_may_watch_a_bridge(site: Any, state: str, verdict: Verdict) -> None:
    site.files["host/ps.txt"] = MANAGERS.format("/usr/sbin/NetworkManager --no-daemon")
    site.files["host/nmcli-device.txt"] = NMCLI.format(bridge=site.BRIDGE, state=state)
    assert site.verdict("link-nm-or-networkd-managed")[0] is verdict


def test_a_veth_that_networkd_took_off_its_bridge_is_one_finding(site: Any) -> None:
    networkd(site, "carrier     configured")
    site.replace(LINKS, f"noqueue master {site.BRIDGE}", "noqueue")
    del site.files["host/bridge-link.txt"]
    (finding,) = [f for f in site.analysis().findings if f.severity is Severity.ERROR]
    assert finding.check == "link-nm-or-networkd-managed"
    assert finding.remedy[-1] == f"ip link set dev veth1a2b3c4 master {site.BRIDGE}"


BRIDGE_ADDRESS = (
    "    inet 172.18.0.1/16 brd 172.18.255.255 scope global {bridge}\n       valid_lft forever preferred_lft forever\n"
)


def test_a_bridge_that_networkd_took_the_address_of_is_one_finding(site: Any) -> None:
    networkd(site, "enslaved    unmanaged")
    site.replace("host/networkctl.txt", "routable    unmanaged", "degraded    configured")
    site.replace(LINKS, BRIDGE_ADDRESS.format(bridge=site.BRIDGE), "")
    found = {finding.check: finding for finding in site.analysis().findings}
    assert "address-bridge-ip-missing" not in found
    finding = found["link-nm-or-networkd-managed"]
    assert finding.severity is Severity.ERROR
    assert finding.remedy[-1] == f"ip addr add 172.18.0.1/16 brd + dev {site.BRIDGE}"


def test_an_address_that_is_missing_on_another_bridge_is_not_the_manager_s_doing(site: Any) -> None:
    networkd(site, "enslaved    configured")
    site.replace(LINKS, BRIDGE_ADDRESS.format(bridge=site.BRIDGE), "")
    assert severities(site)["address-bridge-ip-missing"] is Severity.ERROR
    assert severities(site)["link-nm-or-networkd-managed"] is Severity.WARNING


def test_a_manager_of_another_namespace_is_nobody_here(site: Any) -> None:
    site.files["host/netns.txt"] = "net:[4026531840]\n"
    networkd(site, "enslaved    configured")
    site.replace("host/ps.txt", "4026531840", "4026539999")
    assert site.verdict("link-nm-or-networkd-managed")[0] is NOT_APPLICABLE


def test_a_manager_that_nobody_asked_is_an_open_question(site: Any) -> None:
    networkd(site, "enslaved    unmanaged")
    del site.files["host/networkctl.txt"]
    assert site.verdict("link-nm-or-networkd-managed")[0] is UNKNOWN


def test_what_networkd_has_not_said_is_not_unmanaged(site: Any) -> None:
    networkd(site, "-           unmanaged")
    site.files["host/networkctl.txt"] = "\n".join(
        line for line in site.files["host/networkctl.txt"].splitlines() if "eth0" not in line and "br-" not in line
    )
    assert site.verdict("link-nm-or-networkd-managed")[0] is UNKNOWN


ASK_FOR_MANAGERS = "ps -ww -C systemd-networkd,NetworkManager -o pid,netns,args"


@pytest.mark.parametrize("trouble", ["none", "failed", "another list"])
def test_who_manages_links_is_asked_for_by_the_right_command(site: Any, trouble: str) -> None:
    del site.files["host/ps.txt"]
    path = "host/network-managers.txt"
    if trouble == "failed":
        site.files[path] = ""
        site.facts[path] = {"format": "ps", "argv": ASK_FOR_MANAGERS.split(), "exit_code": 127}
    elif trouble == "another list":
        site.files["host/docker-proxy.txt"] = "    PID      NETNS COMMAND\n"
        command = "ps -ww -C docker-proxy -o pid,netns,args"
        site.facts["host/docker-proxy.txt"] = {"format": "ps", "argv": command.split()}
    (outcome,) = [each for each in site.analysis().outcomes if each.check == "link-nm-or-networkd-managed"]
    assert (outcome.verdict, outcome.ask) == (UNKNOWN, (ASK_FOR_MANAGERS,))


def test_a_list_of_managers_that_found_none_is_an_answer(site: Any) -> None:
    del site.files["host/ps.txt"]
    path = "host/network-managers.txt"
    site.files[path] = "    PID      NETNS COMMAND\n"
    site.facts[path] = {"format": "ps", "argv": ASK_FOR_MANAGERS.split(), "exit_code": 1}
    assert site.verdict("link-nm-or-networkd-managed")[0] is NOT_APPLICABLE


# --- the kernel's own ebtables ----------------------------------------------------------------------------------------

# typed after ebtables(8) and the grammar of its listing: the legacy tool was not at hand
EBTABLES = """\
Bridge table: filter

Bridge chain: INPUT, entries: 1, policy: ACCEPT
1. {rule} , pcnt = 0 -- bcnt = 0

Bridge chain: FORWARD, entries: 0, policy: ACCEPT

Bridge chain: OUTPUT, entries: 0, policy: ACCEPT

Bridge chain: GUARD, entries: 0, policy: {policy}
"""
DROPS, LISTING = "bridge-ebtables-drop", "ebtables-legacy -t filter -L --Lc --Ln || ebtables -t filter -L --Lc --Ln"


def ebtables(site: Any, rule: str, policy: str = "RETURN") -> None:
    site.skipped = [each for each in site.skipped if each["id"] != "ebtables"]
    site.files["host/ebtables.txt"] = EBTABLES.format(rule=rule, policy=policy)


@pytest.mark.parametrize(
    ("rule", "verdict"),
    [
        ("-p ARP -j DROP", FINDING),
        ("-p IPv4 --ip-proto tcp --ip-dport 80 -j DROP", FINDING),
        ("-p IPv4 --ip-proto tcp --ip-dport 79:81 -j DROP", FINDING),
        ("-p IPv4 --ip-src 172.18.0.0/16 -j DROP", FINDING),
        ("-p IPv4 --ip-src ! 172.18.0.0/16 -j DROP", CLEAN),
        ("-p IPv4 --ip-proto tcp --ip-dport 22 -j DROP", CLEAN),
        ("-p IPv6 -j DROP", CLEAN),
        ("-p 802_1Q -j DROP", CLEAN),
        ("-i vnet+ -j DROP", CLEAN),
        ("-i veth+ -j DROP", FINDING),
        ('--log-level info --log-prefix "all" -j CONTINUE', CLEAN),
        ('--log-level info --log-prefix "all" -j DROP', FINDING),
        ("-j mark --mark-set 0x2 --mark-target ACCEPT", CLEAN),
        ("-j mark --mark-set 0x2 --mark-target DROP", FINDING),
        ("-p ARP -j arpreply --arpreply-mac 02:42:ac:11:00:09", CLEAN),
        ("-s 02:42:ac:12:00:02 -j DROP", UNKNOWN),
        ("-p ARP --arp-ip-dst 172.18.0.1 -j DROP", UNKNOWN),
        ("--limit 5/sec --limit-burst 8 -j DROP", UNKNOWN),
    ],
)
def test_what_a_rule_of_ebtables_drops(site: Any, rule: str, verdict: Verdict) -> None:
    ebtables(site, rule)
    assert site.verdict(DROPS)[0] is verdict


@pytest.mark.parametrize(("policy", "remedy"), [("RETURN", None), ("DROP", "ebtables -t filter -P GUARD RETURN")])
def test_a_chain_of_ebtables_that_somebody_made_has_a_policy(site: Any, policy: str, remedy: str | None) -> None:
    ebtables(site, "-j GUARD", policy)
    assert [f.remedy for f in site.analysis().findings if f.check == DROPS] == ([(remedy,)] if remedy else [])


def test_a_rule_of_ebtables_is_deleted_by_its_number(site: Any) -> None:
    ebtables(site, "-p ARP -j DROP")
    (finding,) = [finding for finding in site.analysis().findings if finding.check == DROPS]
    assert finding.remedy == ("ebtables -t filter -D INPUT 1",)
    assert finding.subjects[0].name == "ebtables filter INPUT 1"


@pytest.mark.parametrize("trouble", ["not collected", "failed", "the other variant"])
def test_rules_of_ebtables_that_nobody_saw_are_an_open_question(site: Any, trouble: str) -> None:
    ebtables(site, "-i vnet+ -j DROP")
    if trouble == "not collected":
        del site.files["host/ebtables.txt"]
    elif trouble == "failed":
        site.facts["host/ebtables.txt"] = {"exit_code": 255}
    else:
        site.replace("host/ebtables.txt", "1. -i", "1 -i")
    outcome = site.outcome(DROPS)
    assert (outcome.verdict, LISTING in outcome.ask) == (UNKNOWN, True)
