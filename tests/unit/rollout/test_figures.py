"""The list of simulations: complete, named once, and able to fail."""

from __future__ import annotations

import math

import pytest

from slipway.cli.simulated import rows_of
from slipway.rollout.figures import BAD, GOOD, Scenario, scenarios, stopped
from slipway.rollout.policy import PRESETS
from slipway.rollout.simulate import simulate
from slipway.rollout.summary import Summary
from slipway.rollout.traffic import Answers, Traffic, ride_answers

SAME = ride_answers(500)
RIDES = dict.fromkeys((*GOOD, *BAD, "1 % x 10"), SAME)


def test_the_list_has_every_simulation_that_the_gates_are_to_show() -> None:
    found = scenarios(RIDES)
    names = [s.name for s in found]
    assert len(names) == len(set(names))
    groups = {
        "same model", "same model, noise", "20 % errors, no shadow", "on a limit",
        "slower model, no shadow", "heavy users", "no traffic", "models of rides",
    }  # fmt: skip
    assert groups <= {s.group for s in found}
    assert {f"rides {name}" for name in RIDES} <= set(names)
    assert all(s.figures for s in found)


@pytest.mark.parametrize("scenario", scenarios(RIDES), ids=lambda s: s.name)
def test_every_figure_can_be_read_off_a_run(scenario: Scenario) -> None:
    found = Summary((simulate(scenario.policy, scenario.traffic, 1, horizon=600),))
    for row in rows_of(scenario, found):
        assert row.value is None or math.isfinite(row.value)


def test_a_figure_that_is_missed_is_marked() -> None:
    biased = Traffic(50, Answers(SAME.control, SAME.control * 2))
    scenario = Scenario("bad", "bad", biased, [stopped(0.01)])
    summary = Summary(tuple(simulate(PRESETS["careful"], biased, s) for s in range(3)))
    rows = rows_of(scenario, summary)
    assert rows[0].missed
    assert rows[1].figure.startswith("  by mean")
