"""docker-proxy processes, ebtables and namespaces as facts: from the best source, with their extent."""

from ipaddress import ip_address
from typing import Any

import pytest

from netdiag.bundle import NotCollected
from netdiag.model import Extent, NamespaceKind
from netdiag.model.gates import is_used
from netdiag.model.knowledge import Truth

LO = "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN\n    inet 127.0.0.1/8 scope host lo\n"
HEADING = "    PID      NETNS COMMAND\n"
PROXY = (
    "    269 4026533436 /usr/bin/docker-proxy -proto tcp -host-ip 0.0.0.0 -host-port 8080 "
    "-container-ip 172.18.0.2 -container-port 80 -use-listen-fd\n"
)
ELSEWHERE = PROXY.replace("269 4026533436", "999 4026533999")
SS = "Netid State  Recv-Q Send-Q Local Address:Port Peer Address:PortProcess\n"
LISTENING = 'tcp   LISTEN 0      4096         0.0.0.0:8080      0.0.0.0:*    users:(("docker-proxy",pid=269,fd=4))\n'
OTHER = 'tcp   LISTEN 0      128          0.0.0.0:22        0.0.0.0:*    users:(("sshd",pid=1,fd=3))\n'


def test_a_proxy_tells_what_it_forwards_and_whether_it_listens(read: Any, host_of: Any) -> None:
    (proxy,) = host_of(read("ps", HEADING + PROXY), read("ss", SS + LISTENING)).proxies
    assert (proxy.pid, proxy.protocol, proxy.host_address, proxy.host_port) == (269, "tcp", ip_address("0.0.0.0"), 8080)
    assert (proxy.container_address, proxy.container_port) == (ip_address("172.18.0.2"), 80)
    assert proxy.listens is True
    assert host_of(read("ps", HEADING + PROXY), read("ss", SS + OTHER)).proxies.items[0].listens is False
    assert host_of(read("ps", HEADING + PROXY)).proxies.items[0].listens is None


def test_a_proxy_of_an_engine_in_a_container_is_not_the_host_s(read: Any, host_of: Any) -> None:
    host = host_of(read("ps", HEADING + PROXY + ELSEWHERE), read("netns", "net:[4026533436]\n"))
    assert [proxy.pid for proxy in host.proxies] == [269]


def test_without_a_list_of_processes_the_sockets_tell_which_proxies_there_are(read: Any, host_of: Any) -> None:
    proxies = host_of(read("ss", SS + LISTENING)).proxies
    assert (proxies.extent, proxies.items[0].host_port, proxies.items[0].container_port) == (Extent.WHOLE, 8080, None)
    nameless = host_of(read("ss", SS + LISTENING.partition(" users")[0] + "\n")).proxies
    assert (nameless.items, nameless.extent, nameless.missing) == ((), Extent.NONE, ("ps",))


def test_ps_fails_when_no_process_has_the_name_and_that_is_an_answer(read: Any, host_of: Any) -> None:
    none = host_of(read("ps", HEADING, trouble="exit code 1")).proxies
    assert (none.items, none.extent) == ((), Extent.WHOLE)
    failed = host_of(read("ps", "", trouble="exit code 1: error: unknown user-defined format specifier")).proxies
    assert failed.extent is Extent.PART


@pytest.mark.parametrize("artifact", ["network-managers", "dockerd"])
def test_a_list_of_other_processes_tells_nothing_of_proxies(read: Any, host_of: Any, artifact: str) -> None:
    assert host_of(read("ps", HEADING, trouble="exit code 1", artifact=artifact)).proxies.extent is Extent.NONE


def test_hostile_arguments_of_a_proxy_cost_nothing_else(read: Any, host_of: Any) -> None:
    odd = "    7 1 docker-proxy -host-port ٣ -container-ip 999.1.1.1 -proto\n"
    (proxy, _) = host_of(read("ps", HEADING + odd + PROXY)).proxies
    assert (proxy.host_port, proxy.container_address, proxy.protocol) == (None, None, None)


# --- ebtables ---------------------------------------------------------------------------------------------------------

FILTER = (
    "Bridge table: filter\n\n"
    "Bridge chain: FORWARD, entries: 1, policy: DROP\n"
    "1. -s 2:0:0:0:0:1 -j ACCEPT , pcnt = 1 -- bcnt = 2\n"
)
NAT = "Bridge table: nat\n\nBridge chain: PREROUTING, entries: 0, policy: ACCEPT\n"


def test_ebtables_are_tables_with_chains_in_order(read: Any, host_of: Any) -> None:
    tables = host_of(read("ebtables", FILTER), read("ebtables", NAT, artifact="ebtables-nat")).root.ebtables
    assert tables.extent is Extent.WHOLE
    assert [table.name for table in tables] == ["filter", "nat"]
    chain = tables.items[0].chains["FORWARD"]
    assert (chain.head.policy, [rule.target for rule in chain.rules]) == ("DROP", ["ACCEPT"])
    assert host_of(read("ebtables", NAT)).root.ebtables.extent is Extent.PART


@pytest.mark.parametrize(
    ("reason", "extent"),
    [
        ("ebtable_filter is not loaded; ebtables would load this kernel module", Extent.WHOLE),
        ("ebtables is not installed (not found in PATH)", Extent.NONE),
    ],
)
def test_a_kernel_without_ebtables_has_no_rules_of_it(reason: str, extent: Extent, host_of: Any) -> None:
    left_out = (NotCollected("ebtables", "host", "ebtables -L", "ebtables", reason),)
    assert host_of(left_out=left_out).root.ebtables.extent is extent


# --- namespaces -------------------------------------------------------------------------------------------------------

LSNS = "        NS TYPE NPROCS   PID USER    NETNSID NSFS                           COMMAND\n"
ROW = "4026532401 net       2   311 root          1 /run/docker/netns/f45db8a1782d /bin/sh\n"


def entered(read: Any, path: str, name: str, inode: int = 4026532401) -> tuple[Any, ...]:
    command = f"nsenter --net={path} --"
    return (
        read("netns", f"net:[{inode}]\n", f"netns:{name}", command=f"{command} readlink /proc/self/ns/net"),
        read("ip_addr", LO, f"netns:{name}", command=f"{command} ip -d -s addr"),
    )


@pytest.mark.parametrize(
    ("path", "name", "kind"),
    [
        ("/run/docker/netns/1-x7kq2", "1-x7kq2", NamespaceKind.ENGINE),
        ("/mnt/exec-root/netns/f45db8a1782d", "f45db8a1782d", NamespaceKind.ENGINE),
        ("/run/netns/cni-1", "cni-1", NamespaceKind.NAMED),
        ("/proc/4711/ns/net", "pid-4711", NamespaceKind.PROCESS),
        ("/var/run/docker/netns/f45db8a1782d", "c" * 64, NamespaceKind.CONTAINER),
    ],
)
def test_a_namespace_is_known_by_its_file_its_number_and_its_row(
    path: str, name: str, kind: NamespaceKind, read: Any, host_of: Any
) -> None:
    host = host_of(read("ip_addr", LO), read("lsns", LSNS + ROW), *entered(read, path, name))
    netns = host.namespaces[1]
    assert (netns.kind, netns.path, netns.number) == (kind, path.removeprefix("/var"), 4026532401)
    assert netns.in_use is not None
    assert netns.in_use.netns_id == 1


def test_a_namespace_that_lsns_lists_and_nobody_entered_is_told(read: Any, host_of: Any) -> None:
    host = host_of(read("ip_addr", LO), read("netns", "net:[4026531840]\n"), read("lsns", LSNS + ROW))
    assert [row.inode for row in host.namespaces_not_seen] == [4026532401]
    seen = host_of(read("ip_addr", LO), read("lsns", LSNS + ROW), *entered(read, "/run/netns/a", "a"))
    assert seen.namespaces_not_seen == ()


def test_only_a_sandbox_without_container_and_process_is_of_no_use(read: Any, host_of: Any) -> None:
    def answer(name: str, inode: int, *more: Any) -> Truth:
        host = host_of(read("ip_addr", LO), *more, *entered(read, f"/run/docker/netns/{name}", name, inode))
        return is_used(host, host.namespaces[1]).truth

    lsns = read("lsns", LSNS + ROW)
    assert answer("f45db8a1782d", 4026532401, lsns) is Truth.YES
    assert answer("57509ec081e0", 4026532499, lsns) is Truth.NO
    assert answer("57509ec081e0", 4026532499) is Truth.UNKNOWN
    assert answer("ingress_sbox", 4026532499, lsns) is Truth.YES
