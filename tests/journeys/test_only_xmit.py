"""A trace with nothing but `net_dev_xmit`: what it may be put together to, and what it says that it cannot tell."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from netdiag.analysis import analyze
from netdiag.finding import Confidence
from netdiag.formats.records import Link
from netdiag.journeys.observed import Ending, Join, Observation, observe
from netdiag.model import Facts, Host, Namespace
from netdiag.report.journeys_text import lines as text_of
from netdiag.report.snippet import Look
from netdiag.spans import Source
from netdiag.traces import read_table

from .conftest import Event, bare_host, packets, printed, seen
from .test_known_ways import BUNDLES

Lines = Callable[[str], list[Event]]


@dataclass(frozen=True)
class _Pair:
    """As much of a pair of the model as is asked for."""

    outer: Link
    inner: Link
    namespace: str
    outer_namespace: str = "host"


@pytest.fixture
def host() -> Host:
    """A bridge with the veths of two containers, and a device that leads out."""
    source = Source("ip-link.txt", "".join(f"{number}\n" for number in range(1, 9)))
    names = ("docker0", "veth1", "veth2", "ens3")
    links = [
        Link(name, source.span(at), master="docker0" if name[:4] == "veth" else None, kind=name[:4])
        for at, name in enumerate(names, start=1)
    ]
    inside = [Link(name, source.span(at), kind="veth") for at, name in enumerate(("eth0", "eth0"), start=5)]
    spaces = (
        Namespace("host", "host", links=Facts(tuple(links))),
        *(Namespace(f"netns:{at}", str(at), links=Facts((link,))) for at, link in enumerate(inside, start=1)),
    )
    pairs = tuple(_Pair(links[at], inside[at - 1], f"netns:{at}") for at in (1, 2))
    found = bare_host(namespaces=spaces)
    vars(found)["veth_pairs"] = pairs
    vars(found)["sandbox_pairs"] = ()
    return found


@pytest.fixture
def look(lines: Lines, host: Host) -> Callable[[str], Observation]:
    return lambda text: seen(printed(lines(text)), host)


See = Callable[[str], Observation]

#: The bridge sends by its port, which returns first.
OUT = "10 0 7 net_dev_xmit veth1 a0 98 rc=0\n12 0 7 net_dev_xmit docker0 a0 98 rc=0\n"


def test_a_bridge_stands_before_its_port(look: See) -> None:
    found = look(OUT)
    assert packets(found) == ["docker0 veth1: sent"]
    assert [hop.join for hop in found.journeys[0].hops] == [Join.NEXT_SENT, Join.NEVER][::-1]
    assert (found.journeys[0].confidence, found.paths[0].confidence) == (Confidence.LOW, Confidence.LOW)


def test_a_packet_goes_on_by_another_port_or_out_of_the_host(look: See) -> None:
    for device in ("veth2", "ens3"):
        found = look(f"10 0 7 net_dev_xmit eth0 a0 98 rc=0\n14 0 7 net_dev_xmit {device} a0 98 rc=0\n")
        assert packets(found) == [f"eth0 {device}: sent"]


@pytest.mark.parametrize(
    "after",
    [
        "14 0 8 net_dev_xmit veth2 a0 98 rc=0",  # another task: a program that got the address
        "14 0 7 net_dev_xmit veth2 a0 99 rc=0",  # another length
        "900 0 7 net_dev_xmit veth2 a0 98 rc=0",  # much later
        "14 0 7 net_dev_xmit other a0 98 rc=0",  # a device of which the model knows nothing
        "14 0 7 net_dev_xmit docker0 a0 98 rc=0",  # the host sends to a container
    ],
)
def test_what_the_model_or_the_moment_does_not_bear_out_is_another_packet(after: str, look: See) -> None:
    around = "1 0 7 net_dev_xmit eth0 b0 60 rc=0\n2 0 7 net_dev_xmit veth2 b0 60 rc=0\n"
    found = look(f"{around}10 0 7 net_dev_xmit eth0 a0 98 rc=0\n{after}\n")
    assert packets(found)[1:] == ["eth0: sent", f"{after.split()[4]}: sent"]


def test_nobody_knows_whether_they_arrived(look: See) -> None:
    found = look(OUT)
    assert found.paths[0].endings == {Ending.SENT: 1}
    assert "recorded events do not allow to say" in found.notes[0]
    assert "only net_dev_xmit was recorded" in "".join(text_of(found, Look(colour=False, width=300, unicode=True)))


def test_other_events_tell_more(look: See) -> None:
    assert look("9 0 7 net_dev_queue docker0 a0 98\n" + OUT).notes[0].startswith("no netif_rx and no netif_receive_skb")
    assert look("9 0 7 netif_receive_skb veth1 c0 98\n" + OUT).notes == ()


def test_a_real_trace_of_which_the_rest_was_not_recorded() -> None:
    host = analyze(BUNDLES / "journey-published-without-proxy.tar.gz").host
    (source,) = (trace.table.source for trace in host.traces.traces)
    text = "".join(f"{line}\n" for line in source.lines if "net:net_dev_xmit:" in line)
    found = observe(read_table(Source(source.path, text, format="perf_script")), host)
    ways = {path.text: (path.count, path.confidence, path.endings) for path in found.paths}
    (veth,) = (device for device in ways if device.startswith("docker0 -> veth"))
    assert ways == {
        "eth0": (10, Confidence.HIGH, {Ending.SENT: 10}),
        "up0": (5, Confidence.HIGH, {Ending.SENT: 5}),
        veth: (5, Confidence.LOW, {Ending.SENT: 5}),
    }
