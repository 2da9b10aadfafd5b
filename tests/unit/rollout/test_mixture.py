"""Half-widths of normal mixtures and the split of the requests."""

from __future__ import annotations

import math

import numpy as np
import pytest

from slipway.rollout.mixture import half_width, split_differs


def test_the_half_width_is_robbins_formula() -> None:
    expected = 2 * math.sqrt(500 * (math.log(500 / 100) + 2 * math.log(20))) / 400
    assert half_width(2.0, 400, 0.05) == pytest.approx(expected)


def test_nothing_measured_is_infinitely_wide() -> None:
    assert half_width(1.0, 0, 0.05) == math.inf


def test_a_true_mean_on_the_limit_is_passed_in_few_of_many_looks() -> None:
    rng = np.random.default_rng(3)
    terms = rng.standard_normal((500, 4000)).cumsum(axis=1)[:, 99::100]
    counts = [100 * n for n in range(1, 41)]
    widths = np.array([half_width(1.0, n, 0.05) for n in counts])
    crossed = (terms / np.array(counts) < -widths).any(axis=1).mean()
    assert crossed <= 0.07


def test_a_right_split_is_hardly_ever_taken_for_a_wrong_one() -> None:
    rng = np.random.default_rng(4)
    wrong = 0
    for _ in range(300):
        hits = rng.binomial(50, 0.05, 40).cumsum()
        wrong += any(split_differs(int(h), 50 * (n + 1), 0.05, 0.001) for n, h in enumerate(hits))
    assert wrong <= 2


@pytest.mark.parametrize(("hits", "total"), [(100, 1000), (0, 400), (500, 1000)])
def test_a_wrong_split_is_seen(hits: int, total: int) -> None:
    assert split_differs(hits, total, 0.05, 0.001)
