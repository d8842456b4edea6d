"""Faults that a trace shows: what no listing of the host's state tells, as the state is right or the cause elsewhere.

Each is traced by the collector while a command runs that hits it.
"""

import shlex
from collections.abc import Callable

from lab import DockerHost

from faults._kit import Fault, NearMiss, bridge, lines, named, succeeds

_IN_WEB, _IN_APP, _IN_DB = (f"nsenter -t <{name}_pid> -n" for name in ("web", "app", "db"))
_OUTSIDE = "198.51.100.7"

#: Sends UDP datagrams of 1,400 octets as fast as it can: how many, to where.
_BURST = shlex.join(
    [
        "python3",
        "-c",
        "import socket, sys; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "for _ in range(int(sys.argv[1])): s.sendto(bytes(1372), (sys.argv[2], 9))",
    ]
)


def _traced(*commands: str) -> tuple[str, str]:
    """The collector's options for tracing while these shell lines run, whatever becomes of them."""
    return "--trace-command", f"sh -c {shlex.quote('; '.join((*commands, 'true')))}"


_BIG_PINGS = f"{_IN_WEB} ping -n -c3 -i0.2 -W1 -s 600 {_OUTSIDE}"
_NO_BIG_PINGS = "FORWARD -i <front> -p icmp -m length --length 500:65535 -j DROP"

#: Holds a tun device and never reads from it, as a VPN program that hangs.
_HANGING = shlex.join(
    [
        "python3",
        "-c",
        "import fcntl, os, struct, time\n"
        "tun = os.open('/dev/net/tun', os.O_RDWR)\n"
        "fcntl.ioctl(tun, 0x400454CA, struct.pack('16sH22s', b'tun9', 0x1001, b''))\n"
        "time.sleep(1000)",
    ]
)


def _counts_up(device: str, counter: str, least: int, command: str) -> Callable[[DockerHost], bool]:
    """Whether a counter of a device grows by so much while a command runs."""
    read = f"cat /sys/class/net/{device}/statistics/{counter} 2>/dev/null || echo 0"
    return succeeds(f"before=$({read}); {command}; after=$({read}); [ $((after - before)) -ge {least} ]")


def _veth_of_web(host: DockerHost) -> tuple[str, str]:
    return "interface", host.veth("web", "front")


FAULTS = (
    Fault(
        check="trace-drop-netfilter",
        inject=lines(f"iptables -I {_NO_BIG_PINGS}"),
        hurts=lambda host: not succeeds(f"{_BIG_PINGS} | grep -q ' 3 received'")(host),
        subject=bridge("front"),
        options=_traced(_BIG_PINGS),
    ),
    Fault(
        check="trace-drop-reason-map",
        inject=lines(
            "sysctl -w net.ipv4.conf.<front>.rp_filter=1",
            f"{_IN_WEB} ip addr add 10.99.0.5/32 dev eth0",
        ),
        hurts=lambda host: not succeeds(f"{_IN_WEB} ping -n -c1 -W1 -I 10.99.0.5 172.18.0.1")(host),
        subject=bridge("front"),
        options=_traced(f"{_IN_WEB} ping -n -c3 -i0.2 -W1 -I 10.99.0.5 172.18.0.1"),
        instead=lines("ip route add 10.99.0.5/32 dev <front>"),
        cleanup=lines(
            "ip route del 10.99.0.5/32 dev <front>",
            f"{_IN_WEB} ip addr del 10.99.0.5/32 dev eth0",
            "sysctl -w net.ipv4.conf.<front>.rp_filter=0",
        ),
    ),
    Fault(
        check="trace-lost-events",
        inject=lines("true"),
        hurts=lambda _: True,
        subject=named("bundle", "trace/perf-script.txt"),
        # the kernel tells of a loss with the first event for which there is room again
        options=_traced(
            "kill -STOP $(pidof perf)",
            "ping -q -f -c4000 <web>",
            "kill -CONT $(pidof perf)",
            "sleep 0.5",
            "ping -q -c4 -i0.2 <web>",
        ),
        by_design=True,
    ),
    Fault(
        check="trace-queued-not-xmitted",
        inject=lines("tc qdisc add dev <web_veth> root tbf rate 80kbit burst 1540 limit 3000"),
        hurts=succeeds("! ping -q -f -c8 -W1 -s 1400 <web> | grep -q ' 8 received'"),
        subject=_veth_of_web,
        options=_traced(f"{_BURST} 8 <web>", "sleep 1"),
    ),
    Fault(
        check="trace-xmit-rc-nonzero",
        inject=lines(
            f"setsid {_HANGING} >/dev/null 2>&1 & echo $! >/run/vpn.pid; sleep 1",
            "ip addr add 10.98.0.1/24 dev tun9; ip link set tun9 up txqueuelen 2",
            "ping -c4 -i0.02 -W1 10.98.0.2 || true",
        ),
        hurts=_counts_up("tun9", "tx_dropped", 1, "ping -c1 -W1 10.98.0.2"),
        subject=named("interface", "tun9"),
        options=_traced("ping -n -c3 -i0.2 -W1 10.98.0.2"),
        instead=lines("kill $(cat /run/vpn.pid); rm /run/vpn.pid"),
    ),
    Fault(
        check="trace-one-way",
        inject=lines(f"{_IN_WEB} iptables -A OUTPUT -p tcp --sport 80 -j DROP"),
        hurts=lambda host: not succeeds("curl -s -m 2 http://<web>/")(host),
        subject=named("container", "web"),
        options=_traced("curl -s -m 2 http://<web>/"),
        instead=lines(f"{_IN_WEB} nft delete table ip filter"),
    ),
    Fault(
        check="trace-loop",
        inject=lines("ip route add 10.99.0.0/16 via <app>", f"{_IN_APP} sysctl -w net.ipv4.ip_forward=1"),
        hurts=_counts_up("<back>", "tx_packets", 16, f"{_IN_DB} ping -c1 -W1 10.99.0.1"),
        subject=named("network", "back"),
        options=_traced(f"{_IN_DB} ping -n -c2 -i0.2 -W1 10.99.0.1"),
        instead=lines("ip route del 10.99.0.0/16 via <app>", f"{_IN_APP} sysctl -w net.ipv4.ip_forward=0"),
    ),
    Fault(
        check="trace-hop-latency",
        inject=lines("tc qdisc add dev <web_veth> root tbf rate 400kbit burst 1540 limit 100000"),
        hurts=succeeds("ping -c4 -i0.01 -s 1400 <web> | grep -q 'time=[1-9][0-9]'"),
        subject=_veth_of_web,
        options=_traced(f"{_BURST} 10 <web>", "sleep 1"),
        instead=lines("tc qdisc del dev <web_veth> root"),
    ),
    Fault(
        check="trace-gso-fragmentation",
        inject=lines("true"),
        hurts=lambda _: True,
        subject=named("container", "web"),
        options=_traced("ping -n -c1 -s 3500 <web>"),
        by_design=True,
    ),
    Fault(
        check="trace-tcp-retransmit-reset",
        inject=lambda host: host.wan(["iptables", "-A", "INPUT", "-p", "tcp", "--dport", "81", "-j", "DROP"]),
        hurts=lambda host: not succeeds(f"{_IN_WEB} curl -s -m 2 http://{_OUTSIDE}:81/ || [ $? = 7 ]")(host),
        subject=named("address", _OUTSIDE),
        options=_traced(f"{_IN_WEB} curl -s -m 4 http://{_OUTSIDE}:81/"),
        instead=lambda host: host.wan(["iptables", "-D", "INPUT", "-p", "tcp", "--dport", "81", "-j", "DROP"]),
    ),
)

_LISTENING = shlex.join(
    [
        "python3",
        "-c",
        "import socket\n"
        "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 514))\n"
        "while True: s.recv(2048)",
    ]
)
_READING = _HANGING.replace("time.sleep(1000)", "while True: os.read(tun, 65536)")
_PING = "ping -n -c3 -i0.1 <web>"


def _near_miss(check: str, *commands: str, make: str = "true", undo: str = "true") -> NearMiss:
    return NearMiss(check, lines(make), lines(undo), options=_traced(*commands))


NEAR_MISSES = (
    # the rule is there, and nothing of what it drops
    _near_miss(
        "trace-drop-netfilter",
        f"{_IN_WEB} ping -n -c3 -i0.2 {_OUTSIDE}",
        "curl -s http://<web>:81/",
        make=f"iptables -I {_NO_BIG_PINGS}",
        undo=f"iptables -D {_NO_BIG_PINGS}",
    ),
    # nobody listens there
    _near_miss("trace-drop-reason-map", "curl -s http://<web>:81/", f"{_BURST} 1 <web>", _PING),
    _near_miss("trace-lost-events", _PING),
    # a shaper that shapes
    _near_miss(
        "trace-queued-not-xmitted",
        _PING,
        make="tc qdisc add dev <web_veth> root tbf rate 10mbit burst 15400 limit 100000",
        undo="tc qdisc del dev <web_veth> root",
    ),
    # a VPN program that reads, and from which no answer comes
    _near_miss(
        "trace-xmit-rc-nonzero",
        "ping -n -c3 -i0.2 -W1 10.98.0.2",
        make=f"setsid {_READING} >/dev/null 2>&1 & echo $! >/run/vpn.pid; sleep 1; ip addr add 10.98.0.1/24 dev tun9; "
        "ip link set tun9 up",
        undo="kill $(cat /run/vpn.pid); rm /run/vpn.pid",
    ),
    # UDP that needs no answer
    _near_miss(
        "trace-one-way",
        f"{_BURST.replace(', 9)', ', 514)')} 3 <web>",
        "sleep 1.5",
        make=f"setsid {_IN_WEB} {_LISTENING} >/dev/null 2>&1 & echo $! >/run/log.pid; sleep 1",
        undo="kill $(cat /run/log.pid); rm /run/log.pid",
    ),
    # what traceroute does
    _near_miss("trace-loop", f"{_IN_WEB} ping -n -c3 -i0.2 -W1 -t1 {_OUTSIDE}"),
    _near_miss(
        "trace-hop-latency",
        "ping -n -c10 -i0.02 -s 1000 <web>",
        make="tc qdisc add dev <web_veth> root tbf rate 100mbit burst 15400 limit 100000",
        undo="tc qdisc del dev <web_veth> root",
    ),
    # each is answered with a reset
    _near_miss("trace-tcp-retransmit-reset", *("curl -s http://<web>:81/",) * 3),
    _near_miss("trace-no-container-side", _PING),
    # the longest that needs no pieces
    _near_miss("trace-gso-fragmentation", "ping -n -c3 -i0.2 -s 1472 <web>"),
    _near_miss("trace-tx-timeout", _PING),
    _near_miss("trace-napi-budget", _PING),
)
