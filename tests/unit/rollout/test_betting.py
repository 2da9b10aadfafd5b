"""The bounds for a difference of failure shares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.rollout.betting import Failures, is_above, is_below, lower_bound, upper_bound
from slipway.rollout.gate_errors import failures_of
from slipway.rollout.measures import Counts


def split(n: int, failed: int, share: float, control_failed: int = 0) -> Failures:
    return Failures(n, failed, round(n * (1 - share) / share), control_failed, paired=False)


@pytest.mark.parametrize("share", [0.05, 0.25, 0.5])
@pytest.mark.parametrize("n", [100, 400, 2000])
def test_without_a_failure_the_upper_bound_is_four_over_the_requests(n: int, share: float) -> None:
    assert upper_bound(split(n, 0, share), 0.05) * n == pytest.approx(4.04, rel=0.06)


def test_without_a_failure_the_bound_is_never_zero() -> None:
    assert upper_bound(split(10_000_000, 0, 0.5), 0.05) > 0


@pytest.mark.parametrize(
    ("failures", "below", "above"),
    [
        (split(405, 0, 0.05), True, False),
        (split(380, 0, 0.05), False, False),
        (split(40, 8, 0.05), False, True),
        (split(20, 0, 0.05), False, False),
        (split(20_000, 400, 0.25, 1200), True, False),
        (Failures(405, 0, 405, 0, paired=True), True, False),
        (Failures(100, 20, 100, 0, paired=True), False, True),
        (Failures(100, 20, 100, 20, paired=True), False, False),
        (Failures(0, 0, 100, 0, paired=False), False, False),
        (Failures(100, 0, 0, 0, paired=False), False, False),
    ],
)
def test_verdicts_at_a_limit_of_one_point(failures: Failures, below: bool, above: bool) -> None:
    assert is_below(failures, 0.01, 0.05) == below
    assert is_above(failures, 0.01, 0.0025) == above


counts = st.integers(1, 100_000)


@given(counts, counts, st.floats(0, 1), st.floats(0, 1), st.booleans())
def test_the_interval_holds_the_estimate(
    n: int, m: int, one: float, other: float, paired: bool
) -> None:
    control = n if paired else m
    failures = failures_of(Counts(n, int(n * one), control, int(control * other)), paired=paired)
    assert lower_bound(failures, 0.0025) <= max(failures.estimate, 0) + 1e-9
    assert upper_bound(failures, 0.05) >= min(failures.estimate, 1) - 1e-9


@given(counts, st.floats(0, 1), st.floats(0.0001, 0.9))
def test_what_is_below_a_limit_is_below_a_larger_one_and_never_above_it(
    n: int, share: float, limit: float
) -> None:
    failures = split(n, int(n * share), 0.25)
    if is_below(failures, limit, 0.05):
        assert is_below(failures, limit * 1.1, 0.05)
    if is_above(failures, limit, 0.05):
        assert is_above(failures, limit * 0.9, 0.05)


def test_a_true_difference_on_the_limit_passes_in_five_of_a_hundred_rollouts_at_most() -> None:
    """Forty looks each; the bound holds at all of them together."""
    rng = np.random.default_rng(11)
    passed = failed = 0
    for _ in range(400):
        n = k = m = 0
        for _ in range(40):
            n, m = n + 30, m + 90
            k += rng.binomial(30, 0.05)
            failures = Failures(n, k, m, 0, paired=False)
            if is_below(failures, 0.05, 0.05):
                passed += 1
                break
            if is_above(failures, 0.05, 0.0025):
                failed += 1
                break
    assert passed <= 28  # 20 expected at the most, 28 is two standard deviations above
    assert failed <= 4
