"""States in each phase, and windows made of answers and latencies, for the gates' tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from tests.unit.rollout.scene import release

from slipway.buckets import LATENCY_BUCKETS
from slipway.rollout.collect import Collector, Increment
from slipway.rollout.measures import LATENCY_CELLS, Earlier, Floats, Window
from slipway.rollout.plan import measure_of
from slipway.rollout.policy import PRESETS, Policy
from slipway.rollout.state import Phase, Placement, State

CANDIDATE = Placement(slot="green", release=release("b"), role="candidate")
STABLE = Placement(slot="blue", release=release("a"), role="stable")
WARM = Placement(slot="green", release=release("b"), role="warm")


def state(phase: Phase, step: int = 0, policy: Policy | None = None) -> State:
    """A state in which something is measured."""
    chosen = policy or PRESETS["careful"]
    return State(
        phase=phase,
        epoch=5,
        stable=STABLE,
        spare=WARM if phase == "promoted" else CANDIDATE,
        step=step,
        weight=chosen.weights[step] if phase == "canary" else 0,
        policy=chosen,
        edges=tuple(np.quantile(rides(2000, seed=1), np.arange(1, 24) / 24).tolist()),
    )


def rides(count: int, seed: int = 0) -> Floats:
    """Answers that look like ride durations: mean 13.9, deviation 8.8 minutes."""
    return np.random.default_rng(seed).gamma(2.5, 5.56, count)


def seconds(count: int, seed: int = 0, median: float = 0.020) -> Floats:
    """Latencies, lognormal."""
    return median * np.exp(0.5 * np.random.default_rng(seed).standard_normal(count))


def cells(latencies: Floats) -> tuple[int, ...]:
    """Counts by bucket."""
    at = np.searchsorted(LATENCY_BUCKETS, latencies, side="left")
    return tuple(np.bincount(at, minlength=LATENCY_CELLS).tolist())


def window(
    of: State, *parts: dict[str, Any], looks: int = 1, earlier: Earlier | None = None
) -> Window:
    """A window of increments, each a whole interval; without parts one that saw nothing."""
    measure = measure_of(of)
    assert measure
    collector = Collector(measure, earlier)
    for _ in range(looks):
        for part in parts:
            collector.add(Increment(measure.interval, **part))
    return collector.window
