"""Other software on the host: virtual machines, other containers, VPNs, Kubernetes, routing."""

import shlex
from pathlib import Path

from faults._kit import lines, run, succeeds

from healthy._kit import Healthy, all_of, answers, nft, reaches_outside, serve, steps, workload_works

_LIBVIRT = (Path(__file__).parents[1] / "rulesets" / "libvirt.nft").read_text(encoding="utf-8")
_VIRBR0 = (
    "ip link add virbr0 type bridge && ip addr add 192.168.122.1/24 dev virbr0 && ip link set virbr0 up",
    "ip tuntap add dev vnet0 mode tap && ip link set vnet0 master virbr0 up",
)
_LXCBR0 = (
    "ip link add lxcbr0 type bridge && ip addr add 10.0.3.1/24 dev lxcbr0 && ip link set lxcbr0 up",
    "ip netns add guest",
    "ip link add veth1001_0 type veth peer name eth0 netns guest",
    "ip link set veth1001_0 master lxcbr0 up",
    "ip -n guest addr add 10.0.3.7/24 dev eth0 && ip -n guest link set eth0 up",
    "ip -n guest route add default via 10.0.3.1",
)

#: Stands for systemd-resolved, whose stub listens here.
_STUB = """
import socket, time
stub = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
stub.bind(("127.0.0.53", 53))
time.sleep(1000)
"""

STATES = (
    Healthy(
        "libvirt-with-iptables",
        lines(
            *_VIRBR0,
            "for c in FWI FWO FWX INP OUT; do iptables -N LIBVIRT_$c; done",
            "iptables -t nat -N LIBVIRT_PRT && iptables -t nat -A POSTROUTING -j LIBVIRT_PRT",
            "for c in FWX FWI FWO; do iptables -I FORWARD -j LIBVIRT_$c; done",
            "iptables -I INPUT -j LIBVIRT_INP && iptables -I OUTPUT -j LIBVIRT_OUT",
            "iptables -A LIBVIRT_FWI -d 192.168.122.0/24 -o virbr0 -m conntrack --ctstate ESTABLISHED -j ACCEPT",
            "iptables -A LIBVIRT_FWI -o virbr0 -j REJECT",
            "iptables -A LIBVIRT_FWO -s 192.168.122.0/24 -i virbr0 -j ACCEPT",
            "iptables -A LIBVIRT_FWO -i virbr0 -j REJECT",
            "iptables -A LIBVIRT_FWX -i virbr0 -o virbr0 -j ACCEPT",
            "iptables -A LIBVIRT_INP -i virbr0 -p udp -m udp --dport 53 -j ACCEPT",
            "iptables -A LIBVIRT_INP -i virbr0 -p udp -m udp --dport 67 -j ACCEPT",
            "iptables -t nat -A LIBVIRT_PRT -s 192.168.122.0/24 -d 224.0.0.0/24 -j RETURN",
            "iptables -t nat -A LIBVIRT_PRT -s 192.168.122.0/24 ! -d 192.168.122.0/24 -j MASQUERADE",
        ),
        all_of(workload_works, answers("bridge link", "virbr0")),
        on=("nft", "legacy", "28.5"),
    ),
    Healthy(
        "libvirt-with-nftables",
        steps(
            lines(
                *_VIRBR0,
                # libvirt's own accept is in another table, and Docker's policy DROP comes all the same
                "iptables -I DOCKER-USER -i virbr0 -j ACCEPT && iptables -I DOCKER-USER -o virbr0 -j ACCEPT",
            ),
            nft(_LIBVIRT),
        ),
        all_of(workload_works, answers("nft list tables", "libvirt_network")),
    ),
    Healthy(
        "lxc-with-a-guest",
        lines(
            *_LXCBR0,
            "iptables -t nat -A POSTROUTING -s 10.0.3.0/24 ! -d 10.0.3.0/24 -j MASQUERADE",
            "iptables -I FORWARD -i lxcbr0 -j ACCEPT && iptables -I FORWARD -o lxcbr0 -j ACCEPT",
        ),
        all_of(workload_works, succeeds("ip netns exec guest curl -sf -m 2 http://198.51.100.7/")),
        on=("nft", "28.5"),
    ),
    Healthy(
        "openvpn-with-routes",
        lines(
            "ip tuntap add dev tun0 mode tun && ip addr add 10.8.0.6 peer 10.8.0.5 dev tun0 && ip link set tun0 up",
            "ip route add 10.8.0.1 via 10.8.0.5 && ip route add 10.20.0.0/16 via 10.8.0.5",
            "iptables -I FORWARD -i tun0 -o eth0 -j ACCEPT",
        ),
        all_of(workload_works, answers("ip route", "10.20.0.0/16 via 10.8.0.5")),
        on=("nft", "28.5"),
    ),
    Healthy(
        "wireguard-with-policy-rules",  # a tunnel with a table of its own, for what is behind it
        lines(
            "ip tuntap add dev wg0 mode tun && ip addr add 10.9.0.2/32 dev wg0 && ip link set mtu 1420 up dev wg0",
            "ip route add default dev wg0 table 51820",
            "ip rule add to 10.9.0.0/16 table 51820",
            "ip rule add table main suppress_prefixlength 0",
        ),
        all_of(workload_works, answers("ip rule", "suppress_prefixlength 0")),
    ),
    Healthy(
        "second-uplink-with-a-table-of-its-own",
        lines(
            "ip link add eth1 type veth peer name far1 && ip addr add 192.0.2.10/24 dev eth1",
            "ip link set eth1 up && ip link set far1 up",
            "ip route add default via 192.0.2.1 dev eth1 metric 200",
            "ip route add 192.0.2.0/24 dev eth1 table 100 && ip route add default via 192.0.2.1 dev eth1 table 100",
            "ip rule add from 192.0.2.10 lookup 100",
            # what containers answer is translated after its way is chosen, so it needs a mark
            "iptables -t mangle -A PREROUTING -i eth1 -m conntrack --ctstate NEW -j CONNMARK --set-mark 2",
            "iptables -t mangle -A PREROUTING ! -i eth1 -j CONNMARK --restore-mark",
            "ip rule add fwmark 2 lookup 100",
        ),
        all_of(workload_works, answers("ip rule", "lookup 100")),
    ),
    Healthy(
        "keepalived-with-a-virtual-address",
        lines("ip addr add 203.0.113.20/32 dev eth0", "ip addr add 192.0.2.53/32 dev lo"),
        workload_works,
    ),
    Healthy(
        "kubernetes-node",
        lines(
            "ip link add cni0 type bridge && ip addr add 10.244.0.1/24 dev cni0 && ip link set cni0 up",
            "ip link add flannel.1 type vxlan id 1 local 203.0.113.10 dev eth0 dstport 8472 nolearning",
            "ip addr add 10.244.0.0/32 dev flannel.1 && ip link set flannel.1 up",
            "ip netns add cni-0a1b2c3d",
            "ip link add veth5d6e7f80 type veth peer name eth0 netns cni-0a1b2c3d",
            "ip link set veth5d6e7f80 master cni0 up && bridge link set dev veth5d6e7f80 hairpin on",
            "ip -n cni-0a1b2c3d addr add 10.244.0.7/24 dev eth0 && ip -n cni-0a1b2c3d link set eth0 up",
            "for c in SERVICES POSTROUTING MARK-MASQ SVC-ABC SEP-ABC; do iptables -t nat -N KUBE-$c; done",
            "iptables -t nat -I PREROUTING -j KUBE-SERVICES && iptables -t nat -I OUTPUT -j KUBE-SERVICES",
            "iptables -t nat -I POSTROUTING -j KUBE-POSTROUTING",
            "iptables -t nat -A KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j KUBE-SVC-ABC",
            "iptables -t nat -A KUBE-SVC-ABC ! -s 10.244.0.0/16 -d 10.96.0.1/32 -p tcp --dport 443 -j KUBE-MARK-MASQ",
            "iptables -t nat -A KUBE-SVC-ABC -j KUBE-SEP-ABC",
            "iptables -t nat -A KUBE-SEP-ABC -p tcp -m tcp -j DNAT --to-destination 203.0.113.10:6443",
            "iptables -t nat -A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000",
            "iptables -t nat -A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
            "iptables -t nat -A KUBE-POSTROUTING -j MASQUERADE",
            "iptables -N KUBE-FORWARD && iptables -I FORWARD -j KUBE-FORWARD",
            "iptables -A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT",
            "iptables -A FORWARD -s 10.244.0.0/16 -j ACCEPT && iptables -A FORWARD -d 10.244.0.0/16 -j ACCEPT",
        ),
        all_of(workload_works, answers("bridge link", "cni0")),
        may_ask=("the conditions of the rule",),  # of marks, which many rules set
    ),
    Healthy(
        "bridge-of-the-administrator",
        lines(
            "ip link add br-lan type bridge && ip addr add 192.168.50.1/24 dev br-lan && ip link set br-lan up",
            "ip link add port1 type veth peer name port2 && ip link set port1 master br-lan up && ip link set port2 up",
        ),
        workload_works,
    ),
    Healthy(
        "names-by-systemd-resolved",  # the engine's resolver asks the stub, containers without it the servers behind it
        lines(
            "mkdir -p /run/systemd/resolve && echo 'nameserver 198.51.100.7' >/run/systemd/resolve/resolv.conf",
            "printf 'nameserver 127.0.0.53\\noptions edns0 trust-ad\\nsearch .\\n' >/etc/resolv.conf",
            f"setsid python3 -c {shlex.quote(_STUB)} >/dev/null 2>&1 </dev/null &",
            "systemctl restart docker",  # it looks once which of the files to read
            serve("named", "--network front"),
            serve("plain", ""),
        ),
        all_of(
            workload_works, reaches_outside("named"), answers("docker exec plain cat /etc/resolv.conf", "198.51.100.7")
        ),
        on=("nft", "28.5"),
    ),
    Healthy(
        "another-engine-s-namespaces",
        lines(
            "ip link add podman0 type bridge && ip addr add 10.88.0.1/16 dev podman0 && ip link set podman0 up",
            "ip netns add netns-0a1b2c3d-1111-2222-3333-444455556666",
            "ip link add veth0 type veth peer name eth0 netns netns-0a1b2c3d-1111-2222-3333-444455556666",
            "ip link set veth0 master podman0 up",
            "iptables -t nat -A POSTROUTING -s 10.88.0.0/16 ! -d 10.88.0.0/16 -j MASQUERADE",
            "iptables -I FORWARD -s 10.88.0.0/16 -j ACCEPT && iptables -I FORWARD -d 10.88.0.0/16 -j ACCEPT",
            run("beside", "--network back"),
        ),
        all_of(workload_works, reaches_outside("beside")),
    ),
)
