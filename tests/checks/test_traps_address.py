"""Addresses that a careless check would take for wrong, or for right. Each test changes one thing of a healthy host."""

from typing import Any

import pytest

from netdiag.finding import Severity, Verdict

CLEAN, FINDING, UNKNOWN, NOT_APPLICABLE = Verdict.CLEAN, Verdict.FINDING, Verdict.UNKNOWN, Verdict.NOT_APPLICABLE
DB = "e" * 64


def alarms(site: Any) -> list[str]:
    return [f"{finding.check}: {finding.message}" for finding in site.analysis().findings]


def severity(site: Any, check: str) -> Severity:
    (finding,) = [finding for finding in site.analysis().findings if finding.check == check]
    return finding.severity


def remedy(site: Any, check: str) -> list[str]:
    return [command for f in site.analysis().findings if f.check == check for command in f.remedy]


def add_network(site: Any, name: str, subnet: str, driver: str = "bridge", **more: Any) -> str:
    identity = f"{len(site.docker('network-inspect')):064x}"
    site.docker("network-inspect").append(site.network(identity, name, driver, subnet, **more))
    return identity


# --- pools ------------------------------------------------------------------------------------------------------------


def fill(site: Any, number: int) -> None:
    """Networks on the engine's own pools, beside 172.17.0.0/16 and 172.18.0.0/16, without devices of their own."""
    pools = [f"172.{second}.0.0/16" for second in range(19, 32)] + [
        f"192.168.{third}.0/20" for third in range(0, 256, 16)
    ]
    for index, pool in enumerate(pools[:number]):
        add_network(site, f"net{index}", pool, "macvlan")


def test_the_engines_own_pools_have_31_blocks(site: Any) -> None:
    fill(site, 28)
    site.files["host/resolv-conf.txt"] = "nameserver 203.0.113.53\n"
    assert site.verdict("address-pool-exhausted")[0] is CLEAN
    fill(site, 29)
    assert site.verdict("address-pool-exhausted")[0] is FINDING


def test_a_name_server_takes_the_last_block(site: Any) -> None:
    fill(site, 28)
    del site.files["host/resolv-conf.txt"]
    assert site.verdict("address-pool-exhausted")[0] is UNKNOWN
    site.files["host/resolv-conf.txt"] = "nameserver 192.168.240.1\n"
    assert site.verdict("address-pool-exhausted")[0] is FINDING


def test_a_route_by_a_gateway_takes_a_block_before_23_only(site: Any) -> None:
    fill(site, 28)
    site.files["host/resolv-conf.txt"] = "nameserver 203.0.113.53\n"
    site.files["host/ip-route.txt"] += "192.168.240.0/20 via 203.0.113.1 dev eth0\n"
    assert site.verdict("address-pool-exhausted")[0] is FINDING
    site.docker("version")["Server"]["Version"] = "23.0.1"
    assert site.verdict("address-pool-exhausted")[0] is CLEAN


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ("--default-address-pool\nbase=172.17.0.0/15,size=16\n", FINDING),
        (
            "--default-address-pool\nbase=172.17.0.0/15,size=16\n--default-address-pool=base=10.9.0.0/16,size=24\n",
            CLEAN,
        ),
        ("--default-address-pool\nbase=172.16.0.0/14,size=nonsense\n", CLEAN),
    ],
)
def test_configured_pools_count_in_place_of_the_engines_own(site: Any, line: str, verdict: Verdict) -> None:
    site.files["host/resolv-conf.txt"] = "nameserver 203.0.113.53\n"
    site.docker("network-inspect")[0]["IPAM"]["Config"] = [{"Subnet": "172.16.0.0/16", "Gateway": "172.16.0.1"}]
    site.files["docker/dockerd-cmdline.txt"] += line.replace("172.17.0.0/15", "172.18.0.0/16")
    assert site.verdict("address-pool-exhausted")[0] is verdict


def test_a_pool_of_millions_of_blocks_is_not_counted_through(site: Any) -> None:
    site.docker("info")["DefaultAddressPools"] = [{"Base": "10.0.0.0/8", "Size": 32}, {"Base": "fd00::/8", "Size": 128}]
    assert site.verdict("address-pool-exhausted")[0] is CLEAN


# --- subnets ----------------------------------------------------------------------------------------------------------


def test_a_full_subnet_is_a_warning_until_somebody_could_not_start(site: Any) -> None:
    members = {f"{n:064x}": {"Name": f"c{n}", "IPv4Address": f"10.77.0.{n}/29", "MacAddress": ""} for n in range(2, 7)}
    small = add_network(site, "small", "10.77.0.0/29", "macvlan", Containers=members)
    assert severity(site, "address-subnet-full") is Severity.WARNING
    late = site.container(DB, "late", {"small": site.endpoint(small, "")}, status="created", pid=0, mode="small")
    late["State"]["Error"] = f"no available IPv4 addresses on this network's address pools: small ({small})"
    site.docker("inspect").append(late)
    assert severity(site, "address-subnet-full") is Severity.ERROR
    assert "late" in site.verdict("address-subnet-full")[1]


def test_addresses_that_are_reserved_are_used(site: Any) -> None:
    config = {"Subnet": "10.77.0.0/24", "IPRange": "10.77.0.8/29", "Gateway": "10.77.0.1"}
    config["AuxiliaryAddresses"] = {f"host{n}": f"10.77.0.{n}" for n in range(8, 16)}  # type: ignore[assignment]
    identity = add_network(site, "lan", "", "macvlan")
    site.docker("network-inspect")[-1]["IPAM"]["Config"] = [config]
    assert identity
    assert site.verdict("address-subnet-full")[0] is FINDING
    del config["AuxiliaryAddresses"]["host9"]  # type: ignore[attr-defined]
    assert site.verdict("address-subnet-full")[0] is CLEAN


def test_an_overlay_under_a_bridge_is_a_warning_and_an_error_for_a_container_on_both(site: Any) -> None:
    overlay = add_network(site, "mesh", "172.18.4.0/24", "overlay", Scope="swarm")
    assert severity(site, "address-subnet-overlap-docker") is Severity.WARNING
    networks = site.docker("inspect")[0]["NetworkSettings"]["Networks"]
    networks["mesh"] = site.endpoint(overlay, "172.18.4.9")
    networks["mesh"]["IPPrefixLen"] = 24
    assert severity(site, "address-subnet-overlap-docker") is Severity.ERROR


def test_networks_of_a_lan_with_the_same_range_overlap(site: Any) -> None:
    add_network(site, "lan1", "10.5.0.0/24", "macvlan")
    add_network(site, "lan2", "10.5.0.0/24", "ipvlan")
    assert site.verdict("address-subnet-overlap-docker")[0] is FINDING
    for network, half in zip(site.docker("network-inspect")[-2:], ("10.5.0.0/25", "10.5.0.128/25"), strict=True):
        network["IPAM"]["Config"][0]["IPRange"] = half
    assert site.verdict("address-subnet-overlap-docker")[0] is CLEAN


@pytest.mark.parametrize(
    ("route", "wanted"),
    [
        ("172.18.5.0/24 dev eth1 proto kernel scope link src 172.18.5.10", Severity.ERROR),
        ("172.18.0.0/16 dev eth1 proto kernel scope link src 172.18.5.10", Severity.ERROR),
        ("172.16.0.0/12 dev eth1 proto kernel scope link src 172.16.5.10", Severity.WARNING),
        ("172.18.0.0/16 via 203.0.113.9 dev eth0 metric 300", Severity.WARNING),
        ("172.16.0.0/12 via 203.0.113.9 dev eth0", Severity.NOTE),
        ("172.16.0.0/12 dev tun0 scope link", Severity.NOTE),
    ],
)
def test_how_grave_an_overlap_is(site: Any, route: str, wanted: Severity) -> None:
    site.files["host/ip-route.txt"] += route + "\n"
    found = [f for f in site.analysis().findings if f.check == "address-subnet-overlap-host"]
    assert [finding.severity for finding in found if "blue" in finding.message] == [wanted]


def test_neighbours_in_the_subnet_make_a_wider_lan_an_error(site: Any) -> None:
    site.files["host/ip-route.txt"] += "172.18.0.0/15 dev eth1 proto kernel scope link src 172.19.5.10\n"
    site.files["host/ip-neigh.txt"] += "172.18.77.7 dev eth1 lladdr 52:54:00:00:00:77 STALE\n"
    assert severity(site, "address-subnet-overlap-host") is Severity.ERROR


def test_halves_of_a_default_route_and_another_docker_bridge_are_no_overlap(site: Any) -> None:
    site.files["host/ip-route.txt"] += "0.0.0.0/1 dev tun0\n128.0.0.0/1 dev tun0\n"
    assert site.verdict("address-subnet-overlap-host")[0] is CLEAN


@pytest.mark.parametrize(
    ("server", "verdict"), [("172.18.0.2", CLEAN), ("172.18.0.1", CLEAN), ("172.18.0.53", FINDING)]
)
def test_a_name_server_that_is_a_container_is_reached(site: Any, server: str, verdict: Verdict) -> None:
    site.files["host/resolv-conf.txt"] = f"nameserver {server}\n"
    assert site.verdict("address-subnet-overlap-host")[0] is verdict


# --- records ----------------------------------------------------------------------------------------------------------


def test_the_default_network_is_found_by_its_name(site: Any) -> None:
    stopped = site.container(DB, "old", {"bridge": site.endpoint("f" * 64, "")}, status="exited", pid=0, mode="default")
    site.docker("inspect").append(stopped)
    assert alarms(site) == []


@pytest.mark.parametrize(
    ("identity", "error", "wanted"),
    [("f" * 64, "", Severity.WARNING), ("f" * 64, f"network {'f' * 64} not found", Severity.ERROR)],
)
def test_a_lost_network_is_an_error_when_a_start_failed(site: Any, identity: str, error: str, wanted: Severity) -> None:
    stopped = site.container(DB, "left", {"gone": site.endpoint(identity, "")}, status="exited", pid=0, mode="gone")
    stopped["State"]["Error"] = error
    site.docker("inspect").append(stopped)
    assert severity(site, "address-network-id-missing") is wanted
    assert remedy(site, "address-network-id-missing")[0] == "docker network create gone"


def test_a_network_of_a_swarm_may_be_unknown_to_a_worker(site: Any) -> None:
    task = site.container(DB, "task", {"mesh": site.endpoint("kx5gj3dzo7bq", "")}, status="exited", pid=0, mode="mesh")
    site.docker("inspect").append(task)
    assert site.verdict("address-network-id-missing")[0] is CLEAN


def member(name: str) -> dict[str, str]:
    return {"Name": name, "EndpointID": "1" * 64, "MacAddress": "", "IPv4Address": "172.18.0.9/16", "IPv6Address": ""}


@pytest.mark.parametrize("name", ["lb-mesh", "gateway_0123456789ab", "ingress-endpoint"])
def test_what_swarm_lists_for_itself_is_not_stale(site: Any, name: str) -> None:
    key = "ingress-sbox" if name == "ingress-endpoint" else "7" * 64
    site.docker("network-inspect")[3]["Containers"] = {key: member(name)}
    assert site.verdict("address-stale-endpoint")[0] is CLEAN


def test_an_endpoint_of_a_container_that_is_starting_is_an_open_question(site: Any) -> None:
    site.docker("network-inspect")[3]["Containers"] = {DB: member("slow")}
    starting = site.container(DB, "slow", {"blue": site.endpoint(site.BLUE, "")}, status="created", pid=0)
    site.docker("inspect").append(starting)
    assert site.verdict("address-stale-endpoint")[0] is UNKNOWN


def test_an_endpoint_of_a_container_that_was_restarted_between_two_outputs_is_an_open_question(site: Any) -> None:
    site.docker("network-inspect")[3]["Containers"] = {f"ep-{'1' * 64}": member("web")}
    assert site.verdict("address-stale-endpoint")[0] is FINDING
    started = [{site.WEB: f"2026-11-20T0{hour}:00:00Z"} for hour in (8, 9)]
    looks = {"before": {"containers": started[0]}, "after": {"containers": started[1]}}
    assert site.verdict("address-stale-endpoint", fingerprints=looks) == (
        UNKNOWN,
        "whether the endpoint of container web is stale "
        "(the container was restarted while the bundle was being collected: collect again)",
    )


def test_an_endpoint_without_a_container_is_cleared_by_a_restart_of_the_engine(site: Any) -> None:
    site.docker("network-inspect")[3]["Containers"] = {f"ep-{'1' * 64}": member("")}
    assert remedy(site, "address-stale-endpoint")[0] == "systemctl restart docker"


# --- what interfaces really have --------------------------------------------------------------------------------------


def test_another_prefix_length_is_another_address(site: Any) -> None:
    site.replace(f"netns/{site.WEB}/ip-addr.txt", "172.18.0.2/16", "172.18.0.2/32")
    verdict, message = site.verdict("address-container-ip-mismatch")
    assert (verdict, "172.18.0.2/16" in message) == (FINDING, True)


def test_addresses_beside_the_recorded_one_are_nobodys_business(site: Any) -> None:
    site.replace(
        f"netns/{site.WEB}/ip-addr.txt",
        "    inet 127.0.0.1/8 scope host lo\n",
        "    inet 127.0.0.1/8 scope host lo\n    inet 10.0.3.7/32 scope global lo\n",
    )
    assert alarms(site) == []


def test_ipvlan_records_no_mac_address(site: Any) -> None:
    site.docker("inspect")[0]["NetworkSettings"]["Networks"]["blue"]["MacAddress"] = ""
    assert site.verdict("address-mac-changed")[0] is CLEAN


def test_a_container_started_meanwhile_is_not_judged(site: Any) -> None:
    site.replace(f"netns/{site.WEB}/ip-addr.txt", "172.18.0.2/16", "172.18.0.7/16")
    site.docker("inspect")[0]["State"]["StartedAt"] = "2999-01-01T00:00:00Z"
    assert site.verdict("address-container-ip-mismatch")[0] is UNKNOWN


def test_a_wrong_address_that_another_one_has_is_one_finding(site: Any) -> None:
    """The container that has another's address lacks its own: giving that back heals both."""
    site.replace(f"netns/{site.WEB}/ip-addr.txt", "172.18.0.2/16", "172.18.0.1/16")
    checks = [finding.check for finding in site.analysis().findings]
    assert checks == ["address-container-ip-mismatch"]


def test_a_machine_of_the_lan_with_a_containers_address(site: Any) -> None:
    site.replace("host/ip-neigh.txt", "02:42:ac:12:00:02", "52:54:00:99:99:99")
    site.files["host/bridge-fdb.txt"] += f"52:54:00:99:99:99 dev eth1 master {site.BRIDGE}\n"
    assert site.verdict("address-duplicate-ip")[0] is FINDING
    site.replace("host/ip-neigh.txt", "52:54:00:99:99:99 REACHABLE", "52:54:00:99:99:99 STALE")
    assert site.verdict("address-duplicate-ip")[0] is CLEAN


@pytest.mark.parametrize(
    ("learned", "verdict"),
    [
        ("", CLEAN),
        ("52:54:00:99:99:99 dev eth1 master docker0\n", CLEAN),
        ("52:54:00:99:99:99 dev veth1a2b3c4 master {}\n", CLEAN),
        ("52:54:00:99:99:99 dev veth0000014 master {}\n", FINDING),
    ],
    ids=["nowhere", "on-another-bridge", "behind-its-own-veth", "behind-another-veth"],
)
def test_the_host_remembers_a_container_that_had_the_address_before(site: Any, learned: str, verdict: Verdict) -> None:
    """An entry stays REACHABLE for half a minute; a bridge forgets what is behind a port when that is removed."""
    site.replace("host/ip-neigh.txt", "02:42:ac:12:00:02", "52:54:00:99:99:99")
    site.files["host/bridge-fdb.txt"] += learned.format(site.BRIDGE)
    assert site.verdict("address-duplicate-ip")[0] is verdict


def test_without_bridge_fdb_nobody_knows_whether_a_stranger_is_still_there(site: Any) -> None:
    site.replace("host/ip-neigh.txt", "02:42:ac:12:00:02", "52:54:00:99:99:99")
    del site.files["host/bridge-fdb.txt"]
    assert site.verdict("address-duplicate-ip")[0] is UNKNOWN


@pytest.mark.parametrize(("flags", "verdict"), [("", FINDING), (" dadfailed tentative", CLEAN)])
def test_two_ipv6_addresses_are_a_duplicate_unless_one_was_refused(site: Any, flags: str, verdict: Verdict) -> None:
    site.replace(
        "host/ip-addr.txt",
        f"    inet 172.18.0.1/16 brd 172.18.255.255 scope global {site.BRIDGE}\n",
        f"    inet 172.18.0.1/16 brd 172.18.255.255 scope global {site.BRIDGE}\n"
        "       valid_lft forever preferred_lft forever\n    inet6 fd00::1/64 scope global\n",
    )
    site.files[f"netns/{site.WEB}/ip-addr.txt"] += f"    inet6 fd00::1/64 scope global{flags}\n"
    assert site.verdict("address-duplicate-ip")[0] is verdict


def test_a_daemon_with_a_gateway_elsewhere_has_no_wrong_bridge_address(site: Any) -> None:
    site.files["docker/dockerd-cmdline.txt"] += "--default-gateway=172.17.0.254\n"
    site.docker("network-inspect")[0]["IPAM"]["Config"][0]["Gateway"] = "172.17.0.254"
    assert alarms(site) == []
