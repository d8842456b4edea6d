"""Faults of kernel settings."""

from lab import egress

from faults._kit import Fault, NearMiss, lines, named

FAULTS = (
    Fault(
        "sysctl-ip-forward-off",
        lines("sysctl -w net.ipv4.ip_forward=0"),
        lambda host: not egress(host, "web"),
        named("sysctl", "net.ipv4.ip_forward"),
        on=("nft", "legacy"),
    ),
)

NEAR_MISSES = (
    NearMiss(  # forwarding is off for IPv6, and for one unused interface
        "sysctl-ip-forward-off",
        lines("sysctl -w net.ipv4.conf.lo.forwarding=0", "sysctl -w net.ipv6.conf.all.forwarding=0"),
        lines("sysctl -w net.ipv4.conf.lo.forwarding=1"),
        on=("nft", "legacy"),
    ),
)
