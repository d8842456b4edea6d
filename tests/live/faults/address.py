"""Faults of addresses."""

from lab import DockerHost, egress

from faults._kit import Fault, NearMiss, bridge, lines, named, run


def _both_have_the_address(host: DockerHost) -> bool:
    address = host.address("app", "back")
    shown = [host.container(name, ["ip", "-4", "addr", "show"]).stdout for name in ("app", "db")]
    return all(f"inet {address}/" in text for text in shown)


def _record_a_stale_mac(host: DockerHost) -> None:
    """What a daemon that died at the wrong moment leaves: another address's MAC in the container's stored record."""
    record = host.inspect("db")[0]
    actual, stale = record["NetworkSettings"]["Networks"]["back"]["MacAddress"], "02:42:ac:14:00:02"
    host.shell("systemctl stop docker")
    host.shell(f"sed -i 's/{actual}/{stale}/g' /var/lib/docker/containers/{record['Id']}/config.v2.json")
    host.shell("systemctl start docker")


def _mac_contradicts_address(host: DockerHost) -> bool:
    endpoint = host.inspect("db")[0]["NetworkSettings"]["Networks"]["back"]
    derived = "02:42:" + ":".join(f"{int(byte):02x}" for byte in endpoint["IPAddress"].split("."))
    return endpoint["MacAddress"] != derived


FAULTS = (
    Fault(
        "address-bridge-ip-missing",
        lines("ip addr flush dev <front> scope global"),
        lambda host: not egress(host, "web"),
        bridge("front"),
        on=("nft", "legacy"),
    ),
    Fault(
        "address-duplicate-ip",
        lines("nsenter -t <db_pid> -n ip addr add <app>/16 dev eth0"),
        _both_have_the_address,
        named("container", "db"),
        on=("nft", "legacy"),
    ),
    Fault(
        "address-mac-ip-mismatch",
        _record_a_stale_mac,
        _mac_contradicts_address,
        named("container", "db"),
        daemon_args=("--live-restore",),
        on=("nft", "legacy"),
    ),
)

NEAR_MISSES = (
    NearMiss(  # a bridge that shall have no address
        "address-bridge-ip-missing",
        lines("docker network create -o com.docker.network.bridge.inhibit_ipv4=true bare"),
        lines("docker network rm bare"),
        on=("nft", "legacy"),
    ),
    NearMiss(  # one virtual address in two containers, on their loopback interfaces
        "address-duplicate-ip",
        lines(
            "nsenter -t <web_pid> -n ip addr add 10.9.9.9/32 dev lo",
            "nsenter -t <db_pid> -n ip addr add 10.9.9.9/32 dev lo",
        ),
        lines(
            "nsenter -t <web_pid> -n ip addr del 10.9.9.9/32 dev lo",
            "nsenter -t <db_pid> -n ip addr del 10.9.9.9/32 dev lo",
        ),
        on=("nft", "legacy"),
    ),
    NearMiss(  # the user asked for a MAC address
        "address-mac-ip-mismatch",
        lines(run("chosen", "--mac-address 02:42:ac:63:00:09")),
        lines("docker rm -f chosen"),
        on=("nft", "legacy"),
    ),
)
