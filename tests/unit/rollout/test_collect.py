"""Increments become looks; what is missing or impossible is dropped for both sides."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest
from tests.unit.rollout.scene import release

from slipway.rollout.collect import Collector, Increment
from slipway.rollout.gate_errors import read_errors
from slipway.rollout.limits import levels_of
from slipway.rollout.measures import LATENCY_CELLS, MAX_INTERVALS, Counts
from slipway.rollout.plan import Measure
from slipway.rollout.policy import PRESETS, Shadow
from slipway.rollout.state import Placement

MEASURE = Measure(
    epoch=7,
    candidate=Placement(slot="green", release=release("b"), role="candidate"),
    control=Placement(slot="blue", release=release("a"), role="stable"),
    mirrored=False,
    interval=15.0,
    settle=30.0,
    key_cap=5,
    edges=(5.0, 10.0),
)


def latency(count: int, cell: int = 10) -> tuple[int, ...]:
    return tuple(count if index == cell else 0 for index in range(LATENCY_CELLS))


def step(failed: int = 0, **changes: object) -> Increment:
    """Five seconds of ten candidate and ninety control requests."""
    made = Increment(5.0, Counts(10, failed, 90, 0), latency(10), latency(90))
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def test_the_window_changes_at_a_look_and_not_in_between() -> None:
    collector = Collector(MEASURE)
    assert (collector.window.epoch, collector.window.looks) == (7, 0)
    assert [collector.add(step()) for _ in range(4)] == [False, False, True, False]
    assert collector.window.counts == Counts(30, 0, 270, 0)
    assert (collector.window.seconds, collector.window.looks) == (15.0, 1)


def test_latency_counts_from_the_settling_time_on_and_errors_at_once() -> None:
    collector = Collector(MEASURE)
    for _ in range(12):
        collector.add(step())
    window = collector.window
    assert window.counts.candidate == 120
    assert len(window.intervals) == 2
    assert window.latency
    assert (sum(window.latency.candidate), sum(window.latency.control)) == (60, 540)


@pytest.mark.parametrize(
    "bad",
    [
        step(usable=False),
        step(counts=Counts(10, 11, 90, 0)),
        step(counts=Counts(-1, 0, 90, 0)),
        step(candidate_latency=latency(-3)),
        step(candidate_latency=(1, 2, 3)),
    ],
)
def test_D9_an_interval_with_a_missing_or_impossible_series_counts_for_neither_side(
    bad: Increment,
) -> None:
    collector = Collector(MEASURE)
    for increment in (step(), bad, step(), step(), step(), step()):
        collector.add(increment)
    assert collector.window.counts == Counts(30, 0, 270, 0)
    assert (collector.window.dropped, collector.window.looks) == (1, 2)


def test_the_two_worst_slices_are_kept() -> None:
    collector = Collector(MEASURE)
    for failed in (1, 5, 0, 2, 9, 3):
        collector.add(step(failed))
    assert [c.candidate_failed for c in collector.window.worst] == [9, 5]


def test_slices_of_short_increments_are_five_seconds() -> None:
    collector = Collector(MEASURE)
    for _ in range(15):
        collector.add(step(2, seconds=1.0))
    assert [c.candidate_failed for c in collector.window.worst] == [10, 10]


def test_with_short_looks_a_model_that_fails_from_the_start_is_no_burst() -> None:
    """One in five fails, 75 requests a second: off within two looks after the hundredth one."""
    policy = msgspec.structs.replace(PRESETS["test"], shadow=Shadow(enabled=False))
    limits = policy.gates.errors.limit, policy.gates.errors.limit
    collector = Collector(dataclasses.replace(MEASURE, interval=policy.interval))
    looks = []
    for number in range(10):
        failed = 7 + number % 2
        collector.add(Increment(policy.tick, Counts(37, failed, 38, 0), latency(37), latency(38)))
        window = collector.window
        reading = read_errors(
            window.counts, window.worst, limits, levels_of(policy, brief=True), paired=False
        )
        if reading and reading.fails:
            looks.append(window.looks)
    assert min(looks, default=99) <= 4


def test_old_intervals_leave_the_list_and_stay_in_the_sum() -> None:
    collector = Collector(dataclasses.replace(MEASURE, interval=1.0, settle=0.0))
    for _ in range(MAX_INTERVALS + 60):
        collector.add(step(seconds=1.0))
    assert len(collector.window.intervals) == MAX_INTERVALS
    assert collector.window.latency
    assert sum(collector.window.latency.candidate) == 10 * (MAX_INTERVALS + 60)


def test_pairs_give_sums_and_the_edges_of_the_steps_to_come() -> None:
    collector = Collector(dataclasses.replace(MEASURE, mirrored=True))
    answers = np.arange(100.0)
    for _ in range(9):
        collector.add(step(pairs=(answers, answers + 1), unmatched=1))
    window = collector.window
    assert window.groups is None
    assert window.pairs
    assert (window.pairs.pairs, window.pairs.unequal, window.unmatched) == (900, 900, 9)
    assert len(window.quantiles) == 23
    assert window.quantiles[11] == pytest.approx(49.5, abs=1)


def test_groups_are_counted_with_their_keys() -> None:
    collector = Collector(MEASURE)
    for _ in range(3):
        collector.add(
            step(
                candidate_answers=np.full(10, 7.0),
                candidate_keys=[3] * 10,
                control_answers=np.full(90, 7.0),
            )
        )
    groups = collector.window.groups
    assert groups
    assert (groups.candidate.count, groups.control.count) == (5, 270)
    assert groups.candidate.bins == (0, 5, 0)
    assert collector.window.keyed
