"""Documents joined into a host: the richer source, how much is known, who lives where."""

import json
from typing import Any

from netdiag.bundle import NotCollected
from netdiag.model import Extent

LO = "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN\n    inet 127.0.0.1/8 scope host lo\n"
WEB, SIDE = "c" * 64, "8" * 64


def veth(index: int, peer: int, name: str = "eth0") -> str:
    return (
        f"{index}: {name}@if{peer}: <BROADCAST,UP> mtu 1500 state UP\n"
        "    link/ether 02:42:ac:12:00:02 brd ff:ff:ff:ff:ff:ff link-netnsid 0 promiscuity 0\n"
        "    veth\n"
    )


def inspect(identity: str, name: str, mode: str = "blue") -> dict[str, Any]:
    endpoint = {"NetworkID": "b" * 64, "IPAddress": "172.18.0.2", "IPPrefixLen": 16, "Gateway": "172.18.0.1"}
    networks = {"blue": endpoint} if mode == "blue" else {}
    return {
        "Id": identity,
        "Name": f"/{name}",
        "State": {"Status": "running"},
        "HostConfig": {"NetworkMode": mode},
        "NetworkSettings": {"Ports": {}, "Networks": networks},
    }


REASONS = 'print fmt: "%s", __print_symbolic(REC->reason, { 2, "NO_SOCKET" }, { 7, "TCP_CSUM" })\n'


def test_the_reasons_of_drops_are_those_that_the_kernel_lists(read: Any, host_of: Any) -> None:
    def listed(*texts: str) -> Any:
        documents = [read("tracepoint_format", text, "trace", artifact=f"f{n}") for n, text in enumerate(texts)]
        return host_of(*documents).traces.drop_reasons

    other = REASONS.replace("7", "8")
    assert listed("name: kfree_skb\n" + REASONS) == {2: "NO_SOCKET", 7: "TCP_CSUM"}
    assert listed("name: other\n" + other + "name: kfree_skb\n" + REASONS) == {2: "NO_SOCKET", 7: "TCP_CSUM"}
    assert listed("name: kfree_skb\n" + REASONS, "name: kfree_skb\n" + REASONS) == {2: "NO_SOCKET", 7: "TCP_CSUM"}
    assert listed("name: kfree_skb\n" + REASONS, "name: kfree_skb\n" + other) is None
    assert listed('name: kfree_skb\nprint fmt: "%p", REC->skbaddr\n') == {}
    assert listed() is listed("name: other\n" + REASONS) is listed(REASONS) is None


def test_an_address_that_two_kernels_have_functions_at_has_no_name(read: Any, host_of: Any) -> None:
    def named(*texts: str) -> Any:
        documents = [read("kernel_functions", text, "trace", artifact=f"f{n}") for n, text in enumerate(texts)]
        return {address: each.place for address, each in host_of(*documents).traces.functions.items()}

    one, other = "0xffffffffb4ab63f2 icmp_rcv+0x1d2\n", "0xffffffffc0a3e123 br_handle_frame+0x123 [bridge]\n"
    known = {0xFFFFFFFFB4AB63F2: "icmp_rcv+0x1d2", 0xFFFFFFFFC0A3E123: "br_handle_frame+0x123"}
    assert named(one, other) == named(one + other, one) == known
    assert named(one + other, one.replace("icmp", "igmp")) == {0xFFFFFFFFC0A3E123: "br_handle_frame+0x123"}
    assert named() == {}


def test_ip_address_is_taken_before_ifconfig(read: Any, host_of: Any) -> None:
    ifconfig = (
        "eth9: flags=4163<UP,BROADCAST,RUNNING,MULTICAST>  mtu 1500\n        inet 192.0.2.1  netmask 255.255.255.0\n"
    )
    host = host_of(read("ifconfig", ifconfig), read("ip_addr", LO))
    assert [link.name for link in host.root.links] == ["lo"]
    assert host.root.links.extent is Extent.WHOLE
    assert host_of(read("ifconfig", ifconfig)).root.links.extent is Extent.PART


def test_addresses_are_known_only_when_those_of_every_link_are_told(read: Any, host_of: Any) -> None:
    link = "2: docker0: <BROADCAST,MULTICAST,UP> mtu 1500 state DOWN\n"
    both = read("ip_addr", LO + link)
    without = read("ip_addr", LO.partition("    inet")[0] + link, artifact="ip-link")
    one = read("ip_addr", LO, artifact="ip-addr-show-lo")
    known = [host_of(*found).root.addresses_known for found in ((both,), (both, without), (without,), (without, one))]
    assert known == [True, True, False, False]


def test_a_failed_command_gives_a_part_and_says_why(read: Any, host_of: Any) -> None:
    links = host_of(read("ip_addr", LO, trouble="exit code 1")).root.links
    assert (links.extent, links.why) == (Extent.PART, "host/ip-addr.txt: exit code 1")


def test_what_was_not_collected_is_none_and_says_why(host_of: Any) -> None:
    reason = "ip is not installed (not found in PATH)"
    links = host_of(left_out=(NotCollected("ip-addr", "host", "ip -d addr", "ip_addr", reason),)).root.links
    assert (links.extent, links.why) == (Extent.NONE, reason)


def test_ends_that_name_each_other_are_a_pair(read: Any, host_of: Any) -> None:
    host = host_of(read("ip_addr", LO + veth(7, 7, "veth1a2b3c4")), read("ip_addr", LO + veth(7, 7), f"netns:{WEB}"))
    assert [(pair.outer.name, pair.inner.name, pair.namespace) for pair in host.veth_pairs] == [
        ("veth1a2b3c4", "eth0", f"netns:{WEB}")
    ]


def test_two_inner_ends_that_fit_are_no_pair(read: Any, host_of: Any) -> None:
    inner = LO + veth(5, 6)
    outer = read("ip_addr", LO + veth(6, 5, "veth1a2b3c4"))
    host = host_of(outer, read("ip_addr", inner, f"netns:{WEB}"), read("ip_addr", inner, f"netns:{SIDE}"))
    assert host.veth_pairs == ()


def test_containers_live_in_their_own_another_s_or_the_host_s_namespace(read: Any, host_of: Any) -> None:
    text = json.dumps([inspect(WEB, "web"), inspect(SIDE, "side", f"container:{WEB}"), inspect("9" * 64, "on", "host")])
    host = host_of(read("docker_inspect", text, "docker"), read("ip_addr", LO, f"netns:{WEB}"), read("ip_addr", LO))
    assert [(netns.id, netns.name) for netns in host.namespaces] == [("host", "on"), (f"netns:{WEB}", "web, side")]
    assert host.namespace_of(host.containers.items[1]) is host.namespaces[1]


def test_a_row_of_docker_ps_adds_only_a_container_that_was_not_inspected(read: Any, host_of: Any) -> None:
    table = (
        "CONTAINER ID   IMAGE     COMMAND   CREATED       STATUS       PORTS     NAMES\n"
        'cccccccccccc   busybox   "sh"      2 hours ago   Up 2 hours             web\n'
        'aaaaaaaaaaaa   busybox   "sh"      2 hours ago   Up 2 hours             extra\n'
    )
    inspected = read("docker_inspect", json.dumps([inspect(WEB, "web")]), "docker")
    host = host_of(inspected, read("docker_ps", table, "docker"))
    assert [(each.name, each.state) for each in host.containers] == [("web", "running"), ("extra", "running")]
    assert (host.containers.extent, host.containers.why) == (Extent.PART, "docker inspect of extra is missing")


def test_a_network_that_only_an_endpoint_names_has_no_driver(read: Any, host_of: Any) -> None:
    host = host_of(read("docker_inspect", json.dumps([inspect(WEB, "web")]), "docker"))
    (network,) = host.networks
    assert (network.name, network.driver, str(network.subnets[0].subnet)) == ("blue", None, "172.18.0.0/16")
    assert host.networks.extent is Extent.PART


def test_a_namespace_has_the_resolver_that_its_own_processes_read(read: Any, host_of: Any) -> None:
    of_host, of_web = "nameserver 192.0.2.53\n", "nameserver 127.0.0.11\nsearch example.org\n"
    inside = (read("ip_addr", LO, f"netns:{WEB}"), read("resolv_conf", of_web, f"netns:{WEB}"))
    collected = host_of(read("ip_addr", LO), read("resolv_conf", of_host, "files"), *inside)
    assert [[str(server.address) for server in netns.name_servers] for netns in collected.namespaces] == [
        ["192.0.2.53"],
        ["127.0.0.11"],
    ]
    assert [len(netns.resolver) for netns in collected.namespaces] == [0, 1]
    loose = host_of(read("ip_addr", LO), read("resolv_conf", of_host))
    assert [str(server.address) for server in loose.root.name_servers] == ["192.0.2.53"]
