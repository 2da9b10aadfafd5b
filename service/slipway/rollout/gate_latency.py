"""The latency gate: the ratio of a quantile of both sides, and an absolute difference. Pure.

All in whole buckets of the histogram, whose edges grow by one factor: a ratio is a number of
edges. FAIL needs ratio and difference, PASS either.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from slipway.buckets import LATENCY_BUCKETS, LATENCY_GROWTH
from slipway.rollout.measures import Interval, Window
from slipway.rollout.policy import Latency
from slipway.rollout.quantiles import Tail, lower_edge, quantile_edge, tail_of, upper_edge
from slipway.rollout.readings import Levels, Reading, needed_samples


@dataclass(frozen=True)
class _Limits:
    """What a ratio of `edges` and a difference of `absolute` seconds mean at quantile `q`."""

    q: float
    edges: int
    absolute: float


def read_latency(window: Window, policy: Latency, q: float, levels: Levels) -> Reading | None:
    """None while a side has no request that counts."""
    counted, total = window.intervals, window.latency
    if total is None or min(*total.candidate, *total.control) < 0:
        return None
    candidate, control = tail_of(total.candidate), tail_of(total.control)
    if candidate.count <= 0 or control.count <= 0:
        return None
    power = round(math.log(policy.limit) / math.log(LATENCY_GROWTH))
    limits = _Limits(q, power, policy.absolute)
    passes = _passes(candidate, control, limits, levels.passing)
    # Not both can be: the upper bound of what passes is below the limit.
    fails = (
        not passes
        and len(counted) >= policy.least_intervals
        and _fails(candidate, control, limits, levels.failing)
        and _fails(_better_half(counted, control, q), control, limits, levels.failing)
    )
    count = int(candidate.count)
    needed = count if passes or fails else needed_samples(
        count,
        levels,
        lambda f: _passes(candidate.scaled(f), control.scaled(f), limits, levels.passing),
    )  # fmt: skip
    low, high = (None, None) if levels.brief else _ratio(candidate, control, q, levels.passing)
    return Reading(
        passes=passes,
        fails=fails,
        estimate=_estimate(candidate, control, q),
        lower=low,
        upper=high,
        limit=policy.limit,
        samples=count,
        needed=needed,
        shown=lambda ratio: f"{ratio:.2f}",
        what=f"p{100 * q:g} over the other's",
    )


def _sum(cells: Iterable[Sequence[int]]) -> list[int]:
    return [sum(column) for column in zip(*cells, strict=True)]


def _passes(candidate: Tail, control: Tail, limits: _Limits, level: float) -> bool:
    high = upper_edge(candidate, limits.q, level)
    if high is None:
        return False
    low = lower_edge(control, limits.q, level)
    if low is not None and high - low <= limits.edges:
        return True
    least = LATENCY_BUCKETS[low] if low is not None else 0.0
    return LATENCY_BUCKETS[high] - least <= limits.absolute


def _fails(candidate: Tail, control: Tail, limits: _Limits, level: float) -> bool:
    low, high = lower_edge(candidate, limits.q, level), upper_edge(control, limits.q, level)
    # The quantile lies strictly beyond its lower edge, so equality is enough.
    if low is None or high is None or low - high < limits.edges:
        return False
    return LATENCY_BUCKETS[low] - LATENCY_BUCKETS[high] >= limits.absolute


def _better_half(intervals: Sequence[Interval], control: Tail, q: float) -> Tail:
    """The candidate's better intervals, by their share beyond the control's quantile.

    A slow spell of one slot, or a cold start, fills some intervals and says nothing about the
    model; a slow model fills all of them.
    """
    edge = quantile_edge(control, q)
    if edge is None:
        return Tail(0, ())

    def share(interval: Interval) -> float:
        return sum(interval.candidate[edge + 1 :]) / max(sum(interval.candidate), 1)

    busy = sorted((i for i in intervals if any(i.candidate)), key=share)
    return tail_of(_sum(i.candidate for i in busy[: (len(busy) + 1) // 2]))


def _ratio(
    candidate: Tail, control: Tail, q: float, level: float
) -> tuple[float | None, float | None]:
    low, high = lower_edge(candidate, q, level), upper_edge(candidate, q, level)
    least, most = lower_edge(control, q, level), upper_edge(control, q, level)
    return (
        LATENCY_GROWTH ** (low - most) if low is not None and most is not None else None,
        LATENCY_GROWTH ** (high - least) if high is not None and least is not None else None,
    )


def _estimate(candidate: Tail, control: Tail, q: float) -> float:
    one, other = quantile_edge(candidate, q), quantile_edge(control, q)
    if one is None or other is None:
        return math.nan
    return LATENCY_GROWTH ** (one - other)
