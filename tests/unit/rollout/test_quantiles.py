"""Quantile bounds in whole buckets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.rollout.quantiles import Tail, lower_edge, quantile_edge, tail_of, upper_edge

cells = st.lists(st.integers(0, 5_000), min_size=2, max_size=30)


def test_a_tail_counts_what_lies_beyond_each_edge() -> None:
    assert tail_of([5, 3, 0, 2]) == Tail(10, (5, 2, 2))


@given(cells, st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_the_quantile_lies_between_its_bounds(row: list[int], q: float) -> None:
    tail = tail_of(row)
    at, low, high = quantile_edge(tail, q), lower_edge(tail, q, 0.05), upper_edge(tail, q, 0.05)
    if low is not None:
        assert at is None or low < at
    if high is not None:
        assert at is not None
        assert at <= high


def test_no_data_has_no_bounds() -> None:
    empty = tail_of([0] * 10)
    assert upper_edge(empty, 0.9, 0.05) is None
    assert lower_edge(empty, 0.9, 0.05) is None


def test_a_quantile_in_the_last_bucket_has_no_upper_bound() -> None:
    tail = tail_of([0, 0, 1000])
    assert upper_edge(tail, 0.9, 0.05) is None
    assert lower_edge(tail, 0.9, 0.05) == 1


@pytest.mark.parametrize("q", [0.9, 0.95])
def test_the_true_quantile_is_missed_in_few_of_many_looks(q: float) -> None:
    """Sixty looks at uniform data in 40 buckets, 200 times."""
    rng = np.random.default_rng(5)
    true = round(q * 40) - 1  # the last bucket that reaches up to the quantile
    missed = 0
    for _ in range(200):
        row = np.zeros(40, dtype=int)
        for _ in range(60):
            row += np.bincount(rng.integers(0, 40, 25), minlength=40)
            tail = tail_of(row.tolist())
            low, high = lower_edge(tail, q, 0.05), upper_edge(tail, q, 0.05)
            if (high is not None and high < true) or (low is not None and low > true):
                missed += 1
                break
    assert missed <= 12
