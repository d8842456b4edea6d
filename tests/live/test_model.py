"""The facts of the model on real hosts: what is joined there is what the kernel and the engine have joined."""

from collections.abc import Callable
from pathlib import Path

import lab
import pytest

from netdiag.model import Host, NamespaceKind, Way
from netdiag.model.gates import is_used
from netdiag.model.knowledge import Truth
from netdiag.model.peers import host_end_of
from netdiag.testing import host_of

pytestmark = pytest.mark.live

Lend = Callable[..., lab.DockerHost]


@pytest.fixture(params=["", "28.5"], ids=["20.10", "28.5"])
def lent(request: pytest.FixtureRequest, docker_host: Lend) -> lab.DockerHost:
    return docker_host("nft", engine=request.param)


def test_every_veth_is_joined_with_its_container_for_more_than_one_reason(lent: lab.DockerHost, tmp_path: Path) -> None:
    lab.assert_healthy(lent)  # so that the bridges have learned who is behind which port
    host = host_of(lab.collect(lent, tmp_path))
    names = {netns.id: netns.name for netns in host.namespaces}
    joined = {(pair.outer.name, names[pair.namespace]) for pair in host.veth_pairs}
    assert joined == {(lent.veth(name, network), name) for name, on in lab.CONTAINERS.items() for network in on}
    for pair in host.veth_pairs:
        assert {joint.way for joint in pair.joints} == {Way.IFINDEX, Way.NETNS_ID, Way.LEARNED_MAC}
    assert host.namespaces_not_seen == ()
    assert {netns.kind for netns in host.namespaces[1:]} == {NamespaceKind.CONTAINER}


def test_the_port_of_an_endpoint_is_found_without_its_namespace(lent: lab.DockerHost, tmp_path: Path) -> None:
    lab.assert_healthy(lent)
    whole = host_of(lab.collect(lent, tmp_path))
    host = Host(
        *(whole.name, whole.namespaces[:1], whole.containers, whole.networks, whole.engine),
        namespaces_in_use=whole.namespaces_in_use,
    )
    for container in host.containers:
        for endpoint in container.endpoints:
            end = host_end_of(host, container, endpoint, lent.bridge(endpoint.network))
            assert end is not None
            assert end.link.name == lent.veth(container.name, endpoint.network)


def test_ports_of_bridges_have_their_switches(lent: lab.DockerHost, tmp_path: Path) -> None:
    veth, bridge = lent.veth("db", "back"), lent.bridge("back")
    lent.shell(f"bridge link set dev {veth} isolated on; bridge link set dev {veth} hairpin on")
    host = host_of(lab.collect(lent, tmp_path))
    lent.shell(f"bridge link set dev {veth} isolated off; bridge link set dev {veth} hairpin off")
    found = host.root.bridge(bridge)
    assert found is not None
    assert (found.stp, found.vlan_filtering, len(found.ports)) == (False, False, 2)
    switches = {port.name: (port.state, port.isolated, port.hairpin, port.learning) for port in found.ports}
    assert switches == {
        veth: ("forwarding", True, True, True),
        lent.veth("app", "back"): ("forwarding", False, False, True),
    }


def test_proxies_tell_what_they_forward(lent: lab.DockerHost, tmp_path: Path) -> None:
    proxies = host_of(lab.collect(lent, tmp_path)).proxies
    assert {str(proxy.host_address) for proxy in proxies} == {"0.0.0.0", "::"}
    web = lent.address("web", "front")
    assert {(p.host_port, str(p.container_address), p.container_port, p.listens) for p in proxies} == {
        (lab.PUBLISHED_PORT, web, 80, True)
    }


def test_a_host_without_proxies_is_known_to_have_none(docker_host: Lend, tmp_path: Path) -> None:
    proxies = host_of(lab.collect(docker_host("nft", "--userland-proxy=false"), tmp_path)).proxies
    assert (proxies.items, proxies.whole) == ((), True)


def test_namespaces_of_no_container_are_collected(docker_host: Lend, tmp_path: Path) -> None:
    host = docker_host("nft")
    host.shell("ip netns add tenant; ip link add vt0 type veth peer name vt1 netns tenant")
    host.shell("unshare --net --fork --kill-child sleep 300 >/dev/null 2>&1 & echo $! >/run/held.pid")
    host.shell("touch /run/docker/netns/0123456789ab; unshare --net=/run/docker/netns/0123456789ab true")
    try:
        found = host_of(lab.collect(host, tmp_path))
    finally:
        host.shell("kill $(cat /run/held.pid); ip netns del tenant")
        host.shell("umount /run/docker/netns/0123456789ab; rm /run/docker/netns/0123456789ab")
    others = {netns.kind: netns for netns in found.namespaces[1:] if not netns.containers}
    assert set(others) == {NamespaceKind.NAMED, NamespaceKind.PROCESS, NamespaceKind.ENGINE}
    assert [netns.name for netns in found.named_namespaces] == ["tenant"]
    tenant, sandbox = others[NamespaceKind.NAMED], others[NamespaceKind.ENGINE]
    assert (tenant.path, [link.name for link in tenant.links]) == ("/run/netns/tenant", ["lo", "vt1"])
    assert ("vt0", tenant.id) in {(pair.outer.name, pair.namespace) for pair in found.veth_pairs}
    assert sandbox.path == "/run/docker/netns/0123456789ab"
    assert {is_used(found, netns).truth for netns in (tenant, others[NamespaceKind.PROCESS])} == {Truth.YES}
    assert is_used(found, sandbox).truth is Truth.NO
