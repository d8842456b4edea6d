"""The rules that the model says an engine programs, against those that real engines program.

Nothing that is expected may be missing on a healthy host, whatever its networks and ports are like; and each rule that
is deleted there is named, with the words that put it back.
"""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import lab
import pytest

from netdiag.analysis import analyze
from netdiag.model import Host
from netdiag.model.expected import expected_rules, meaning, missing_rules, specification

pytestmark = pytest.mark.live

NETWORKS = {
    "plain": "",
    "inside": "--internal",
    "noicc": "-o com.docker.network.bridge.enable_icc=false",
    "nomasq": "-o com.docker.network.bridge.enable_ip_masquerade=false",
    "shut": "--internal -o com.docker.network.bridge.enable_icc=false",
    "named": "-o com.docker.network.bridge.name=brnamed -o com.docker.network.host_ipv4=203.0.113.10",
    "bound": "-o com.docker.network.bridge.host_binding_ipv4=203.0.113.10",
    "six": "--ipv6 --subnet fd00:aa::/64 --subnet 10.77.0.0/24",
    "sixinside": "--ipv6 --internal --subnet fd00:ab::/64 --subnet 10.78.0.0/24",
}
NETWORKS_28 = {
    "routed": "-o com.docker.network.bridge.gateway_mode_ipv4=routed",
    "open": "-o com.docker.network.bridge.gateway_mode_ipv4=nat-unprotected",
    "isolated": "--internal -o com.docker.network.bridge.gateway_mode_ipv4=isolated",
    "trusted": "-o com.docker.network.bridge.trusted_host_interfaces=eth0:lo",
    "only6": "--ipv4=false --ipv6",
}
CONTAINERS = {
    "many": "--network plain -p 8081:81 -p 127.0.0.1:8082:82 -p 203.0.113.10:8083:83/udp -p 8090-8092:90-92",
    "on-inside": "--network inside -p 8084:84",
    "on-noicc": "--network noicc -p 8085:85",
    "on-nomasq": "--network nomasq -p 8086:86",
    "on-named": "--network named -p 8087:87",
    "on-bound": "--network bound -p 8088:88",
    "on-six": "--network six -p 8089:89 -p [::1]:8099:99",
    "on-default": "-p 8101:101",
    "on-host": "--network host -p 8102:102",
    "on-two": "--network plain -p 8103:103",
    "beside": "--network container:on-two",
}
CONTAINERS_28 = {
    "on-routed": "--network routed -p 8110:110",
    "on-open": "--network open -p 8111:111",
    "on-isolated": "--network isolated",
    "on-trusted": "--network trusted -p 8112:112",
    "on-only6": "--network only6 -p 8113:113",
}
SIX = ("--experimental", "--ip6tables", "--ipv6", "--fixed-cidr-v6=fd00:17::/64")

HOSTS = {
    "20.10": ("", "nft", ()),
    "20.10-legacy": ("", "legacy", ()),
    "20.10-no-proxy-ipv6": ("", "nft", ("--userland-proxy=false", *SIX)),
    "20.10-icc-and-masquerade-off": ("", "nft", ("--icc=false", "--ip-masq=false")),
    "26.1": ("26.1", "nft", ()),
    "28.5": ("28.5", "nft", ()),
    "28.5-no-proxy": ("28.5", "nft", ("--userland-proxy=false",)),
}


def furnish(host: lab.DockerHost) -> None:
    """Networks and containers of many kinds, some on two networks or on that of another container."""
    newer = host.engine.startswith("28")
    for name, options in {**NETWORKS, **(NETWORKS_28 if newer else {})}.items():
        host.shell(f"docker network create {options} {name}")
    for name, options in {**CONTAINERS, **(CONTAINERS_28 if newer else {})}.items():
        host.shell(f"docker run -d --name {name} {options} {lab.IMAGE}")
    host.shell("docker network connect noicc on-two")
    host.shell("docker network connect six on-default")


@pytest.mark.parametrize(("engine", "backend", "daemon_args"), HOSTS.values(), ids=HOSTS)
def test_every_expected_rule_is_there_and_each_deleted_one_is_named(
    engine: str, backend: lab.Backend, daemon_args: Sequence[str], have_engine: Callable[[str], None], tmp_path: Path
) -> None:
    if engine:
        have_engine(engine)
    with lab.DockerHost(backend, daemon_args, engine=engine) as docker_host:
        furnish(docker_host)
        host = model_of(docker_host, tmp_path)
        expected = expected_rules(host)
        assert [specification(each.rule) for each in missing_rules(host)] == []
        assert unexpected(host) == []

        deleted = random.Random(0).sample(expected, 12)
        for each in deleted:
            tool = "ip6tables" if each.rule.family == "ipv6" else "iptables"
            docker_host.shell(f"{tool} -t {each.rule.table} -D {each.rule.chain} {specification(each.rule)}")
        missing = missing_rules(model_of(docker_host, tmp_path))
        assert {meaning(each.rule) for each in missing} == {meaning(each.rule) for each in deleted}


def model_of(host: lab.DockerHost, directory: Path) -> Host:
    return analyze(lab.collect(host, directory)).host


def unexpected(host: Host) -> list[str]:
    """Rules of the engine for translation and forwarding that the model does not expect, but for those that it leaves
    out: of gateway mode routed, of IPv6 inside internal networks, and those that only end a chain.
    """
    known = {meaning(each.rule) for each in expected_rules(host)}
    routed = {f"br-{network.id[:12]}" for network in host.networks if network.name == "routed"}
    return [
        rule.span.text
        for table in host.root.firewall
        if table.name in ("filter", "nat") and table.family == "ipv4"
        for rule in table.rules()
        if meaning(rule) not in known
        and rule.target != "RETURN"
        and not {rule.in_interface, rule.out_interface} & routed
        and not any(match.option == "src-type" for match in rule.matches)
    ]
