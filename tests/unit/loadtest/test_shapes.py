"""The shapes: what they ask for, and that they end."""

from __future__ import annotations

import pytest
from loadtest.shapes import SHAPES, asked, rate_at


@pytest.mark.parametrize("name", SHAPES)
def test_a_shape_lasts_as_long_as_it_was_told_and_then_ends(name: str) -> None:
    stages = SHAPES[name](50, 60)
    assert sum(stage.seconds for stage in stages) == pytest.approx(60)
    assert rate_at(stages, 0) is not None
    assert rate_at(stages, 59.9) == 50
    assert rate_at(stages, 60.1) is None


@pytest.mark.parametrize("name", SHAPES)
def test_what_is_asked_is_the_rate_summed_over_time(name: str) -> None:
    stages = SHAPES[name](50, 60)
    seconds = [rate_at(stages, k / 10) or 0 for k in range(600)]
    assert asked(stages, 60) == pytest.approx(sum(seconds) / 10, rel=0.02)
    assert asked(stages, 20) == pytest.approx(sum(seconds[:200]) / 10, rel=0.02)
    assert asked(stages, 99) == asked(stages, 60)
    assert asked(stages, 0) == 0


def test_the_ramp_never_falls_and_the_spike_is_three_times_the_rate() -> None:
    ramp = [stage.rate for stage in SHAPES["ramp"](50, 60)]
    assert ramp == sorted(ramp)
    assert ramp[0] < ramp[-1] == 50
    assert max(stage.rate for stage in SHAPES["spike"](50, 60)) == 150


def test_a_ramp_to_one_request_a_second_asks_for_something_from_the_start() -> None:
    assert all(stage.rate == 1 for stage in SHAPES["ramp"](1, 10))
