"""Limits and levels by step."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.unit.rollout.windows import state

from slipway.rollout.limits import (
    errors_limit,
    group_mean_limit,
    latency_quantile,
    levels_of,
    statistics,
)
from slipway.rollout.policy import PRESETS, Correlation, Gates
from slipway.rollout.state import Phase


@pytest.mark.parametrize(
    ("phase", "step", "limit"),
    [
        ("shadow", 0, 0.05),
        ("canary", 0, 0.04),
        ("canary", 1, 0.02),
        ("canary", 2, 0.01),
        ("promoted", 0, 0.01),
    ],
)
def test_the_errors_limit_is_the_budget_over_the_traffic_to_come(
    phase: Phase, step: int, limit: float
) -> None:
    assert errors_limit(state(phase, step)) == pytest.approx(limit)


def test_careful_has_twenty_statistics_that_can_fail() -> None:
    careful = PRESETS["careful"]
    assert statistics(careful) == 20
    assert levels_of(careful).failing == pytest.approx(0.0025)
    assert levels_of(careful).passing == 0.05
    shown = replace(careful, gates=replace(Gates(), correlation=Correlation(decides=False)))
    assert statistics(shown) == 18
    assert statistics(PRESETS["fast"]) == 0


def test_a_small_step_has_the_early_quantile_and_mean() -> None:
    quantiles = [latency_quantile(state("canary", step)) for step in range(3)]
    means = [group_mean_limit(state("canary", step)) for step in range(3)]
    assert quantiles == [0.90, 0.95, 0.95]
    assert means == [0.30, 0.15, 0.15]
    assert latency_quantile(state("shadow")) == 0.95
