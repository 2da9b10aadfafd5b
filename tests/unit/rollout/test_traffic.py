"""Modelled traffic has the shares that it is told to have."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from slipway.rollout.collect import Increment
from slipway.rollout.measures import LATENCY_CELLS
from slipway.rollout.quantiles import quantile_edge, tail_of
from slipway.rollout.traffic import Answers, Keys, Spells, Stream, Traffic, ride_answers

SAME = ride_answers(2000)


def slices(traffic: Traffic, count: int, share: float = 0.25, *, mirrored: bool = False,
           age: float = 100.0) -> list[Increment]:  # fmt: skip
    stream = Stream(traffic, np.random.default_rng(3))
    return [stream.slice(share, mirrored=mirrored, age=age) for _ in range(count)]


def total(rows: Sequence[Sequence[int]]) -> list[int]:
    return np.sum([row for row in rows if len(row)], axis=0).tolist()  # type: ignore[no-any-return]


def test_the_requests_come_at_their_rate_and_are_split_by_the_weight() -> None:
    seen = slices(Traffic(100, SAME), 200)
    counts = [s.counts for s in seen]
    candidate, control = (
        sum(getattr(c, side) for c in counts) for side in ("candidate", "control")
    )
    assert candidate + control == pytest.approx(100_000, rel=0.02)
    assert candidate / (candidate + control) == pytest.approx(0.25, abs=0.01)
    assert sum(len(s.candidate_answers) for s in seen) == candidate


def test_in_shadow_both_sides_answer_the_same_requests() -> None:
    answers = Answers(SAME.control, SAME.control + 1)
    for seen in slices(Traffic(20, answers), 20, 1.0, mirrored=True):
        control, candidate = seen.pairs
        assert len(control) == seen.counts.candidate == seen.counts.control
        assert candidate == pytest.approx(control + 1)
        assert not len(seen.candidate_answers)


def test_failures_have_their_shares_and_those_of_both_are_told_apart() -> None:
    counts = [s.counts for s in slices(Traffic(200, SAME, failing=0.1, worse=0.1), 200)]
    candidate = sum(c.candidate for c in counts)
    assert sum(c.candidate_failed for c in counts) / candidate == pytest.approx(0.18, abs=0.01)
    assert sum(c.both_failed for c in counts) / candidate == pytest.approx(0.02, abs=0.005)
    own = sum(c.control_own for c in counts) / sum(c.control for c in counts)
    assert own == pytest.approx(0.1, abs=0.01)
    assert all(c.sound and not c.control_failed for c in counts)


def test_a_slower_candidate_is_slower_by_its_factor() -> None:
    seen = slices(Traffic(200, SAME, slower=1.5), 100, 0.5)
    edges = [
        quantile_edge(tail_of(total(rows)), 0.9)
        for rows in ([s.candidate_latency for s in seen], [s.control_latency for s in seen])
    ]
    assert edges[0] is not None
    assert edges[1] is not None
    assert edges[0] - edges[1] in (2, 3, 4)


def test_a_cold_candidate_warms_up() -> None:
    def first_edge(age: float) -> int:
        seen = slices(Traffic(200, SAME, cold=4.0), 10, 0.5, age=age)
        edge = quantile_edge(tail_of(total([s.candidate_latency for s in seen])), 0.5)
        assert edge is not None
        return edge

    assert first_edge(0.0) - first_edge(20.0) in (9, 10, 11)
    assert first_edge(20.0) == first_edge(200.0)


def test_spells_strike_their_share_of_the_time_and_their_sides() -> None:
    both = Spells(0.2, 20.0, both=True, failing=1.0)
    seen = slices(Traffic(50, SAME, failing=0.0, spells=both), 4000, 0.5)
    struck = [s.counts.both_failed > 0 for s in seen]
    assert np.mean(struck) == pytest.approx(0.2, abs=0.05)
    assert all(s.counts.candidate_failed == 0 for s in seen)
    alone = dataclasses.replace(both, both=False)
    seen = slices(Traffic(50, SAME, failing=0.0, spells=alone), 4000, 0.5)
    mine = np.array([s.counts.candidate_failed + s.counts.both_failed > 0 for s in seen])
    theirs = np.array([s.counts.control_own > 0 for s in seen])
    assert mine.mean() == pytest.approx(0.2, abs=0.05)
    assert (mine & theirs).mean() < 0.1


def test_users_keep_their_slot_and_the_heavy_ones_come_often() -> None:
    seen = slices(Traffic(100, SAME, keys=Keys(1000)), 50)
    mine = {key for s in seen for key in s.candidate_keys}
    theirs = {key for s in seen for key in s.control_keys}
    assert not mine & theirs
    assert 0 not in mine | theirs
    first = sum(list(s.candidate_keys).count(1) + list(s.control_keys).count(1) for s in seen)
    assert first > 0.05 * sum(s.counts.total for s in seen)
    assert all(len(s.candidate_keys) == len(s.candidate_answers) for s in seen)


def test_users_may_have_latencies_of_their_own() -> None:
    seen = slices(Traffic(100, SAME, keys=Keys(1000, latency=0.5)), 5)
    for made in seen:
        assert len(made.candidate_latency) == LATENCY_CELLS
        assert sum(made.candidate_latency) == made.counts.candidate


def test_answers_come_in_pairs() -> None:
    with pytest.raises(ValueError, match="pairs"):
        Answers(np.ones(3), np.ones(4))


def test_no_traffic_is_no_traffic() -> None:
    for seen in slices(Traffic(0.0, SAME), 5):
        assert seen.counts.total == 0
