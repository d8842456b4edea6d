"""Faults of address translation."""

from lab import (
    HOST_ADDRESS,
    PUBLISHED_PORT,
    ROUTER_ADDRESS,
    DockerHost,
    client_address_seen,
    container_to_container,
    egress,
    fetch,
    localhost,
    published,
)

from faults._kit import Fault, NearMiss, lines, named, network, run, succeeds


def _sees_proxy(host: DockerHost) -> bool:
    """The container sees another client than the one that asked: docker-proxy answers in place of the DNAT rule."""
    return client_address_seen(host) != ROUTER_ADDRESS


def _rules_in(host: DockerHost, chain: str) -> int:
    """How many rules a chain of nft's table ip nat has."""
    return host.shell(f"nft list chain ip nat {chain}").stdout.count("\n\t\t") - 1


_HOST_IPV6, _ROUTER_IPV6 = "2001:db8::10", "2001:db8::1"


def _have_ipv6(host: DockerHost) -> None:
    """A host and an outside that have global IPv6 addresses."""
    host.wan(["ip", "addr", "add", f"{_ROUTER_IPV6}/64", "dev", "up0", "nodad"])
    host.shell(f"ip addr add {_HOST_IPV6}/64 dev eth0 nodad")


def _have_no_ipv6(host: DockerHost) -> None:
    host.wan(["ip", "addr", "del", f"{_ROUTER_IPV6}/64", "dev", "up0"])
    host.shell(f"ip addr del {_HOST_IPV6}/64 dev eth0")
    host.shell("ip6tables -S INPUT | sed -n 's/^-A INPUT/ip6tables -D INPUT/p' | sh")
    host.shell("ip6tables -S | grep -q DOCKER || nft delete table ip6 filter 2>/dev/null || true")


def _ipv6_client_address_seen(host: DockerHost) -> str | None:
    """The address that web takes its client by IPv6 for, None without an answer."""
    return fetch(host.wan_network, f"http://[{_HOST_IPV6}]:{PUBLISHED_PORT}/cgi-bin/client")


def _gateway_of(host: DockerHost, name: str) -> str:
    return host.docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", name).stdout.strip()


def _with_source(address: str) -> tuple[str, str]:
    """Commands that make network `fixed`, whose packets shall leave with this address, and a container on it."""
    named = "com.docker.network.bridge.name=fixed0"
    options = f"-o com.docker.network.host_ipv4={address} -o {named} --subnet 172.25.0.0/16"
    return f"docker network create {options} fixed", run("fixed", "--network fixed")


def _back_to_nft(host: DockerHost) -> None:
    """A host whose engine uses the nft backend again, and has nothing in the legacy one."""
    lines(
        "docker rm -f late",
        *(f"update-alternatives --set {tool} /usr/sbin/{tool}-nft" for tool in ("iptables", "ip6tables")),
        "iptables-legacy -P FORWARD ACCEPT",
        *(f"iptables-legacy -t {table} {verb}" for table in ("filter", "nat") for verb in ("-F", "-X")),
        "systemctl restart docker",
        "iptables -P FORWARD DROP",
    )(host)


def _without_second_masquerade(host: DockerHost) -> None:
    """The remedy has put a MASQUERADE in the place of the rule; the engine's own was there all the time."""
    lines("iptables -t nat -D POSTROUTING -s <front_subnet> ! -o <front> -j MASQUERADE")(host)


#: Waits until the engine has taken away the veth of a container that could not start: a second on an idle machine. No
#: other container is on docker0.
_UNTIL_ITS_VETH_HAS_GONE = (
    '{ for i in $(seq 100); do test -z "$(ip -br link show type veth master docker0)" && break; sleep 0.2; done; }'
)

FAULTS = (
    Fault(
        "nat-masquerade-missing",
        lines("iptables -t nat -D POSTROUTING -s <front_subnet> ! -o <front> -j MASQUERADE"),
        lambda host: not egress(host, "web"),
        network("front"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "nat-dnat-missing",
        lines("iptables -t nat -D DOCKER ! -i <front> -p tcp -m tcp --dport 8080 -j DNAT --to-destination <web>:80"),
        _sees_proxy,
        lambda _: ("port", f"{PUBLISHED_PORT}/tcp"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(  # without the proxy nothing answers in its place
        "nat-dnat-missing",
        lines("iptables -t nat -D DOCKER -p tcp -m tcp --dport 8080 -j DNAT --to-destination <web>:80"),
        lambda host: not published(host),
        lambda _: ("port", f"{PUBLISHED_PORT}/tcp"),
        daemon_args=("--userland-proxy=false",),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "nat-dnat-stale",
        lines(
            "iptables -t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 9090 -j DNAT --to-destination 172.17.0.250:80"
        ),
        succeeds("iptables -t nat -S DOCKER | grep -q 172.17.0.250 && ! ping -c1 -W1 172.17.0.250"),
        named("port", "9090/tcp"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "nat-docker-jump-missing",
        lines("iptables -t nat -D PREROUTING -m addrtype --dst-type LOCAL -j DOCKER"),
        _sees_proxy,
        named("chain", "nat PREROUTING"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "nat-docker-jump-missing",
        lines("iptables -t nat -D PREROUTING -m addrtype --dst-type LOCAL -j DOCKER"),
        lambda host: not published(host),
        named("chain", "nat PREROUTING"),
        daemon_args=("--userland-proxy=false",),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(  # the proxy answers local clients, until it is gone
        "nat-docker-jump-missing",
        lines("iptables -t nat -D OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER"),
        succeeds("iptables -t nat -S DOCKER | grep -q DNAT && ! iptables -t nat -S OUTPUT | grep -q DOCKER"),
        named("chain", "nat OUTPUT"),
        on=("nft", "legacy", "28.5"),
        variant="output",
    ),
    Fault(
        "nat-docker-jump-missing",
        lines("iptables -t nat -D OUTPUT -m addrtype --dst-type LOCAL -j DOCKER"),
        lambda host: published(host) and not localhost(host),
        named("chain", "nat OUTPUT"),
        daemon_args=("--userland-proxy=false",),
        on=("nft", "28.5"),
        variant="output",
    ),
    Fault(  # the network asks for one of the host's addresses, and the rule that gives it is gone
        "nat-masquerade-missing",
        lines(
            *_with_source("203.0.113.10"),
            "iptables -t nat -D POSTROUTING -s 172.25.0.0/16 ! -o fixed0 -j SNAT --to-source 203.0.113.10",
        ),
        lambda host: not egress(host, "fixed"),
        network("fixed"),
        on=("nft", "legacy", "28.5"),
        variant="host-ipv4",
        cleanup=lines("docker rm -f fixed", "docker network rm fixed"),
    ),
    Fault(
        "nat-docker-jump-missing",
        lines("iptables -t nat -F"),
        lambda host: not egress(host, "web") and _sees_proxy(host),
        named("chain", "nat DOCKER"),
        on=("nft", "legacy", "28.5"),
        variant="flush",
    ),
    Fault(
        "nat-dnat-shadowed",
        lines("iptables -t nat -I PREROUTING -p tcp --dport 8080 -j DNAT --to-destination <web>:81"),
        lambda host: not published(host),
        named("port", "8080/tcp"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(  # a transparent proxy's rule, which leads nowhere
        "nat-dnat-shadowed",
        lines("iptables -t nat -I PREROUTING -i eth0 -p tcp -m multiport --dports 80,8080 -j REDIRECT --to-ports 3128"),
        lambda host: not published(host),
        named("container", "web"),
        on=("nft", "legacy"),
        variant="redirect",
    ),
    Fault(  # nothing translates it, so that docker-proxy answers
        "nat-dnat-shadowed",
        lines("iptables -t nat -I PREROUTING -i eth0 -j ACCEPT"),
        _sees_proxy,
        named("port", "8080/tcp"),
        on=("nft", "28.5"),
        variant="accept",
    ),
    Fault(
        "nat-dnat-shadowed",
        lines(
            "nft add table ip site",
            "nft add chain ip site pre '{ type nat hook prerouting priority -110; }'",
            "nft add rule ip site pre tcp dport 8080 dnat to <web>:81",
        ),
        lambda host: not published(host),
        named("port", "8080/tcp"),
        on=("nft", "28.5"),
        variant="nftables",
        cleanup=lines("nft delete table ip site"),
    ),
    Fault(
        "nat-masquerade-shadowed",
        lines("iptables -t nat -I POSTROUTING -s 172.16.0.0/12 -o eth0 -j ACCEPT"),
        lambda host: not egress(host, "web"),
        network("front"),
        on=("nft", "legacy", "28.5"),
        cleanup=lines("iptables -t nat -D POSTROUTING -s 172.16.0.0/12 -o eth0 -j ACCEPT"),
    ),
    Fault(
        "nat-masquerade-shadowed",
        lines("iptables -t nat -I POSTROUTING -s <front_subnet> -j RETURN"),
        lambda host: not egress(host, "web") and egress(host, "db"),
        network("front"),
        variant="return",
        cleanup=lines("iptables -t nat -D POSTROUTING -s <front_subnet> -j RETURN"),
    ),
    Fault(
        "nat-masquerade-too-broad",
        lines("iptables -t nat -I POSTROUTING -j MASQUERADE"),
        _sees_proxy,
        named("container", "web"),
        on=("nft", "legacy", "28.5"),
        cleanup=lines("iptables -t nat -D POSTROUTING -o eth0 -j MASQUERADE"),
    ),
    Fault(
        "nat-masquerade-too-broad",
        lines("iptables -t nat -A POSTROUTING -o <front> -j MASQUERADE"),
        _sees_proxy,
        named("container", "web"),
        variant="bridge",
    ),
    Fault(
        "nat-masquerade-too-broad",
        lines(
            "nft add table ip site",
            "nft add chain ip site post '{ type nat hook postrouting priority 90; }'",
            "nft add rule ip site post counter masquerade",
        ),
        _sees_proxy,
        named("container", "web"),
        on=("nft", "28.5"),
        variant="nftables",
        cleanup=lines("nft delete table ip site"),
    ),
    Fault(
        "nat-masquerade-stale-subnet",
        lines("iptables -t nat -A POSTROUTING -s 172.31.0.0/16 ! -o br-deadbeef0000 -j MASQUERADE"),
        succeeds("iptables -t nat -S POSTROUTING | grep -q br-deadbeef0000 && ! ip link show br-deadbeef0000"),
        named("bridge", "br-deadbeef0000"),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "nat-snat-hostip-gone",
        lines("iptables -t nat -I POSTROUTING -s <front_subnet> ! -o <front> -j SNAT --to-source 203.0.113.99"),
        lambda host: not egress(host, "web") and egress(host, "db"),
        network("front"),
        on=("nft", "legacy", "28.5"),
        cleanup=_without_second_masquerade,
    ),
    Fault(  # the host has got another address since the network was made
        "nat-snat-hostip-gone",
        lines(
            *_with_source("203.0.113.77"),
        ),
        lambda host: not egress(host, "fixed"),
        named("address", "203.0.113.77"),
        on=("nft", "28.5"),
        variant="host-ipv4",
        cleanup=lines(
            "docker rm -f fixed",
            "docker network rm fixed",
            "iptables -t nat -D POSTROUTING -s 172.25.0.0/16 ! -o fixed0 -j MASQUERADE",
        ),
    ),
    Fault(
        "nat-legacy-nft-split",
        lines("iptables-legacy -P FORWARD DROP"),
        lambda host: not egress(host, "web") and not published(host),
        named("chain", "filter FORWARD"),
        on=("nft", "28.5"),
    ),
    Fault(  # an administrator's rules, restored by a tool of the other backend
        "nat-legacy-nft-split",
        lines("iptables-nft -A FORWARD -o eth0 -j ACCEPT", "iptables-nft -A FORWARD -i eth0 -p tcp -j DROP"),
        lambda host: not egress(host, "web") and not published(host),
        network("front"),
        on=("legacy",),
        variant="rule",
        cleanup=lines("nft delete table ip filter"),
    ),
    Fault(  # the alternative was switched under the running engine
        "nat-legacy-nft-split",
        lines(*(f"update-alternatives --set {tool} /usr/sbin/{tool}-legacy" for tool in ("iptables", "ip6tables"))),
        succeeds(
            "! { docker run --rm -d --name late -p 8085:85 lab/busybox:1 && docker rm -f late; } && "
            + _UNTIL_ITS_VETH_HAS_GONE
        ),
        named("chain", "nat DOCKER"),
        on=("nft", "28.5"),
        variant="switched",
    ),
    Fault(  # and the engine was started anew: its rules are in both backends
        "nat-legacy-nft-split",
        lines(
            *(f"update-alternatives --set {tool} /usr/sbin/{tool}-legacy" for tool in ("iptables", "ip6tables")),
            "systemctl restart docker",
            "docker run -d --name late -p 8085:80 lab/busybox:1",
        ),
        lambda host: not published(host, 8085),
        named("container", "late"),
        variant="restarted",
        cleanup=_back_to_nft,
    ),
    Fault(  # a rule that only nft can write, in the table of iptables
        "nat-table-unavailable",
        lines("nft add rule ip nat POSTROUTING ip saddr '{ 10.1.0.0/16, 10.3.0.0/16 }' oifname eth0 masquerade"),
        succeeds("! iptables -t nat -S"),
        lambda host: ("rule", f"nat POSTROUTING {_rules_in(host, 'POSTROUTING')}"),
        on=("nft", "28.5"),
    ),
    Fault(
        "nat-hairpin-rule-missing",
        lines("iptables -t nat -D POSTROUTING -o <front> -m addrtype --src-type LOCAL -j MASQUERADE"),
        lambda host: published(host) and not localhost(host),
        network("front"),
        daemon_args=("--userland-proxy=false",),
        on=("nft", "legacy", "28.5"),
    ),
    Fault(
        "nat-hairpin-rule-missing",
        lines("iptables -t nat -D POSTROUTING -s <web> -d <web> -p tcp -m tcp --dport 80 -j MASQUERADE"),
        lambda host: published(host) and not container_to_container(host, "web", f"{HOST_ADDRESS}:{PUBLISHED_PORT}"),
        named("container", "web"),
        daemon_args=("--userland-proxy=false",),
        on=("nft", "legacy", "28.5"),
        variant="own-port",
    ),
    Fault(
        "nat-source-ip-hidden-by-proxy",
        _have_ipv6,
        lambda host: _ipv6_client_address_seen(host) == _gateway_of(host, "front"),
        named("container", "web"),
        on=("nft", "28.5"),
        cleanup=_have_no_ipv6,
    ),
)

NEAR_MISSES = (
    NearMiss(  # an internal network, one that shall not be masqueraded, one that a broader rule covers
        "nat-masquerade-missing",
        lines(
            "docker network create --internal inside",
            "docker network create -o com.docker.network.bridge.enable_ip_masquerade=false plain",
            "iptables -t nat -D POSTROUTING -s <back_subnet> ! -o <back> -j MASQUERADE",
            "iptables -t nat -A POSTROUTING -s 172.16.0.0/12 -o eth0 -j MASQUERADE",
        ),
        lines(
            "iptables -t nat -D POSTROUTING -s 172.16.0.0/12 -o eth0 -j MASQUERADE",
            "iptables -t nat -I POSTROUTING -s <back_subnet> ! -o <back> -j MASQUERADE",
            "docker network rm inside plain",
        ),
    ),
    NearMiss(  # exposed but not published; published on one address; a range; udp; on the host's network
        "nat-dnat-missing",
        lines(
            run("exposed", "--network back --expose 90"),
            run("bound", "--network back -p 127.0.0.1:8081:81 -p 203.0.113.10:8082:82/udp"),
            run("range", "-p 8090-8092:90-92"),
            run("onhost", "--network host -p 8083:83"),
            # what is for the host only is kept from its neighbours, as Docker 28 does
            *(f"iptables -t raw -I PREROUTING -i eth0 -d {each} -j DROP" for each in ("<back_subnet>", "127.0.0.0/8")),
        ),
        lines(
            "docker rm -f exposed bound range onhost",
            "nft delete table ip raw 2>/dev/null || iptables -t raw -F PREROUTING",
        ),
    ),
    NearMiss(  # an administrator's own DNAT, outside of Docker's chain
        "nat-dnat-stale",
        lines("iptables -t nat -A PREROUTING -p tcp --dport 422 -j DNAT --to-destination 198.51.100.7:22"),
        lines("iptables -t nat -D PREROUTING -p tcp --dport 422 -j DNAT --to-destination 198.51.100.7:22"),
    ),
    NearMiss(  # the jump goes through another chain
        "nat-docker-jump-missing",
        lines(
            "iptables -t nat -N SITE",
            "iptables -t nat -A SITE -m addrtype --dst-type LOCAL -j DOCKER",
            "iptables -t nat -A PREROUTING -j SITE",
            "iptables -t nat -D PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
        ),
        lines(
            "iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
            "iptables -t nat -D PREROUTING -j SITE",
            "iptables -t nat -F SITE",
            "iptables -t nat -X SITE",
        ),
    ),
    NearMiss(  # rules for other addresses, interfaces and clients, and the engine's own for containers
        "nat-dnat-shadowed",
        lines(
            "iptables -t nat -I PREROUTING -d 203.0.113.11 -p tcp --dport 8080 -j DNAT --to-destination 192.0.2.7:80",
            "iptables -t nat -I PREROUTING -i wlan0 -p tcp --dport 8080 -j REDIRECT --to-ports 3128",
            "iptables -t nat -I PREROUTING -s 192.0.2.0/24 -p tcp --dport 8080 -j ACCEPT",
            "iptables -t nat -A PREROUTING -p tcp --dport 8080 -j REDIRECT --to-ports 3128",
        ),
        lines(
            "iptables -t nat -D PREROUTING -d 203.0.113.11 -p tcp --dport 8080 -j DNAT --to-destination 192.0.2.7:80",
            "iptables -t nat -D PREROUTING -i wlan0 -p tcp --dport 8080 -j REDIRECT --to-ports 3128",
            "iptables -t nat -D PREROUTING -s 192.0.2.0/24 -p tcp --dport 8080 -j ACCEPT",
            "iptables -t nat -D PREROUTING -p tcp --dport 8080 -j REDIRECT --to-ports 3128",
        ),
        on=("nft", "28.5"),
    ),
    NearMiss(  # a VPN's exception for its destinations; a chain that returns; a chain for other sources
        "nat-masquerade-shadowed",
        lines(
            "iptables -t nat -N VPN",
            "iptables -t nat -A VPN -d 10.0.0.0/8 -j ACCEPT",
            "iptables -t nat -A VPN -j RETURN",
            "iptables -t nat -I POSTROUTING -s 172.16.0.0/12 -j VPN",
            "iptables -t nat -I POSTROUTING -s 192.168.0.0/16 -j ACCEPT",
        ),
        lines(
            "iptables -t nat -D POSTROUTING -s 192.168.0.0/16 -j ACCEPT",
            "iptables -t nat -D POSTROUTING -s 172.16.0.0/12 -j VPN",
            "iptables -t nat -F VPN",
            "iptables -t nat -X VPN",
        ),
        on=("nft", "28.5"),
    ),
    NearMiss(  # the router's own masquerading of a LAN, and that of VPN clients who have no way back
        "nat-masquerade-too-broad",
        lines(
            "iptables -t nat -A POSTROUTING -o eth0 -j MASQUERADE",
            "iptables -t nat -A POSTROUTING -s 10.8.0.0/24 -o <front> -j MASQUERADE",
        ),
        lines(
            "iptables -t nat -D POSTROUTING -o eth0 -j MASQUERADE",
            "iptables -t nat -D POSTROUTING -s 10.8.0.0/24 -o <front> -j MASQUERADE",
        ),
        on=("nft", "28.5"),
    ),
    NearMiss(  # somebody else's rules, and an own bridge that comes later
        "nat-masquerade-stale-subnet",
        lines(
            "iptables -t nat -A POSTROUTING -s 192.168.122.0/24 ! -d 192.168.122.0/24 -j MASQUERADE",
            "iptables -t nat -A POSTROUTING -s 10.8.0.0/24 ! -o virbr9 -j MASQUERADE",
        ),
        lines(
            "iptables -t nat -D POSTROUTING -s 192.168.122.0/24 ! -d 192.168.122.0/24 -j MASQUERADE",
            "iptables -t nat -D POSTROUTING -s 10.8.0.0/24 ! -o virbr9 -j MASQUERADE",
        ),
        on=("nft", "28.5"),
    ),
    NearMiss(  # one of the host's addresses, a range with one of them, another network's
        "nat-snat-hostip-gone",
        lines(
            "iptables -t nat -I POSTROUTING -s <front_subnet> -o eth0 -j SNAT --to-source 203.0.113.10",
            "iptables -t nat -I POSTROUTING -s <back_subnet> -o eth0 -j SNAT --to-source 203.0.113.10-203.0.113.12",
            "iptables -t nat -I POSTROUTING -s 10.8.0.0/24 -o eth0 -j SNAT --to-source 203.0.113.99",
        ),
        lines(
            "iptables -t nat -D POSTROUTING -s <front_subnet> -o eth0 -j SNAT --to-source 203.0.113.10",
            "iptables -t nat -D POSTROUTING -s <back_subnet> -o eth0 -j SNAT --to-source 203.0.113.10-203.0.113.12",
            "iptables -t nat -D POSTROUTING -s 10.8.0.0/24 -o eth0 -j SNAT --to-source 203.0.113.99",
        ),
    ),
    NearMiss(  # the other backend has empty tables, and rules for other traffic
        "nat-legacy-nft-split",
        lines(
            "iptables-legacy -L",
            "iptables-legacy -t nat -L",
            "iptables-legacy -A FORWARD -s 192.0.2.0/24 -j DROP",
            "iptables-legacy -A INPUT -p tcp --dport 9999 -j DROP",
        ),
        lines(
            "iptables-legacy -D FORWARD -s 192.0.2.0/24 -j DROP",
            "iptables-legacy -D INPUT -p tcp --dport 9999 -j DROP",
        ),
        on=("nft", "28.5"),
    ),
    NearMiss(  # what only nft can write, in a table of its own
        "nat-table-unavailable",
        lines(
            "nft add table ip site",
            "nft add chain ip site post '{ type nat hook postrouting priority 110; }'",
            "nft add rule ip site post ip saddr '{ 10.1.0.0/16, 10.3.0.0/16 }' oifname eth0 masquerade",
        ),
        lines("nft delete table ip site"),
        on=("nft", "28.5"),
    ),
    NearMiss(  # a broader rule does the same; without a published port nobody needs it
        "nat-hairpin-rule-missing",
        lines(
            "iptables -t nat -A POSTROUTING -s <front_subnet> -d <front_subnet> -j MASQUERADE",
            "iptables -t nat -D POSTROUTING -s <web> -d <web> -p tcp -m tcp --dport 80 -j MASQUERADE",
            "iptables -t nat -D POSTROUTING -o <back> -m addrtype --src-type LOCAL -j MASQUERADE",
        ),
        lines(
            "iptables -t nat -D POSTROUTING -s <front_subnet> -d <front_subnet> -j MASQUERADE",
            "iptables -t nat -A POSTROUTING -s <web> -d <web> -p tcp -m tcp --dport 80 -j MASQUERADE",
            "iptables -t nat -A POSTROUTING -o <back> -m addrtype --src-type LOCAL -j MASQUERADE",
        ),
        daemon_args=("--userland-proxy=false",),
        on=("nft", "28.5"),
    ),
    NearMiss(  # IPv6 clients may come, but not to this port
        "nat-source-ip-hidden-by-proxy",
        lambda host: (_have_ipv6(host), host.shell("ip6tables -I INPUT -i eth0 -p tcp -m tcp --dport 8080 -j DROP")),
        _have_no_ipv6,
        on=("nft", "28.5"),
    ),
)
