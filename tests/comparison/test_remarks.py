"""What changes mean, and near misses that mean nothing."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from netdiag.analysis import analyze
from netdiag.comparison import Comparison, Fate, compare
from netdiag.finding import Confidence, Outcome, Severity, Subject, Verdict
from netdiag.results import Analysis, Suppressed

from .conftest import container

Compared = Callable[[dict[str, Any], dict[str, Any]], Comparison]
SAMPLES = Path(__file__).parents[2] / "samples"


def said(comparison: Comparison) -> list[tuple[str, str]]:
    return [(remark.severity.value, remark.message) for remark in comparison.remarks]


# --- settings ---------------------------------------------------------------------------------------------------------


def sysctls(**values: str) -> dict[str, Any]:
    text = "".join(f"net.ipv4.{key.replace('__', '.')} = {value}\n" for key, value in values.items())
    return {"files": {"host/sysctl.txt": text}}


def test_forwarding_that_was_switched_off_is_told_once(compared: Compared) -> None:
    told = compared(
        sysctls(ip_forward="1", conf__all__forwarding="1", conf__eth0__forwarding="1"),
        sysctls(ip_forward="0", conf__all__forwarding="0", conf__eth0__forwarding="0"),
    )
    assert said(told) == [("error", "what lets packets pass was set otherwise: net.ipv4.ip_forward from 1 to 0")]


def test_forwarding_of_one_interface_is_told_by_itself(compared: Compared) -> None:
    told = compared(
        sysctls(ip_forward="1", conf__eth0__forwarding="1"), sysctls(ip_forward="1", conf__eth0__forwarding="0")
    )
    assert said(told) == [
        ("error", "what lets packets pass was set otherwise: net.ipv4.conf.eth0.forwarding from 1 to 0")
    ]


FILTER = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD {forward} [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n"


def test_what_docker_does_when_it_starts_is_a_note(compared: Compared) -> None:
    def host(forward: str, policy: str) -> dict[str, Any]:
        files = {**sysctls(ip_forward=forward)["files"], "host/iptables_save.txt": FILTER.format(forward=policy)}
        return {"files": files}

    assert [severity for severity, _ in said(compared(host("0", "ACCEPT"), host("1", "DROP")))] == ["note"]
    assert [severity for severity, _ in said(compared(host("1", "ACCEPT"), host("1", "DROP")))] == ["error"]
    assert [severity for severity, _ in said(compared(host("1", "DROP"), host("1", "ACCEPT")))] == ["warning"]


def test_other_settings_are_changes_without_a_remark(compared: Compared) -> None:
    told = compared(sysctls(tcp_syncookies="1"), sysctls(tcp_syncookies="0"))
    assert (said(told), len(told.changes)) == ([], 1)


# --- addresses --------------------------------------------------------------------------------------------------------


def test_who_still_has_an_old_address_makes_it_a_warning(compared: Compared) -> None:
    user = container("proxy", "172.18.0.9", Path="nginx", Args=["--upstream=172.18.0.2:80"])
    bystander = container("other", "172.18.0.8", Path="sleep", Args=["172.18.0.25"])
    told = compared(
        {"containers": [container("web", "172.18.0.2"), user, bystander]},
        {"containers": [container("web", "172.18.0.3"), user, bystander]},
    )
    assert said(told) == [
        ("warning", "addresses changed: web from 172.18.0.2 to 172.18.0.3; 1 place still uses an old one")
    ]
    assert [shown.label for shown in told.remarks[0].shown] == ["172.18.0.2", "172.18.0.3", "still has 172.18.0.2"]


def test_a_container_that_lost_its_address_has_not_got_another(compared: Compared) -> None:
    stopped = container("web", "", State={"Status": "exited"})
    assert said(compared({"containers": [container("web")]}, {"containers": [stopped]})) == []


# --- counters ---------------------------------------------------------------------------------------------------------


NSTAT = "#kernel\n" + "".join(
    f"{name:32}{{{name}}}                  0.0\n" for name in ("TcpOutSegs", "TcpRetransSegs")
)


def nstat(sent: int, again: int) -> dict[str, Any]:
    return {"files": {"host/nstat.txt": NSTAT.format(TcpOutSegs=sent, TcpRetransSegs=again)}}


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ((1000, 10), (2000, 60), True),
        ((1000, 10), (100000, 60), False),  # fewer than one in a hundred
        ((1000, 10), (1100, 15), False),  # fewer than ten
        ((1000, 90), (500, 100), False),  # one counter went back: the host was started again
    ],
)
def test_packets_that_were_sent_again(
    before: tuple[int, int], after: tuple[int, int], *, told: bool, compared: Compared
) -> None:
    comparison = compared(nstat(*before), nstat(*after))
    assert [remark.name for remark in comparison.remarks] == (["diff-counter-deltas"] if told else [])


def ip_link(dropped: int, *, index: int = 2, flags: str = "UP,LOWER_UP") -> dict[str, Any]:
    text = (
        f"{index}: eth0: <BROADCAST,MULTICAST,{flags}> mtu 1500 qdisc fq_codel state UP group default qlen 1000\n"
        "    link/ether 02:42:68:d1:95:15 brd ff:ff:ff:ff:ff:ff\n"
        "    RX:  bytes packets errors dropped  missed   mcast\n"
        f"       1000      10      0 {dropped}       0       0\n"
        "    TX:  bytes packets errors dropped carrier collsns\n"
        "       1000      10      0       0       0       0\n"
    )
    return {"files": {"host/ip_addr.txt": text}}


def test_a_device_that_drops(compared: Compared) -> None:
    assert said(compared(ip_link(5), ip_link(500))) == [
        ("warning", "packets were lost between the two: eth0 of host: rx.dropped grew by 495")
    ]
    assert said(compared(ip_link(5), ip_link(9))) == []
    assert said(compared(ip_link(5), ip_link(500, index=7))) == []  # another device of that name
    assert said(compared(ip_link(5), ip_link(500, flags="UP"))) == []  # nobody is behind it


# --- findings ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def faulty() -> Analysis:
    return analyze(SAMPLES / "bundles" / "three-faults.tar.gz")


def judged(analysis: Analysis, verdict: Verdict, reason: str = "") -> Analysis:
    """The same without findings of nat-masquerade-missing, with this outcome of it."""
    outcome = Outcome("nat-masquerade-missing", verdict, reason)
    return replace(
        analysis,
        findings=tuple(f for f in analysis.findings if f.check != outcome.check),
        outcomes=tuple(outcome if o.check == outcome.check else o for o in analysis.outcomes),
    )


@pytest.mark.parametrize(
    ("verdict", "reason", "fate"),
    [
        (Verdict.CLEAN, "", Fate.FIXED),
        (Verdict.FINDING, "", Fate.FIXED),  # it found something else, and judged all
        (Verdict.FINDING, "the rules of one table", Fate.NOT_JUDGED),
        (Verdict.UNKNOWN, "no iptables-save", Fate.NOT_JUDGED),
        (Verdict.CRASHED, "KeyError", Fate.NOT_JUDGED),
        (Verdict.NOT_APPLICABLE, "Docker is not there", Fate.NOT_APPLICABLE),
    ],
)
def test_only_what_was_judged_is_fixed(verdict: Verdict, reason: str, fate: Fate, faulty: Analysis) -> None:
    told = compare(faulty, judged(faulty, verdict, reason))
    (each,) = (each for each in told.findings if each.finding.check == "nat-masquerade-missing")
    assert (each.fate, each.why) == (fate, reason)
    assert {other.fate for other in told.findings if other is not each} == {Fate.STILL}


def test_a_check_that_is_not_there_any_more_fixed_nothing(faulty: Analysis) -> None:
    after = judged(faulty, Verdict.CLEAN)
    gone = replace(after, outcomes=tuple(o for o in after.outcomes if o.check != "nat-masquerade-missing"))
    assert len(compare(faulty, gone).of_fate(Fate.NOT_JUDGED)) == 1


def test_a_new_finding_that_nobody_looked_for_before_says_so(faulty: Analysis) -> None:
    (each,) = compare(judged(faulty, Verdict.UNKNOWN, "no iptables-save"), faulty).of_fate(Fate.NEW)
    assert each.why == "the first bundle did not tell: no iptables-save"
    (each,) = compare(judged(faulty, Verdict.CLEAN), faulty).of_fate(Fate.NEW)
    assert each.why == ""


def test_the_same_fault_of_a_container_with_another_veth_is_still_there(faulty: Analysis) -> None:
    renamed = tuple(
        replace(f, subjects=tuple(Subject(s.kind, "veth0000000") if s.kind == "interface" else s for s in f.subjects))
        for f in faulty.findings
    )
    assert {each.fate for each in compare(faulty, replace(faulty, findings=renamed)).findings} == {Fate.STILL}


def test_a_finding_that_is_now_suppressed_or_doubtful_is_not_fixed(faulty: Analysis) -> None:
    first, *others = faulty.findings
    aside = Suppressed(first, "known", date(2999, 1, 1), ".netdiag.toml")
    suppressed = replace(faulty, findings=tuple(others), suppressed=(aside,))
    doubtful = replace(faulty, findings=(replace(first, confidence=Confidence.LOW), *others))
    for after in (suppressed, doubtful):
        assert {each.fate for each in compare(faulty, after).findings} == {Fate.STILL}


def test_worse_is_a_new_finding_or_a_remark(faulty: Analysis) -> None:
    healed = judged(faulty, Verdict.CLEAN)
    assert compare(healed, faulty).is_worse(Severity.ERROR)
    assert not compare(faulty, healed).is_worse(Severity.NOTE)
