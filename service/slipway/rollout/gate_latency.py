"""The latency gate: the ratio of a quantile of both sides, and an absolute difference. Pure.

All in whole buckets of the histogram, whose edges grow by one factor: a ratio is a number of
edges. FAIL needs ratio and difference, PASS either.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from slipway.buckets import LATENCY_BUCKETS, LATENCY_GROWTH
from slipway.rollout.measures import LATENCY_CELLS, Interval, Window
from slipway.rollout.policy import Latency
from slipway.rollout.quantiles import Tail, lower_edge, quantile_edge, tail_of, upper_edge
from slipway.rollout.readings import Levels, Reading, needed_samples


@dataclass(frozen=True)
class _Span:
    """Edges between which a quantile lies: above `low` (None: anywhere below), at most `high`."""

    low: int | None
    high: int | None


def read_latency(window: Window, policy: Latency, q: float, levels: Levels) -> Reading | None:
    """None while a side has no request that counts."""
    counted, total = window.intervals, window.latency
    if total is None or min(*total.candidate, *total.control) < 0:
        return None
    candidate, control = tail_of(total.candidate), tail_of(total.control)
    if candidate.count <= 0 or control.count <= 0:
        return None
    power = round(math.log(policy.limit) / math.log(LATENCY_GROWTH))

    def passes_at(factor: float) -> bool:
        return _passes(
            _span(candidate.scaled(factor), q, levels.passing),
            _span(control.scaled(factor), q, levels.passing),
            power,
            policy.absolute,
        )

    wide = _span(control, q, levels.failing)
    fails = (
        len(counted) >= policy.least_intervals
        and _fails(_span(candidate, q, levels.failing), wide, power, policy.absolute)
        and _fails(
            _span(_better_half(counted, control, q), q, levels.failing), wide, power,
            policy.absolute,
        )
    )  # fmt: skip
    passes = passes_at(1.0)
    count = int(candidate.count)
    needed = count if passes or fails else needed_samples(count, levels, passes_at)
    low, high = _ratio(_span(candidate, q, levels.passing), _span(control, q, levels.passing))
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
    total = [0] * LATENCY_CELLS
    for row in cells:
        for index, count in enumerate(row):
            if count:
                total[index] += count
    return total


def _span(tail: Tail, q: float, level: float) -> _Span:
    return _Span(lower_edge(tail, q, level), upper_edge(tail, q, level))


def _passes(candidate: _Span, control: _Span, power: int, absolute: float) -> bool:
    if candidate.high is None:
        return False
    if control.low is not None and candidate.high - control.low <= power:
        return True
    least = LATENCY_BUCKETS[control.low] if control.low is not None else 0.0
    return LATENCY_BUCKETS[candidate.high] - least <= absolute


def _fails(candidate: _Span, control: _Span, power: int, absolute: float) -> bool:
    if candidate.low is None or control.high is None:
        return False
    # The quantile lies strictly beyond its lower edge, so equality is enough.
    if candidate.low - control.high < power:
        return False
    return LATENCY_BUCKETS[candidate.low] - LATENCY_BUCKETS[control.high] >= absolute


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


def _ratio(candidate: _Span, control: _Span) -> tuple[float | None, float | None]:
    low = high = None
    if candidate.low is not None and control.high is not None:
        low = LATENCY_GROWTH ** (candidate.low - control.high)
    if candidate.high is not None and control.low is not None:
        high = LATENCY_GROWTH ** (candidate.high - control.low)
    return low, high


def _estimate(candidate: Tail, control: Tail, q: float) -> float:
    one, other = quantile_edge(candidate, q), quantile_edge(control, q)
    if one is None or other is None:
        return math.nan
    return LATENCY_GROWTH ** (one - other)
