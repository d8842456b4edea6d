"""Journeys that are found in a trace of a real host, against what was really sent, packet by packet."""

import os
from collections.abc import Callable
from pathlib import Path

import known_ways
import lab
import pytest
import sent_packets
from captures import CAPTURES, Capture
from known_ways import Comparison

from netdiag.analysis import analyze
from netdiag.finding import Severity
from netdiag.journeys import observations

pytestmark = pytest.mark.live

SAMPLES = Path(__file__).parents[2] / "samples" / "bundles"
Lend = Callable[..., lab.DockerHost]

#: The captures that the ordinary tests have as samples.
SAMPLED = (
    "all-events-docker-user",
    "all-events-tcp",
    "docker-user",
    "forwarded-fragments",
    "fragments",
    "full-queue",
    "published-without-proxy",
    "segments",
    "tcp-by-loopback",
    "waits-for-neighbour",
)


@pytest.mark.usefixtures("tracer", "all_packets_are_kept")
@pytest.mark.parametrize("capture", CAPTURES, ids=str)
def test_every_packet_is_found_on_the_way_that_it_took(capture: Capture, docker_host: Lend, tmp_path: Path) -> None:
    bundle, sent = capture.take(docker_host("nft", *capture.daemon_args), tmp_path)
    if os.environ.get("ACCEPT") and capture.name in SAMPLED:
        (SAMPLES / f"journey-{capture.name}.tar.gz").write_bytes(bundle.read_bytes())
        sent_packets.write(sent, SAMPLES / f"journey-{capture.name}.truth.json")
    host = analyze(bundle).host
    found = known_ways.compare(sent, [journey for seen in observations(host) for journey in seen.journeys])
    assert found == Comparison(sent=len(sent), found=len(sent), missing=(), wrong=(), mixed=())


#: The data of a ping, by whose length it is known again.
_ECHOED = 500
_HEADERS = 42  # Ethernet, IP and ICMP
_IN_WEB = "nsenter -t {pid} -n"

#: What healthy hosts do, and what looks like trouble to a careless eye.
_ORDINARY = (
    f"ping -c3 -i0.1 -s {_ECHOED} {{web}}",
    "curl -s http://{web}/",
    "curl -s http://127.0.0.1:8080/",
    "curl -s http://{web}:81/ || true",  # nobody listens there
    f"{_IN_WEB} curl -s http://198.51.100.7/",
    f"{_IN_WEB} curl -s http://198.51.100.7/big",
    f"{_IN_WEB} curl -s http://{{app}}/",
    "python3 -c \"import socket; socket.socket(2, 2).sendto(b'log', ('{web}', 514))\"",  # UDP needs no answer
    "conntrack -D -d {web} || true",
    "curl -s http://{web}/",
    "tcpdump -c1 -i any >/dev/null 2>&1 & sleep 0.3",
    "ip neigh flush dev {bridge}",
    f"ping -c1 -s {_ECHOED} {{web}}",
    "sleep 1.2",
)


@pytest.mark.usefixtures("tracer", "all_packets_are_kept")
def test_a_healthy_host_with_ordinary_traffic_gives_no_alarm(
    docker_host: Lend, backend: lab.Backend, tmp_path: Path
) -> None:
    host = docker_host(backend)
    names = {
        "web": host.address("web", "front"),
        "app": host.address("app", "front"),
        "pid": str(host.inspect("web")[0]["State"]["Pid"]),
        "bridge": host.bridge("front"),
    }
    host.write_file("/root/ordinary.sh", "".join(f"{line.format(**names)}\n" for line in _ORDINARY))
    analysis = analyze(lab.collect(host, tmp_path, "--trace-command", "sh /root/ordinary.sh"))
    alarms = [f"{f.check}: {f.message}" for f in analysis.findings if f.severity is not Severity.NOTE]
    assert alarms == []
    journeys = [journey for seen in observations(analysis.host) for journey in seen.journeys]
    echoes = [each for each in journeys if each.length == _ECHOED + _HEADERS]
    ours = [each for each in echoes if names["bridge"] in (hop.where.device for hop in each.hops)]
    assert len(ours) == 2 * (3 + 1)  # there and back
