"""Faults of address translation."""

from lab import PUBLISHED_PORT, ROUTER_ADDRESS, DockerHost, client_address_seen, egress, published

from faults._kit import Fault, NearMiss, lines, named, network, run, succeeds


def _sees_proxy(host: DockerHost) -> bool:
    """The container sees another client than the one that asked: docker-proxy answers in place of the DNAT rule."""
    return client_address_seen(host) != ROUTER_ADDRESS


FAULTS = (
    Fault(
        "nat-masquerade-missing",
        lines("iptables -t nat -D POSTROUTING -s <front_subnet> ! -o <front> -j MASQUERADE"),
        lambda host: not egress(host, "web"),
        network("front"),
        on=("nft", "legacy"),
    ),
    Fault(
        "nat-dnat-missing",
        lines("iptables -t nat -D DOCKER ! -i <front> -p tcp -m tcp --dport 8080 -j DNAT --to-destination <web>:80"),
        _sees_proxy,
        lambda _: ("port", f"{PUBLISHED_PORT}/tcp"),
        on=("nft", "legacy"),
    ),
    Fault(  # without the proxy nothing answers in its place
        "nat-dnat-missing",
        lines("iptables -t nat -D DOCKER -p tcp -m tcp --dport 8080 -j DNAT --to-destination <web>:80"),
        lambda host: not published(host),
        lambda _: ("port", f"{PUBLISHED_PORT}/tcp"),
        daemon_args=("--userland-proxy=false",),
        on=("nft", "legacy"),
    ),
    Fault(
        "nat-dnat-stale",
        lines(
            "iptables -t nat -A DOCKER ! -i docker0 -p tcp -m tcp --dport 9090 -j DNAT --to-destination 172.17.0.250:80"
        ),
        succeeds("iptables -t nat -S DOCKER | grep -q 172.17.0.250 && ! ping -c1 -W1 172.17.0.250"),
        named("port", "9090/tcp"),
        on=("nft", "legacy"),
    ),
    Fault(
        "nat-docker-jump-missing",
        lines("iptables -t nat -D PREROUTING -m addrtype --dst-type LOCAL -j DOCKER"),
        _sees_proxy,
        named("chain", "nat PREROUTING"),
        on=("nft", "legacy"),
    ),
    Fault(
        "nat-docker-jump-missing",
        lines("iptables -t nat -D PREROUTING -m addrtype --dst-type LOCAL -j DOCKER"),
        lambda host: not published(host),
        named("chain", "nat PREROUTING"),
        daemon_args=("--userland-proxy=false",),
        on=("nft", "legacy"),
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
        on=("nft", "legacy"),
    ),
    NearMiss(  # exposed but not published; published on one address; a range; udp; on the host's network
        "nat-dnat-missing",
        lines(
            run("exposed", "--network back --expose 90"),
            run("bound", "--network back -p 127.0.0.1:8081:81 -p 203.0.113.10:8082:82/udp"),
            run("range", "-p 8090-8092:90-92"),
            run("onhost", "--network host -p 8083:83"),
        ),
        lines("docker rm -f exposed bound range onhost"),
        on=("nft", "legacy"),
    ),
    NearMiss(  # an administrator's own DNAT, outside of Docker's chain
        "nat-dnat-stale",
        lines("iptables -t nat -A PREROUTING -p tcp --dport 422 -j DNAT --to-destination 198.51.100.7:22"),
        lines("iptables -t nat -D PREROUTING -p tcp --dport 422 -j DNAT --to-destination 198.51.100.7:22"),
        on=("nft", "legacy"),
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
        on=("nft", "legacy"),
    ),
)
