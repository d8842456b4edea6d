"""Faults of filter rules."""

from lab import egress, published

from faults._kit import Fault, NearMiss, lines, named

FAULTS = (
    Fault(
        "filter-docker-chains-missing",
        lines("iptables -F"),
        lambda host: not egress(host, "web"),
        named("chain", "filter DOCKER-ISOLATION-STAGE-1"),
        on=("nft", "legacy"),
    ),
    Fault(
        "filter-docker-user-drop",
        lines("iptables -I DOCKER-USER -i eth0 -p tcp -m conntrack --ctorigdstport 8080 -j DROP"),
        lambda host: not published(host),
        named("container", "web"),
        on=("nft", "legacy"),
    ),
)

NEAR_MISSES = (
    NearMiss(  # chain DOCKER is empty because nothing is published, and that is right
        "filter-docker-chains-missing",
        lines("docker stop web"),
        lines("docker start web"),
        on=("nft", "legacy"),
    ),
    NearMiss(  # a rule for the host's port, which DNAT has changed by then; one for another interface
        "filter-docker-user-drop",
        lines(
            "iptables -I DOCKER-USER -p tcp --dport 8080 -j DROP",
            "iptables -I DOCKER-USER -i wlan0 -j DROP",
        ),
        lines(
            "iptables -D DOCKER-USER -p tcp --dport 8080 -j DROP",
            "iptables -D DOCKER-USER -i wlan0 -j DROP",
        ),
        on=("nft", "legacy"),
    ),
)
