"""The answers of two groups, each key a few times."""

from __future__ import annotations

import numpy as np

from slipway.rollout.groups import GroupCollector


def test_each_key_counts_five_times_at_most_and_no_key_always() -> None:
    groups = GroupCollector([5.0], 5)
    groups.add("control", np.ones(3))
    groups.add("candidate", np.ones(8), [7] * 8)
    groups.add("candidate", np.ones(4), [0] * 4)
    groups.add("candidate", np.ones(3), [7, 8, 7])
    assert groups.sums().candidate.count == 5 + 4 + 1
    assert groups.keyed


def test_without_edges_the_controls_first_answers_give_them_and_nothing_is_lost() -> None:
    groups = GroupCollector([], 5)
    rng = np.random.default_rng(0)
    for _ in range(10):
        groups.add("control", rng.normal(10, 1, 50))
        groups.add("candidate", rng.normal(10, 1, 10))
    found = groups.sums()
    assert len(found.edges) == 23
    assert (found.control.count, found.candidate.count) == (500, 100)
    assert sum(found.control.bins) == 500
    assert max(found.control.bins) < 60


def test_equal_answers_are_told_from_unequal_ones() -> None:
    groups = GroupCollector([1.0], 5)
    groups.add("control", np.full(10, 3.0))
    groups.add("candidate", np.array([3.0, 3.0, 4.0]))
    assert groups.sums().unequal == 1
