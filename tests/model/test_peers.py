"""Ends of veths joined across namespaces: what proves a pair, what speaks against one, and who carries an endpoint."""

import json
from typing import Any

from netdiag.model import Host, HostEnd, Way
from netdiag.model.peers import host_end_of

LO = "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN\n    inet 127.0.0.1/8 scope host lo\n"
WEB, SIDE = "c" * 64, "8" * 64
WEB_MAC, SIDE_MAC = "02:42:ac:12:00:02", "02:42:ac:12:00:03"
BRIDGE = "br-" + "b" * 12
LEARNED = f"{WEB_MAC} dev vetha master {BRIDGE}\n"
LSNS = "        NS TYPE NPROCS   PID USER    NETNSID NSFS                           COMMAND\n"
LSNS_WEB = "4026532401 net       2   311 root          1 /run/docker/netns/f45db8a1782d /bin/sh\n"
LSNS_SIDE = "4026532402 net       2   411 root          2 /run/docker/netns/57509ec081e0 /bin/sh\n"


def veth(index: int, peer: int, name: str = "eth0", *, mac: str = WEB_MAC, number: str = "0", master: str = "") -> str:
    return (
        f"{index}: {name}@if{peer}: <BROADCAST,UP> mtu 1500 {master and f'master {master} '}state UP\n"
        f"    link/ether {mac} brd ff:ff:ff:ff:ff:ff link-netnsid {number} promiscuity 0\n"
        "    veth\n"
    )


def outer(index: int, peer: int, name: str, number: str) -> str:
    return veth(index, peer, name, mac="8a:8e:5f:00:11:22", number=number, master=BRIDGE)


def of(read: Any, identity: str, inode: int, text: str) -> tuple[Any, ...]:
    """What was collected in a container's namespace."""
    scope = f"netns:{identity}"
    return read("netns", f"net:[{inode}]\n", scope), read("ip_addr", LO + text, scope)


def joined(host: Host) -> list[tuple[str, str, set[Way]]]:
    return [(pair.outer.name, pair.namespace[:7], {joint.way for joint in pair.joints}) for pair in host.veth_pairs]


def test_a_pair_keeps_all_that_proves_it(read: Any, host_of: Any) -> None:
    host = host_of(
        read("ip_addr", LO + outer(7, 6, "vetha", "1")),
        read("lsns", LSNS + LSNS_WEB),
        read(
            "bridge_fdb",
            LEARNED + f"8a:8e:5f:00:11:22 dev vetha master {BRIDGE} permanent\n",
        ),
        *of(read, WEB, 4026532401, veth(6, 7)),
    )
    assert joined(host) == [("vetha", "netns:c", {Way.IFINDEX, Way.NETNS_ID, Way.LEARNED_MAC})]
    told = {joint.way: [(span.source.path, span.line) for span in joint.spans] for joint in host.veth_pairs[0].joints}
    assert told[Way.NETNS_ID] == [("host/ip-addr.txt", 3), ("host/lsns.txt", 2)]
    assert told[Way.LEARNED_MAC] == [("host/bridge-fdb.txt", 1), (f"netns:{WEB}/ip-addr.txt", 3)]


def test_a_number_of_another_namespace_speaks_against_a_pair(read: Any, host_of: Any) -> None:
    """The true end of vetha is in a namespace that was not collected; web's eth0 only has the same numbers."""
    host = host_of(
        read("ip_addr", LO + outer(7, 6, "vetha", "5")),
        read("lsns", LSNS + LSNS_WEB),
        *of(read, WEB, 4026532401, veth(6, 7)),
    )
    assert host.veth_pairs == ()


def test_a_namespace_with_a_name_is_named_instead_of_numbered(read: Any, host_of: Any) -> None:
    """As podman's are, while lsns goes on to number them."""
    named = outer(7, 6, "vetha", "1").replace("link-netnsid 1", "link-netns netns-web")
    rows = LSNS + LSNS_WEB.replace("/run/docker/netns/f45db8a1782d", "/run/netns/netns-web           ")

    def host(name: str) -> Host:
        scope, command = f"netns:{WEB}", f"nsenter --net=/run/netns/{name} -- ip -d -s addr"
        inner = (
            read("netns", "net:[4026532401]\n", scope, command=command),
            read("ip_addr", LO + veth(6, 7), scope, command=command),
        )
        found: Host = host_of(read("ip_addr", LO + named), read("lsns", rows), *inner)
        return found

    assert joined(host("netns-web")) == [("vetha", "netns:c", {Way.IFINDEX})]
    assert joined(host("netns-other")) == []


def test_two_ends_with_the_same_numbers_are_told_apart_by_the_number_of_the_namespace(read: Any, host_of: Any) -> None:
    host = host_of(
        read("ip_addr", LO + outer(7, 6, "vetha", "2")),
        read("lsns", LSNS + LSNS_WEB + LSNS_SIDE),
        *of(read, WEB, 4026532401, veth(6, 7)),
        *of(read, SIDE, 4026532402, veth(6, 7, mac=SIDE_MAC)),
    )
    assert joined(host) == [("vetha", "netns:8", {Way.IFINDEX, Way.NETNS_ID})]


def test_without_lsns_a_certain_pair_tells_the_number_for_the_doubtful_ones(read: Any, host_of: Any) -> None:
    host = host_of(
        read("ip_addr", LO + outer(7, 6, "vetha", "1") + outer(9, 8, "vethb", "1")),
        *of(read, WEB, 4026532401, veth(6, 7) + veth(8, 9, "eth1")),
        *of(read, SIDE, 4026532402, veth(8, 9, mac=SIDE_MAC)),
    )
    assert joined(host) == [
        ("vetha", "netns:c", {Way.IFINDEX}),
        ("vethb", "netns:c", {Way.IFINDEX, Way.NETNS_ID}),
    ]


def test_without_numbers_the_learned_mac_tells_two_ends_apart(read: Any, host_of: Any) -> None:
    host = host_of(
        read("ip_addr", LO + outer(7, 6, "vetha", "4")),
        read("bridge_fdb", f"{SIDE_MAC} dev vetha master {BRIDGE}\n"),
        *of(read, WEB, 4026532401, veth(6, 7)),
        *of(read, SIDE, 4026532402, veth(6, 7, mac=SIDE_MAC)),
    )
    assert joined(host) == [("vetha", "netns:8", {Way.IFINDEX, Way.LEARNED_MAC})]


def test_an_end_on_an_overlay_is_joined_with_the_sandbox_and_with_nothing_on_the_host(read: Any, host_of: Any) -> None:
    sandbox = "nsenter --net=/run/docker/netns/1-x7kq2 -- ip -d -s addr"
    host = host_of(
        read("ip_addr", LO),
        read("ip_addr", LO + outer(7, 6, "veth0", "0"), "netns:1-x7kq2", command=sandbox),
        *of(read, WEB, 4026532401, veth(6, 7)),
    )
    assert host.veth_pairs == ()
    (pair,) = host.sandbox_pairs
    assert (pair.outer.name, pair.outer_namespace, pair.namespace) == ("veth0", "netns:1-x7kq2", f"netns:{WEB}")


# --- endpoints of containers whose namespace was not entered ----------------------------------------------------------


def inspect(**settings: Any) -> str:
    endpoint = {"NetworkID": "b" * 64, "IPAddress": "172.18.0.2", "IPPrefixLen": 16, "Gateway": "172.18.0.1"}
    found = {
        "Id": WEB,
        "Name": "/web",
        "State": {"Status": "running"},
        "HostConfig": {"NetworkMode": "blue"},
        "NetworkSettings": {"Ports": {}, "Networks": {"blue": endpoint | settings.pop("endpoint", {})}, **settings},
    }
    return json.dumps([found], indent=1)


def end_of_web(host: Host) -> HostEnd | None:
    (web,) = host.containers
    return host_end_of(host, web, web.endpoints[0], BRIDGE)


def test_the_learned_mac_of_an_endpoint_tells_its_port(read: Any, host_of: Any) -> None:
    host = host_of(
        read("docker_inspect", inspect(endpoint={"MacAddress": WEB_MAC.upper()}), "docker"),
        read("ip_addr", LO + outer(7, 6, "vetha", "1") + outer(9, 8, "vethb", "2")),
        read("bridge_fdb", f"{WEB_MAC} dev vethb master {BRIDGE}\n{WEB_MAC} dev vetha master br-other\n"),
    )
    end = end_of_web(host)
    assert end is not None
    assert (end.link.name, [joint.way for joint in end.joints]) == ("vethb", [Way.LEARNED_MAC])
    assert host.endpoints_with(WEB_MAC) == host.endpoints_at(host.containers.items[0].endpoints[0].address.ip)


def test_a_neighbour_tells_the_mac_that_the_engine_does_not(read: Any, host_of: Any) -> None:
    neighbours = f"172.18.0.2 dev eth9 lladdr {SIDE_MAC} STALE\n172.18.0.2 dev {BRIDGE} lladdr {WEB_MAC} STALE\n"
    host = host_of(
        read("docker_inspect", inspect(), "docker"),
        read("ip_addr", LO + outer(7, 6, "vetha", "1")),
        read("ip_neigh", neighbours),
        read("bridge_fdb", f"{WEB_MAC} dev vetha master {BRIDGE}\n"),
    )
    end = end_of_web(host)
    assert end is not None
    assert (end.link.name, [joint.way for joint in end.joints]) == ("vetha", [Way.NEIGHBOUR])


def test_the_sandbox_key_tells_the_veth_that_leads_there(read: Any, host_of: Any) -> None:
    host = host_of(
        read("docker_inspect", inspect(SandboxKey="/var/run/docker/netns/f45db8a1782d"), "docker"),
        read("ip_addr", LO + outer(7, 6, "vetha", "1") + outer(9, 8, "vethb", "2")),
        read("lsns", LSNS + LSNS_WEB),
    )
    end = end_of_web(host)
    assert end is not None
    assert (end.link.name, [joint.way for joint in end.joints]) == ("vetha", [Way.SANDBOX_KEY])


def test_nothing_that_tells_gives_no_end(read: Any, host_of: Any) -> None:
    host = host_of(read("docker_inspect", inspect(), "docker"), read("ip_addr", LO + outer(7, 6, "vetha", "1")))
    assert end_of_web(host) is None
