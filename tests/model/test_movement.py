"""What moved between the two looks of the collector."""

from typing import Any

from netdiag.bundle import Bundle
from netdiag.model import build

WEB = "c" * 64
LINK = """2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc noqueue state UP group default qlen 1000
    link/ether 02:42:ac:12:00:02 brd ff:ff:ff:ff:ff:ff
    RX:  bytes packets errors dropped  missed   mcast
        {bytes}       9      0       {dropped}       0       0
    TX:  bytes packets errors dropped carrier collsns
          3193      29      0       0       0       0
"""
SAVE = """*filter
:INPUT ACCEPT [1:60]
[{dropped}:240] -A INPUT -s 192.0.2.0/24 -j DROP
[{passed}:240] -A INPUT -j ACCEPT
COMMIT
"""


def fingerprint(**changes: Any) -> dict[str, Any]:
    return {
        "interfaces": {"eth0": 2, "docker0": 3},
        "containers": {WEB: "2026-11-01T10:00:00Z"},
        "rules": {"iptables-save": "a" * 64},
        **changes,
    }


def host_that_moved(make_manifest: Any, documents: Any, before: Any, after: Any) -> Any:
    manifest = make_manifest({}) | {"fingerprints": {"before": before, "after": after}}
    for look, second in (("before:host", 10), ("after:host", 17)):
        row = {"id": "nstat", "format": "nstat", "scope": look, "started": f"2026-11-01T10:00:{second}.500Z"}
        manifest["artifacts"] = [*manifest["artifacts"], row]
    return build(Bundle("b", "web01", "", "", (), manifest=manifest), documents)


def test_a_bundle_without_two_looks_tells_nothing_of_movement(host_of: Any, read: Any) -> None:
    assert host_of(read("nstat", "IpInReceives 1 0.0\n")).movement is None


def test_objects_that_came_went_and_were_made_anew(make_manifest: Any) -> None:
    after = fingerprint(
        interfaces={"eth0": 2, "docker0": 9, "veth1": 12},
        containers={WEB: "2026-11-01T10:00:12Z"},
        rules={"iptables-save": "b" * 64},
    )
    movement = host_that_moved(make_manifest, [], fingerprint(), after).movement
    assert [(each.kind, each.name, each.how) for each in movement.objects] == [
        ("interface", "docker0", "restarted"),
        ("interface", "veth1", "appeared"),
        ("container", "c" * 12, "restarted"),
        ("rule", "iptables", "changed"),
    ]
    assert movement.seconds == 7.0


def test_what_was_not_looked_at_is_no_movement(make_manifest: Any) -> None:
    movement = host_that_moved(make_manifest, [], fingerprint(containers=None, rules={}), fingerprint()).movement
    assert movement.objects == ()


def test_counters_that_grew_with_the_line_of_the_later_look(make_manifest: Any, read: Any) -> None:
    documents = [
        read("nstat", "#kernel\nTcpRetransSegs 4 0.0\nTcpCurrEstab 1 0.0\nIpInReceives 7 0.0\n", "before:host"),
        read("nstat", "#kernel\nTcpRetransSegs 9 0.0\nTcpCurrEstab 3 0.0\nIpInReceives 7 0.0\n", "after:host"),
        read("ip_addr", LINK.format(bytes=100, dropped=3), "before:host"),
        read("ip_addr", LINK.format(bytes=900, dropped=5), "after:host"),
        read("iptables_save", SAVE.format(dropped=4, passed=1), "before:host", command="iptables-save -c"),
        read("iptables_save", SAVE.format(dropped=6, passed=8), "after:host", command="iptables-save -c"),
        read("proc_net_softnet_stat", f"{'00000001 ' * 10}\n", "before:host"),
        read("proc_net_softnet_stat", f"{'00000001 ' * 2}00000003 {'00000001 ' * 7}\n", "after:host"),
    ]
    host = host_that_moved(make_manifest, documents, fingerprint(), fingerprint())
    grown = [(g.owner, g.counter, g.before, g.after, g.is_loss, g.span.line) for g in host.movement.counters]
    assert grown == [
        ("", "TcpRetransSegs", 4, 9, True, 2),
        ("eth0", "rx.dropped", 3, 5, True, 1),
        ("ipv4 filter -A INPUT -s 192.0.2.0/24 -j DROP", "dropped packets", 4, 6, True, 3),
        ("CPU 0", "time_squeeze", 1, 3, True, 1),
    ]


def test_counters_of_drivers_are_of_the_device_that_the_output_is_named_after(make_manifest: Any, read: Any) -> None:
    documents = [
        read("ethtool", f"NIC statistics:\n     rx_dropped: {dropped}\n", look, artifact=artifact)
        for look, dropped in (("before:host", 3), ("after:host", 5))
        for artifact in ("ethtool-statistics-eth0", "somebody-elses")
    ]
    host = host_that_moved(make_manifest, documents, fingerprint(), fingerprint())
    grown = [(g.owner, g.counter, g.before, g.after, g.is_loss, g.span.line) for g in host.movement.counters]
    assert grown == [("eth0", "rx_dropped", 3, 5, True, 2)]


QDISC = """qdisc tbf 8024: dev veth1 root refcnt 3 rate 80Kbit burst 1540b lat 146ms
 Sent {sent} bytes {sent} pkt (dropped {dropped}, overlimits 9 requeues 0)
 backlog 0b {waiting}p requeues 0
qdisc noqueue 0: dev docker0 root refcnt 2
 Sent 0 bytes 0 pkt (dropped 0, overlimits 0 requeues 0)
 backlog 0b 0p requeues 0
"""


def test_what_the_queues_of_devices_let_go_dropped_and_kept(make_manifest: Any, read: Any) -> None:
    documents = [
        read("tc_qdisc", QDISC.format(sent=3, dropped=5, waiting=1), "before:host", command="tc -s qdisc"),
        read("tc_qdisc", QDISC.format(sent=6, dropped=10, waiting=2), "after:host", command="tc -s qdisc"),
    ]
    host = host_that_moved(make_manifest, documents, fingerprint(), fingerprint())
    (queue,) = host.movement.queues
    assert (queue.scope, queue.device, queue.sent, queue.dropped, queue.waiting) == ("host", "veth1", 3, 5, 2)
    assert queue.span.line == 1


def test_a_queue_that_was_made_anew_has_counted_something_else(make_manifest: Any, read: Any) -> None:
    later = QDISC.format(sent=6, dropped=10, waiting=2).replace("8024:", "8025:")
    documents = [
        read("tc_qdisc", QDISC.format(sent=3, dropped=5, waiting=1), "before:host", command="tc -s qdisc"),
        read("tc_qdisc", later, "after:host", command="tc -s qdisc"),
    ]
    host = host_that_moved(make_manifest, documents, fingerprint(), fingerprint())
    assert host.movement.queues == ()


def test_the_two_looks_are_not_taken_for_the_state(make_manifest: Any, read: Any) -> None:
    documents = [
        read("ip_addr", LINK.format(bytes=1, dropped=1), "before:host"),
        read("ip_addr", LINK.format(bytes=2, dropped=1), "after:host"),
        read("ip_addr", LINK.format(bytes=2, dropped=1), "before:netns:" + WEB),
    ]
    host = host_that_moved(make_manifest, documents, fingerprint(), fingerprint())
    assert [netns.id for netns in host.namespaces] == ["host"]
    assert host.root.links.items == ()
