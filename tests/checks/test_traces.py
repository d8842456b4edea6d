"""What checks of traces make of lost events, of packets of other hosts, and of drops that are meant."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from netdiag.analysis import analyze
from netdiag.finding import Confidence, Finding, Severity, Verdict

SAMPLES = Path(__file__).parents[2] / "samples" / "checks"


@pytest.fixture
def edited(tmp_path: Path) -> Callable[..., list[Finding]]:
    """`edited(check, path, change)`: the findings of a check in its firing sample, or in that of the check `of`, with
    one file changed.
    """

    def findings(check: str, path: str, change: Callable[[str], str], of: str = "") -> list[Finding]:
        bundle = tmp_path / "bundle"
        shutil.copytree(SAMPLES / (of or check) / "fires", bundle)
        before = (bundle / path).read_text()
        after = change(before)
        assert after != before
        (bundle / path).write_text(after)
        analysis = analyze(bundle)
        (outcome,) = (outcome for outcome in analysis.outcomes if outcome.check == check)
        assert outcome.verdict is not Verdict.CRASHED, outcome.reason
        return [finding for finding in analysis.findings if finding.check == check]

    return findings


TRACE = "trace/perf-script.txt"
DROPPED = SAMPLES.parent / "bundles" / "journey-docker-user.tar.gz"
Edited = Callable[..., list[Finding]]


def with_losses(text: str) -> str:
    """The trace with a line that tells of lost events in its middle."""
    lines = text.splitlines(keepends=True)
    middle = len(lines) // 2
    time = re.search(r"\[\d+\] ([\d.]+):", lines[middle])
    assert time
    lines.insert(middle, f"            ping     1/1     [000] {time[1]}: PERF_RECORD_LOST lost 7\n")
    return "".join(lines)


def test_lost_events_make_what_was_not_seen_less_sure(edited: Edited) -> None:
    (finding,) = edited("trace-one-way", TRACE, with_losses)
    assert finding.confidence is Confidence.MEDIUM
    assert "the trace lost 7 events" in finding.message


def test_lost_events_do_not_make_a_drop_less_sure(edited: Edited) -> None:
    (finding,) = edited("trace-drop-netfilter", TRACE, with_losses)
    assert finding.confidence is Confidence.HIGH


@pytest.mark.parametrize("check", ["trace-drop-netfilter", "trace-queued-not-xmitted", "trace-drop-reason-map"])
def test_packets_of_devices_that_the_bundle_does_not_know_are_nobodys_fault(check: str, edited: Edited) -> None:
    assert edited(check, TRACE, lambda text: re.sub(r"dev=(\w)", r"dev=other-\1", text)) == []


def test_a_drop_that_no_rule_of_the_user_took_is_told_without_one(edited: Edited) -> None:
    (finding,) = edited(
        "trace-drop-netfilter", "after/host/iptables-save.txt", lambda text: re.sub(r"\[\d+:\d+\]", "[0:0]", text)
    )
    assert "meanwhile" not in finding.message
    assert finding.severity is Severity.ERROR


def test_what_the_engines_own_rules_drop_is_a_note(edited: Edited) -> None:
    def of_engine(text: str) -> str:
        return text.replace("-A FORWARD -i", "-A DOCKER-ISOLATION-STAGE-2 -i")

    bundle = SAMPLES / "trace-drop-netfilter" / "fires"
    assert "-A FORWARD -i" in (bundle / "host/iptables-save.txt").read_text()
    (finding,) = edited("trace-drop-netfilter", "after/host/iptables-save.txt", of_engine)
    assert "meanwhile" not in finding.message


def test_a_queue_that_dropped_one_of_hundreds_is_no_finding(edited: Edited) -> None:
    def once(text: str) -> str:
        """Only the first drop stays."""
        kept = text.splitlines(keepends=True)
        drops = [number for number, line in enumerate(kept) if "QDISC_DROP" in line]
        return "".join(line for number, line in enumerate(kept) if number not in drops[1:])

    found = edited("trace-queued-not-xmitted", TRACE, once)
    assert [finding.message for finding in found if "5 of 8" in finding.message] == []


def test_a_rule_is_told_with_what_it_dropped_between_the_two_looks() -> None:
    """The rules themselves were collected before the packets came, when the counter stood at 0."""
    (finding,) = (each for each in analyze(DROPPED).findings if each.check == "filter-docker-user-drop")
    label = "this rule drops them; 5 packets so far, 5 of them while the bundle was collected"
    assert finding.evidence[0].label == label
    assert finding.evidence[0].span.excerpt.startswith("[0:0] -A DOCKER-USER")


def without_leaving(text: str) -> str:
    """The trace without what timers did: twice one lets a packet leave the queue, which arrives within 0.5 ms."""
    lines = text.splitlines(keepends=True)
    times = [float(re.findall(r"\] +([\d.]+):", line)[0]) for line in lines]
    full = max(time for time, line in zip(times, lines, strict=True) if "QDISC_DROP" in line)
    left = [time for time, line in zip(times, lines, strict=True) if time > full and "start_xmit: dev=veth" in line]
    assert len(left) == 2
    return "".join(
        line for time, line in zip(times, lines, strict=True) if not any(0 <= time - at < 0.0005 for at in left)
    )


def test_packets_that_left_the_queue_by_its_counters_are_not_told_as_never_sent(edited: Edited) -> None:
    (finding,) = edited("trace-queued-not-xmitted", TRACE, without_leaving)
    assert finding.message.startswith("5 of 8 packets were never sent by ")
    assert finding.confidence is Confidence.HIGH


def test_packets_that_wait_in_the_queue_at_the_second_look_were_not_sent(edited: Edited, tmp_path: Path) -> None:
    def waiting(text: str) -> str:
        counters = tmp_path / "bundle" / "after" / "host" / "tc-qdisc.txt"
        counters.write_text(counters.read_text().replace("backlog 0b 0p", "backlog 2858b 2p"))
        return without_leaving(text)

    (finding,) = edited("trace-queued-not-xmitted", TRACE, waiting)
    assert finding.message.startswith("7 of 8 packets were never sent by ")


def test_packets_that_left_the_queue_unseen_tell_that_events_are_missing(edited: Edited) -> None:
    (finding,) = edited("trace-lost-events", TRACE, without_leaving, of="trace-queued-not-xmitted")
    assert finding.severity is Severity.NOTE
    assert " sent 2 packets more than the trace shows" in finding.message
