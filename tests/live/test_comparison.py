"""Two bundles of one real host, and something that happened between them: the comparison names it."""

import os
from dataclasses import dataclass
from pathlib import Path

import lab
import pytest
from pairs import write_pair

from netdiag.analysis import analyze
from netdiag.comparison import Remark, compare
from netdiag.finding import Severity

pytestmark = pytest.mark.live

DIFFS = Path(__file__).parents[2] / "samples" / "diffs"


@dataclass(frozen=True)
class Case:
    """`change` is what happens to the host between the two bundles, `first` what happened before the first one.

    `remark` is what the comparison must call it, `about` what its message must speak of.
    """

    name: str
    remark: str
    about: str
    change: str
    first: str = ""


FLUSH = """
iptables -F
iptables -t nat -F
"""

FLIP = """
sysctl -qw net.ipv4.ip_forward=0
sysctl -qw net.ipv4.conf.eth0.rp_filter=1
iptables -P INPUT DROP
"""

RENUMBER = """
docker stop -t 1 web app
docker start app
docker start web
"""

#: A shaper that drops most of what is sent too fast. It is there before the first bundle, so that counters have a
#: beginning.
SHAPE = "tc qdisc add dev eth0 root tbf rate 400kbit burst 1600 limit 3000"
SEND = """
python3 -c '
import socket
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(300):
    sender.sendto(bytes(1400), ("203.0.113.1", 9))
'
"""

SWITCH = """
update-alternatives --set iptables /usr/sbin/iptables-legacy
update-alternatives --set ip6tables /usr/sbin/ip6tables-legacy
systemctl restart docker
docker start app db web
"""

RECREATE = """
bridge=br-$(docker network inspect -f '{{slice .Id 0 12}}' front)
ip link delete $bridge
ip link add $bridge type bridge
ip address add 172.18.0.1/16 dev $bridge
ip link set $bridge up
"""

CASES = [
    Case("rules-vanished", "diff-rules-vanished", "web", FLUSH),
    Case("policy-or-sysctl-flipped", "diff-policy-or-sysctl-flipped", "net.ipv4.ip_forward", FLIP),
    Case("ip-changed", "diff-ip-changed", "web", RENUMBER),
    Case("counter-deltas", "diff-counter-deltas", "eth0", SEND, SHAPE),
    Case("firewall-backend-switched", "diff-firewall-backend-switched", "legacy", SWITCH),
    Case("bridge-recreated", "diff-bridge-recreated", "front", RECREATE),
]


#: What looks like one of them and is none: rules that go with their container, a restart of the engine that writes its
#: rules in another order, a network that is another one, nothing at all.
QUIET = {
    "nothing": "true",
    "container-removed": "docker rm -f web",
    "container-restarted": "docker restart -t 1 db",
    "docker-restarted": "systemctl restart docker; docker start app db web",
    "network-made-anew": "docker rm -f db; docker network disconnect back app; docker network rm back; "
    "docker network create back",
}


def bundles_around(change: str, tmp_path: Path, first: str = "") -> list[Path]:
    """The bundles before and after a change of a host of its own: what happens to it is not healed."""
    bundles = []
    with lab.host_with("nft", (), "") as host:
        lab.standard_workload(host)
        host.shell(first)
        for side in ("before", "after"):
            (tmp_path / side).mkdir()
            bundles.append(lab.collect(host, tmp_path / side))
            if side == "before":
                host.shell(change)
    return bundles


def _is_told(remark: Remark, wanted: str = "") -> bool:
    """Whether a remark is the one that is wanted, or more than a note."""
    return remark.name == wanted or remark.severity is not Severity.NOTE


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_happened_between_two_bundles_is_named(case: Case, tmp_path: Path) -> None:
    bundles = bundles_around(case.change, tmp_path, case.first)
    comparison = compare(*map(analyze, bundles))
    # Containers that were started again may have each other's addresses.
    assert [remark.name for remark in comparison.remarks if _is_told(remark, case.remark)] == [case.remark]
    assert any(case.about in remark.message for remark in comparison.remarks if remark.name == case.remark)
    if os.environ.get("ACCEPT"):
        write_pair(*bundles, DIFFS / case.name)


@pytest.mark.parametrize("name", QUIET)
def test_what_only_looks_like_it_is_not_named(name: str, tmp_path: Path) -> None:
    comparison = compare(*map(analyze, bundles_around(QUIET[name], tmp_path)))
    assert [remark.message for remark in comparison.remarks if _is_told(remark)] == []
    if name == "nothing":
        assert comparison.changes == ()
