"""Traps around the sizes of packets. Each test changes one thing of a healthy host."""

from typing import Any

import pytest

from netdiag.finding import Severity, Verdict

CLEAN, FINDING, UNKNOWN, NOT_APPLICABLE = Verdict.CLEAN, Verdict.FINDING, Verdict.UNKNOWN, Verdict.NOT_APPLICABLE
LINKS = "host/ip-addr.txt"
FLAGS = "<BROADCAST,MULTICAST,UP,LOWER_UP>"
MANGLE = "*mangle\n:PREROUTING ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n{}COMMIT\n"
CLAMP = "[0:0] -A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu\n"


def severities(site: Any) -> dict[str, Severity]:
    return {finding.check: finding.severity for finding in site.analysis().findings}


def smaller_uplink(site: Any, mtu: int = 1400) -> None:
    site.replace(
        LINKS, "2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500", f"2: eth0: <BROADCAST,UP,LOWER_UP> mtu {mtu}"
    )


def mangle(site: Any, *rules: str) -> None:
    site.files["host/iptables-save.txt"] += MANGLE.format("".join(rules))


def test_a_smaller_uplink_is_one_finding_for_all_networks(site: Any) -> None:
    smaller_uplink(site)
    (finding,) = site.analysis().findings
    assert (finding.check, finding.severity) == ("mtu-bridge-gt-uplink", Severity.WARNING)
    assert [(s.kind, s.name) for s in finding.subjects] == [("interface", "eth0"), ("network", "blue")]


@pytest.mark.parametrize(
    "rule",
    [
        CLAMP,
        "[0:0] -A POSTROUTING -o eth0 -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1360\n",
        "[0:0] -A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -m tcpmss --mss 1361:65535 -j TCPMSS --set-mss 1300\n",
    ],
    ids=["clamp", "set", "of larger ones"],
)
def test_clamped_segments_fit(site: Any, rule: str) -> None:
    smaller_uplink(site)
    mangle(site, rule)
    assert site.verdict("mtu-bridge-gt-uplink")[0] is CLEAN


@pytest.mark.parametrize(
    "rule",
    [
        "[0:0] -A FORWARD -o wg0 -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu\n",
        "[0:0] -A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1460\n",
    ],
    ids=["elsewhere", "too large"],
)
def test_another_clamp_does_not_help(site: Any, rule: str) -> None:
    smaller_uplink(site)
    mangle(site, rule)
    assert site.verdict("mtu-bridge-gt-uplink")[0] is FINDING


@pytest.mark.parametrize("statement", ["tcp option maxseg size set rt mtu", "tcp option maxseg size set 1360"])
def test_nftables_clamps_as_well(site: Any, statement: str) -> None:
    smaller_uplink(site)
    site.files["host/nft-ruleset.txt"] = (
        "table inet fw {\n\tchain f {\n\t\ttype filter hook forward priority mangle; policy accept;\n"
        f"\t\ttcp flags syn {statement}\n\t}}\n}}\n"
    )
    assert site.verdict("mtu-bridge-gt-uplink")[0] is CLEAN


def test_without_the_rules_nobody_knows_whether_segments_are_clamped(site: Any) -> None:
    smaller_uplink(site)
    del site.files["host/iptables-save.txt"]
    assert site.verdict("mtu-bridge-gt-uplink")[0] is UNKNOWN


def test_an_internal_network_has_no_way_out_to_be_too_large_for(site: Any) -> None:
    smaller_uplink(site)
    site.docker("network-inspect")[3]["Internal"] = True
    assert site.verdict("mtu-bridge-gt-uplink")[0] is CLEAN


def test_a_vpn_that_takes_the_internet_in_two_halves_is_the_way_out(site: Any) -> None:
    site.files[LINKS] += (
        "9: wg0: <POINTOPOINT,NOARP,UP,LOWER_UP> mtu 1420 qdisc noqueue state UNKNOWN group default qlen 1000\n"
        "    link/none promiscuity 0\n    wireguard\n    inet 10.9.0.2/32 scope global wg0\n"
    )
    site.files["host/ip-route.txt"] += "0.0.0.0/1 dev wg0 scope link\n128.0.0.0/1 dev wg0 scope link\n"
    (finding,) = [f for f in site.analysis().findings if f.check == "mtu-bridge-gt-uplink"]
    assert "`wg0`, their way out, has 1420" in finding.message


def test_a_backup_line_that_nothing_takes_now_says_nothing(site: Any) -> None:
    site.files[LINKS] += (
        "9: wwan0: <POINTOPOINT,NOARP,UP,LOWER_UP> mtu 1428 qdisc noqueue state UNKNOWN group default qlen 1000\n"
        "    link/none promiscuity 0\n    inet 10.9.0.2/32 scope global wwan0\n"
    )
    site.files["host/ip-route.txt"] += "default dev wwan0 scope link metric 900\n"
    assert severities(site) == {}


# --- ICMP -------------------------------------------------------------------------------------------------------------

ALL_ICMP = "[9:756] -A OUTPUT -p icmp -j DROP\n"
ONE_TYPE = "[9:756] -A OUTPUT -p icmp -m icmp --icmp-type 3/4 -j DROP\n"
OTHER_TYPES = (
    "[0:0] -A OUTPUT -p icmp -m icmp --icmp-type 3/3 -j DROP\n[0:0] -A OUTPUT -p icmp -m icmp --icmp-type 8 -j DROP\n"
)


@pytest.mark.parametrize("rules", [ALL_ICMP, ONE_TYPE], ids=["all", "one"])
def test_dropped_messages_hurt_only_where_a_link_is_smaller(site: Any, rules: str) -> None:
    site.rules(site.USER_RETURN, site.USER_RETURN + rules)
    assert severities(site) == {"mtu-icmp-fragneeded-blocked": Severity.WARNING}
    smaller_uplink(site)
    assert severities(site) == {
        "mtu-icmp-fragneeded-blocked": Severity.ERROR,
        "mtu-bridge-gt-uplink": Severity.WARNING,
    }


def test_other_messages_may_be_dropped(site: Any) -> None:
    site.rules(site.USER_RETURN, site.USER_RETURN + OTHER_TYPES)
    assert severities(site) == {}


def test_related_is_accepted_before_icmp_is_dropped(site: Any) -> None:
    accept = "[0:0] -A OUTPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n"
    site.rules(site.USER_RETURN, site.USER_RETURN + accept + ALL_ICMP)
    assert severities(site) == {}


def test_where_nothing_passes_icmp_is_not_the_fault(site: Any) -> None:
    site.rules(site.USER_RETURN, site.USER_RETURN + "[0:0] -A OUTPUT -j DROP\n")
    assert "mtu-icmp-fragneeded-blocked" not in severities(site)


def test_a_rate_limit_cannot_be_judged(site: Any) -> None:
    limit = "[0:0] -A OUTPUT -p icmp -m limit --limit 5/sec -j ACCEPT\n"
    site.rules(site.USER_RETURN, site.USER_RETURN + limit + ALL_ICMP)
    assert site.verdict("mtu-icmp-fragneeded-blocked")[0] is UNKNOWN


def test_nftables_may_drop_them_on_the_way_from_outside(site: Any) -> None:
    site.files["host/nft-ruleset.txt"] = (
        "table inet fw {\n\tchain f {\n\t\ttype filter hook forward priority filter; policy accept;\n"
        "\t\ticmp type destination-unreachable icmp code frag-needed drop # handle 7\n\t}\n}\n"
    )
    (finding,) = site.analysis().findings
    assert finding.remedy == (
        "nft insert rule inet fw f handle 7 icmp type destination-unreachable icmp code frag-needed accept",
    )


# --- settings ---------------------------------------------------------------------------------------------------------


def daemon(site: Any, **settings: Any) -> None:
    site.skipped.clear()
    site.files["files/daemon-json.txt"] = settings


def test_the_daemon_s_setting_does_not_reach_networks_that_were_made(site: Any) -> None:
    daemon(site, mtu=1400)
    assert severities(site) == {"mtu-option-not-applied": Severity.WARNING}


@pytest.mark.parametrize(
    "options", [{"com.docker.network.driver.mtu": "1500"}, {"com.docker.network.driver.mtu": "1400"}], ids=str
)
def test_a_network_with_an_mtu_of_its_own_was_meant_so(site: Any, options: dict[str, str]) -> None:
    daemon(site, mtu=1400)
    site.docker("network-inspect")[3]["Options"] = options
    assert site.verdict("mtu-option-not-applied")[0] is CLEAN


def test_default_network_options_show_that_it_is_known(site: Any) -> None:
    daemon(site, mtu=1400, **{"default-network-opts": {"bridge": {"com.docker.network.driver.mtu": "1400"}}})
    assert site.verdict("mtu-option-not-applied")[0] is NOT_APPLICABLE


def test_without_the_daemon_s_settings_nothing_is_known_of_its_mtu(site: Any) -> None:
    site.skipped.clear()
    del site.files["docker/dockerd-cmdline.txt"]
    assert site.verdict("mtu-option-not-applied")[0] is UNKNOWN


@pytest.mark.parametrize("value", ["much", -5, 0, [], None, "1400"])
def test_odd_settings_are_no_crash(site: Any, value: Any) -> None:
    daemon(site, mtu=value)
    assert site.verdict("mtu-option-not-applied")[0] in (NOT_APPLICABLE, FINDING)


@pytest.mark.parametrize(("outer", "severity"), [(1400, Severity.ERROR), (9000, Severity.WARNING)])
def test_the_smaller_end_decides_who_loses_frames(site: Any, outer: int, severity: Severity) -> None:
    site.replace(LINKS, "UP,LOWER_UP> mtu 1500 qdisc noqueue master", f"UP,LOWER_UP> mtu {outer} qdisc noqueue master")
    assert severities(site) == {"mtu-veth-mismatch": severity}


def test_the_mtu_of_the_bridge_follows_its_ports(site: Any) -> None:
    site.replace(
        LINKS, f"4: {site.BRIDGE}: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500", f"4: {site.BRIDGE}: <UP> mtu 9000"
    )
    assert severities(site) == {}


def test_jumbo_frames_outside_are_a_note(site: Any) -> None:
    smaller_uplink(site, 9000)
    assert severities(site) == {"mtu-uplink-jumbo-mismatch": Severity.NOTE}
