"""Estimates with deviations from the power sums of pairs and groups. Pure.

Each estimate comes with the standard deviation of its per-pair terms (its influence function), so
that a confidence sequence for a mean serves for a ratio and a correlation as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from slipway.rollout.measures import Earlier, Floats, Group, GroupSums, PairSums

_BINOMIAL = ((1, 0, 0, 0, 0), (1, 1, 0, 0, 0), (1, 2, 1, 0, 0), (1, 3, 3, 1, 0), (1, 4, 6, 4, 1))
# Absurd answers make infinities, and those make no verdict.
_QUIET = np.errstate(all="ignore")


@dataclass(frozen=True)
class Estimate:
    """A mean of `count` terms and the standard deviation of one term."""

    value: float
    deviation: float
    count: float

    @property
    def sound(self) -> bool:
        """Whether all of it is finite."""
        return math.isfinite(self.value) and math.isfinite(self.deviation) and self.count > 0


@_QUIET
def mean_over_mean(pairs: PairSums) -> Estimate | None:
    """Mean difference over the control's mean; None where that mean is 0.

    r = mean(d) / mean(s) with d = c - s; terms (d - r s) / mean(s).
    """
    m = pairs.means
    control = pairs.origin + pairs.unit * float(m[1, 0])
    if control == 0:
        return None
    ratio = pairs.unit * float(m[0, 1] - m[1, 0]) / control
    # d - r s = c - (1 + r) s, whose mean is 0.
    central = central_moments(pairs)
    stretch = 1 + ratio
    variance = central[0, 2] - 2 * stretch * central[1, 1] + stretch * stretch * central[2, 0]
    deviation = pairs.unit * math.sqrt(max(float(variance), 0.0)) / abs(control)
    return Estimate(ratio, deviation, pairs.pairs)


@_QUIET
def mean_over_deviation(pairs: PairSums, earlier: Earlier) -> Estimate | None:
    """Mean difference over the deviation of the control's earlier answers; None if that is 0."""
    if earlier.deviation <= 0:
        return None
    m, central = pairs.means, central_moments(pairs)
    scale = pairs.unit / earlier.deviation
    variance = central[0, 2] - 2 * central[1, 1] + central[2, 0]
    return Estimate(
        scale * float(m[0, 1] - m[1, 0]), scale * math.sqrt(max(float(variance), 0.0)), pairs.pairs
    )


@_QUIET
def correlation(pairs: PairSums) -> Estimate:
    """Of the two answers; 0 where the candidate's do not vary.

    With standardised x and y, terms x y - rho (x^2 + y^2) / 2.
    """
    c = central_moments(pairs)
    spread_s, spread_c = np.sqrt(np.maximum(c[2, 0], 0.0)), np.sqrt(np.maximum(c[0, 2], 0.0))
    if spread_s <= 0 or spread_c <= 1e-9 * spread_s:
        return Estimate(0.0, 0.0, pairs.pairs)
    rho = float(c[1, 1] / (spread_s * spread_c))

    def moment(i: int, j: int) -> float:
        return float(c[i, j] / (spread_s**i * spread_c**j))

    variance = (
        moment(2, 2)
        - rho * (moment(3, 1) + moment(1, 3))
        + rho**2 / 4 * (moment(4, 0) + 2 * moment(2, 2) + moment(0, 4))
    )
    return Estimate(rho, math.sqrt(max(variance, 0.0)), pairs.pairs)


@_QUIET
def central_moments(pairs: PairSums) -> Floats:
    """Moments about the means in units of the sums, shape (5, 5), for i + j <= 4."""
    raw = pairs.means
    shift_s, shift_c = -raw[1, 0], -raw[0, 1]
    left = np.array(
        [[_BINOMIAL[i][a] * shift_s ** (i - a) if a <= i else 0.0 for a in range(5)]
         for i in range(5)]
    )  # fmt: skip
    right = np.array(
        [[_BINOMIAL[j][b] * shift_c ** (j - b) if b <= j else 0.0 for b in range(5)]
         for j in range(5)]
    )  # fmt: skip
    found: Floats = left @ raw @ right.T
    return found


def harmonic(one: float, other: float) -> float:
    """The number of pairs that two groups are worth."""
    return one * other / (one + other) if one + other > 0 else 0.0


def group_means(groups: GroupSums) -> Estimate | None:
    """Difference of the groups' means over the control's; None where that is 0 or unknown."""
    candidate, control = groups.candidate, groups.control
    if candidate.count < 2 or control.count < 2:
        return None
    mean_c, variance_c = _mean_and_variance(candidate)
    mean_s, variance_s = _mean_and_variance(control)
    scale = groups.origin + groups.unit * mean_s
    if scale == 0:
        return None
    worth = harmonic(candidate.count, control.count)
    variance = (variance_c / candidate.count + variance_s / control.count) * worth
    return Estimate(
        groups.unit * (mean_c - mean_s) / scale,
        groups.unit * math.sqrt(max(variance, 0.0)) / abs(scale),
        worth,
    )


@_QUIET
def control_variance(pairs: PairSums) -> float:
    """Variance of the control's answers, in squared units of the sums."""
    m = pairs.means
    return float(m[2, 0] - m[1, 0] * m[1, 0])


def control_spread(groups: GroupSums) -> tuple[float, float]:
    """Mean and standard deviation of the control's answers."""
    mean, variance = _mean_and_variance(groups.control)
    return groups.origin + groups.unit * mean, groups.unit * math.sqrt(max(variance, 0.0))


def _mean_and_variance(group: Group) -> tuple[float, float]:
    mean = group.first / max(group.count, 1)
    return mean, group.second / max(group.count, 1) - mean * mean


def edge_distances(groups: GroupSums) -> list[Estimate]:
    """|F_c - F_s| at each edge, with the deviation of one pair's worth."""
    candidate, control = groups.candidate, groups.control
    if not candidate.count or not control.count or not candidate.bins:
        return []
    worth = harmonic(candidate.count, control.count)
    below_c = np.cumsum(candidate.bins)[:-1] / candidate.count
    below_s = np.cumsum(control.bins)[:-1] / control.count
    share = candidate.count / (candidate.count + control.count)
    pooled = share * below_c + (1 - share) * below_s
    deviations = np.sqrt(np.maximum(pooled * (1 - pooled), 0.0))
    distances = np.abs(below_c - below_s)
    return [
        Estimate(d, s, worth) for d, s in zip(distances.tolist(), deviations.tolist(), strict=True)
    ]
