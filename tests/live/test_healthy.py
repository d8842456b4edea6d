"""Healthy hosts stay silent: no error, no warning, no question that was left open, no line that was not read."""

from pathlib import Path
from typing import Any

import lab
import pytest
from faults import Kind
from healthy import STATES, Healthy
from test_faults import alarms, not_judged, unread
from test_poor_bundles import OF_THE_BUNDLE, said

from netdiag.analysis import analyze

pytestmark = pytest.mark.live


def on_their_hosts() -> list[Any]:
    return [pytest.param(state, kind, id=f"{kind}-{state}") for state in STATES for kind in state.on]


def started(state: Healthy, kind: Kind) -> lab.DockerHost:
    if kind in ("nft", "legacy"):
        return lab.DockerHost(kind, state.daemon_args)
    return lab.DockerHost("nft", state.daemon_args, engine=kind)


@pytest.mark.sampled
@pytest.mark.parametrize(("state", "kind"), on_their_hosts())
def test_a_healthy_host_stays_silent(state: Healthy, kind: Kind, have_engine: Any, tmp_path: Path) -> None:
    if kind not in ("nft", "legacy"):
        have_engine(kind)
    with started(state, kind) as host:
        if state.workload:
            lab.standard_workload(host)
        state.make(host)
        assert state.works(host)
        analysis = analyze(lab.collect(host, tmp_path))
    assert [alarm for alarm in alarms(analysis) if alarm.partition(":")[0] not in state.may_say] == []
    assert said(analysis, *OF_THE_BUNDLE - state.may_say) == []
    open_questions = [each for each in not_judged(analysis) if not any(word in each for word in state.may_ask)]
    assert open_questions == []
    assert unread(analysis) == []
    assert analysis.bundle.problems == ()
