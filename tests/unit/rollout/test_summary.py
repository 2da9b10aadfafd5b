"""Figures over results."""

from __future__ import annotations

import pytest

from slipway.rollout.simulate import Result
from slipway.rollout.summary import Spread, Summary, interval_of

GOOD = Result("promoted", 700, 400, {"shadow": 120.0, "5 %": 280.0, "watch": 300.0}, 7000, 350, 0)
LATE = Result("promoted", 900, 600, {"shadow": 120.0, "5 %": 480.0, "watch": 300.0}, 9000, 350, 0)
BAD = Result("stopped", 150, None, {"shadow": 120.0, "5 %": 30.0}, 1500, 40, 8, "errors", "5 %")
BACK = Result("returned", 500, 400, {"watch": 60.0}, 500, 40, 8, "latency", "watch")
OPEN = Result("open", 900, None, {"shadow": 900.0}, 9000, 40, 8, "", "shadow")
ALL = Summary((GOOD, LATE, BAD, BACK, OPEN))


def test_shares_are_of_all_runs() -> None:
    assert (ALL.stopped, ALL.promoted) == (0.4, 0.4)
    assert ALL.promoted_within(500) == 0.2
    assert ALL.stopped_in("5 %") == 0.2
    assert ALL.stopped_in("5 %", within=29) == 0
    assert Summary(()).stopped == 0


def test_what_is_open_in_a_step_was_not_stopped_in_it() -> None:
    assert ALL.stopped_in("shadow") == 0
    assert ALL.detection("shadow") is None
    assert ALL.stopped_in("watch") == 0.2


def test_times_are_of_those_that_came_so_far() -> None:
    assert ALL.time_to_promotion() == Spread(400, 580)
    assert ALL.step_times()["5 %"] == Spread(380, 470)
    assert ALL.detection("5 %") == Spread(30, 30)
    assert ALL.detection("25 %") is None
    assert ALL.causes() == {"errors at 5 %": 1, "latency at watch": 1}


@pytest.mark.parametrize(("share", "runs"), [(0.0, 1000), (0.5, 100), (1.0, 20), (0.0, 0)])
def test_an_interval_holds_its_share(share: float, runs: int) -> None:
    low, high = interval_of(share, runs)
    assert 0 <= low <= share <= high <= 1
    assert interval_of(0.0, 1000)[1] == pytest.approx(0.0038, abs=0.0005)
