"""Estimates from sums equal those from the answers themselves."""

from __future__ import annotations

import numpy as np
import pytest

from slipway.rollout.groups import GroupCollector
from slipway.rollout.measures import Earlier, Floats, PairSums
from slipway.rollout.moments import (
    correlation,
    edge_distances,
    group_means,
    mean_over_deviation,
    mean_over_mean,
)

RNG = np.random.default_rng(9)
S: Floats = RNG.gamma(2.4, 5.8, 3000)
C: Floats = S * 1.05 + RNG.normal(0, 3, 3000)


def sums(control: Floats, candidate: Floats, size: int = 100) -> PairSums:
    found = PairSums()
    for at in range(0, len(control), size):
        found = found.plus(control[at : at + size], candidate[at : at + size])
    return found


def test_the_mean_difference_and_its_terms() -> None:
    found = mean_over_mean(sums(S, C))
    assert found
    d = C - S
    r = d.mean() / S.mean()
    assert found.value == pytest.approx(r)
    assert found.deviation == pytest.approx(((d - r * S) / S.mean()).std())
    assert found.count == 3000


def test_the_mean_difference_over_earlier_answers() -> None:
    found = mean_over_deviation(sums(S, C), Earlier(2000, 13.0, 9.0))
    assert found
    assert found.value == pytest.approx((C - S).mean() / 9)
    assert found.deviation == pytest.approx((C - S).std() / 9)


def test_the_correlation_and_its_terms() -> None:
    found = correlation(sums(S, C))
    x, y = (S - S.mean()) / S.std(), (C - C.mean()) / C.std()
    rho = (x * y).mean()
    assert found.value == pytest.approx(rho)
    assert found.deviation == pytest.approx((x * y - rho * (x * x + y * y) / 2).std())


def test_a_candidate_without_spread_has_no_correlation() -> None:
    assert correlation(sums(S, np.full(3000, 13.9))).value == 0


def test_the_order_and_size_of_the_parts_do_not_matter() -> None:
    one, other = correlation(sums(S, C, 7)), correlation(sums(S[::-1], C[::-1], 1000))
    assert one.value == pytest.approx(other.value)
    assert one.deviation == pytest.approx(other.deviation)


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_the_unit_of_the_answers_does_not_matter(scale: float) -> None:
    found, scaled = mean_over_mean(sums(S, C)), mean_over_mean(sums(S * scale, C * scale))
    assert found
    assert scaled
    assert scaled.value == pytest.approx(found.value)
    assert scaled.deviation == pytest.approx(found.deviation)


@pytest.mark.parametrize("bad", [1e308, 1e200, float("inf"), float("nan")])
def test_absurd_answers_are_not_sound(bad: float) -> None:
    absurd = C.copy()
    absurd[5] = bad
    for found in (mean_over_mean(sums(S, absurd)), correlation(sums(S, absurd))):
        assert found is None or not found.sound or abs(found.value) > 1e3


def test_group_means_and_distances() -> None:
    collector = GroupCollector(np.quantile(S, np.arange(1, 24) / 24).tolist(), 5)
    for at in range(0, 3000, 500):
        collector.add("candidate", C[at : at + 150])
        collector.add("control", S[at : at + 500])
    one, other = np.concatenate([C[at : at + 150] for at in range(0, 3000, 500)]), S
    found = group_means(collector.sums())
    assert found
    assert found.value == pytest.approx((one.mean() - other.mean()) / other.mean())
    worth = len(one) * len(other) / (len(one) + len(other))
    variance = (one.var() / len(one) + other.var() / len(other)) / other.mean() ** 2
    assert found.deviation == pytest.approx(np.sqrt(variance * worth))
    assert found.count == pytest.approx(worth)
    edges = collector.sums().edges
    distances = edge_distances(collector.sums())
    assert len(distances) == len(edges) == 23
    for edge, distance in zip(edges, distances, strict=True):
        assert distance.value == pytest.approx(abs((one <= edge).mean() - (other <= edge).mean()))
