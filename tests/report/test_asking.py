"""What to run for what is not known, as a block that can be pasted."""

from dataclasses import replace

from netdiag.finding import Outcome, Verdict
from netdiag.report._asking import to_run
from netdiag.results import Analysis

AGAIN = "python3 netdiag_collect.py"


def _lines(analysis: Analysis, *asked: tuple[str, ...], by_collector: bool = True) -> tuple[str, ...]:
    outcomes = tuple(Outcome(f"check-{n}", Verdict.UNKNOWN, "not known", (), ask) for n, ask in enumerate(asked))
    bundle = replace(analysis.bundle, manifest={} if by_collector else None)
    return to_run(replace(analysis, outcomes=outcomes, bundle=bundle))


def test_nothing_is_to_be_run_when_nothing_is_asked_for(analysis: Analysis) -> None:
    assert _lines(analysis, ()) == _lines(analysis, by_collector=False) == ()


def test_each_command_stands_once_by_where_it_is_for_and_by_how_many_wait_for_it(analysis: Analysis) -> None:
    inside = "nsenter -t 475 -n ip -d addr"
    assert _lines(analysis, (inside, "ip rule"), ("dmesg",), ("dmesg", "ip rule"), ("dmesg",)) == (
        "# on the host",
        "dmesg",
        "ip rule",
        "# for containers, on the host",
        inside,
    )


def test_several_runs_of_the_collector_are_one_with_the_options_of_all(analysis: Analysis) -> None:
    runs = [(f"{AGAIN} --timeout 60",), (f"sudo {AGAIN} --max-time 1200 --timeout 60",), (AGAIN,)]
    runs += [("apt-get install -y iproute2 || dnf install -y iproute",)]
    assert _lines(analysis, *runs) == (
        "apt-get install -y iproute2 || dnf install -y iproute  # so that the collector can use it",
        "# one file, to be sent",
        f"sudo {AGAIN} --timeout 60 --max-time 1200",
    )


def test_where_the_collector_was_not_used_it_gives_all_of_it(analysis: Analysis) -> None:
    assert _lines(analysis, ("ip rule",), by_collector=False) == (
        "# one file, to be sent",
        f"sudo {AGAIN}",
        "# or each by itself, on the host",
        "ip rule",
    )


def test_of_very_many_the_rest_is_counted(analysis: Analysis) -> None:
    lines = _lines(analysis, tuple(f"nsenter -t {pid} -n ss -tulpn" for pid in range(1000)))
    assert (len(lines), lines[-1]) == (32, "# and 970 more like these")
