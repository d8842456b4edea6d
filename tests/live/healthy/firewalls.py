"""Firewalls that administrators have, and rules of their own in the engine's chains."""

from faults._kit import lines
from lab import PUBLISHED_PORT

from healthy._kit import Healthy, all_of, answers, is_published, nft, serve, workload_works

_UFW = (
    "for c in ufw-before-input ufw-after-input ufw-user-input ufw-before-forward ufw-user-forward ufw-track-output; do "
    "iptables -N $c; done",
    "iptables -A INPUT -j ufw-before-input && iptables -A INPUT -j ufw-after-input",
    "iptables -A ufw-before-input -i lo -j ACCEPT",
    "iptables -A ufw-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "iptables -A ufw-before-input -m conntrack --ctstate INVALID -j DROP",
    "iptables -A ufw-before-input -p icmp -m icmp --icmp-type 8 -j ACCEPT",
    "iptables -A ufw-before-input -j ufw-user-input",
    "iptables -A ufw-user-input -p tcp -m tcp --dport 22 -j ACCEPT",
    f"iptables -A ufw-user-input -p tcp -m tcp --dport {PUBLISHED_PORT} -j ACCEPT",
    "iptables -A ufw-user-input -i br-+ -j ACCEPT",
    "iptables -A ufw-user-input -i docker0 -j ACCEPT",
    "iptables -A ufw-after-input -p udp -m udp --dport 137 -j DROP",
    "iptables -P INPUT DROP",
    "iptables -A FORWARD -j ufw-before-forward",
    "iptables -A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
    "iptables -A ufw-before-forward -j ufw-user-forward",
    "iptables -A OUTPUT -j ufw-track-output",
    "iptables -A ufw-track-output -p tcp -m conntrack --ctstate NEW -j ACCEPT",
)
_FIREWALLD = """
table inet firewalld {
	chain filter_INPUT {
		type filter hook input priority filter + 10; policy accept;
		ct state { established, related } accept
		ct status dnat accept
		iifname "lo" accept
		ct state invalid drop
		jump filter_INPUT_ZONES
		reject with icmpx type admin-prohibited
	}
	chain filter_FORWARD {
		type filter hook forward priority filter + 10; policy accept;
		ct state { established, related } accept
		ct status dnat accept
		iifname "lo" accept
		ct state invalid drop
		jump filter_FORWARD_ZONES
		reject with icmpx type admin-prohibited
	}
	chain filter_INPUT_ZONES {
		iifname { "docker0", "<front>", "<back>" } goto filter_IN_docker
		goto filter_IN_public
	}
	chain filter_FORWARD_ZONES {
		iifname { "docker0", "<front>", "<back>" } goto filter_FWD_docker
		oifname { "docker0", "<front>", "<back>" } goto filter_FWD_docker
		goto filter_FWD_public
	}
	chain filter_IN_docker {
		accept
	}
	chain filter_FWD_docker {
		accept
	}
	chain filter_IN_public {
		tcp dport { 22, 8080 } accept
		meta l4proto { icmp, ipv6-icmp } accept
	}
	chain filter_FWD_public {
		oifname "eth0" accept
	}
	chain nat_POSTROUTING {
		type nat hook postrouting priority srcnat + 10; policy accept;
		oifname "eth0" goto nat_POST_public
	}
	chain nat_POST_public {
	}
}
"""
_NFTABLES_CONF = """
table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		ct state established,related accept
		iifname "lo" accept
		iifname "docker0" accept
		iifname "br-*" accept
		meta l4proto { icmp, ipv6-icmp } accept
		tcp dport { 22, 8080 } accept
	}
	chain forward {
		type filter hook forward priority filter; policy accept;
	}
	chain output {
		type filter hook output priority filter; policy accept;
	}
}
"""

STATES = (
    Healthy(
        "ufw-that-lets-the-published-port-in",
        lines(*_UFW),
        all_of(workload_works, answers("iptables -S INPUT", "-P INPUT DROP")),
        on=("nft", "legacy", "28.5"),
    ),
    Healthy(
        "firewalld-with-a-docker-zone",
        nft(_FIREWALLD),
        all_of(workload_works, answers("nft list tables", "inet firewalld")),
        on=("nft", "28.5"),
    ),
    Healthy(
        "nftables-conf-that-lets-the-published-port-in",
        nft(_NFTABLES_CONF),
        all_of(workload_works, answers("nft list tables", "inet filter")),
        on=("nft", "legacy", "28.5"),
    ),
    Healthy(
        "docker-user-with-a-list-of-the-banned",
        lines(
            "iptables -I DOCKER-USER -i eth0 -s 192.0.2.0/24 -j DROP",
            "iptables -I DOCKER-USER -i eth0 -s 198.18.0.66/32 -j REJECT",
            "iptables -I DOCKER-USER -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        ),
        workload_works,
        on=("nft", "legacy", "28.5"),
    ),
    Healthy(
        "docker-user-that-lets-only-the-published-port-in",
        lines(
            "iptables -I DOCKER-USER -i eth0 -j DROP",
            f"iptables -I DOCKER-USER -i eth0 -p tcp -m conntrack --ctorigdstport {PUBLISHED_PORT} -j ACCEPT",
            "iptables -I DOCKER-USER -i eth0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        ),
        all_of(workload_works, is_published()),
        on=("nft", "28.5"),
    ),
    Healthy(
        "fail2ban",
        lines(
            "iptables -N f2b-sshd && iptables -I INPUT -p tcp -m multiport --dports 22 -j f2b-sshd",
            "iptables -A f2b-sshd -s 192.0.2.66/32 -j REJECT --reject-with icmp-port-unreachable",
            "iptables -A f2b-sshd -j RETURN",
            "ipset create banned hash:ip && ipset add banned 192.0.2.67",
            "iptables -I INPUT -m set --match-set banned src -j DROP",
            serve("more", "--network front -p 8088:80"),
        ),
        all_of(workload_works, is_published(8088)),
    ),
    Healthy(
        "counting-rules-of-the-administrator",
        lines(
            "iptables -I FORWARD -i eth0 && iptables -t mangle -A PREROUTING -i eth0 -j MARK --set-xmark 0x1/0xff",
            "iptables -t mangle -A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
            "iptables -t raw -A PREROUTING -p udp --dport 514 -j CT --notrack",
        ),
        workload_works,
        on=("nft", "28.5"),
    ),
)
