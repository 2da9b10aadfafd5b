"""Figures that are shown beside the gates and never judged. Pure.

DESIGN 5 says why none of them decides: a p99 takes thousands of requests, a share beyond a
tolerance is large for every honest better model, and the distance to the model's own reference
sample grows with what the users ask, whoever answers.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from slipway.buckets import LATENCY_BUCKETS, LATENCY_GROWTH
from slipway.rollout.measures import Interval, PairSums, Window
from slipway.rollout.quantiles import quantile_edge, tail_of
from slipway.rollout.readings import percent, plain

# Below so many edges of equal shares, or answers, a distance to them says nothing.
LEAST_EDGES = 10
LEAST_ANSWERS = 50
_P99 = 0.99


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One figure: its value, of how many samples, and a sentence."""

    name: str
    value: float
    samples: int
    sentence: str


def shown_of(window: Window | None, tolerance: float) -> tuple[Shown, ...]:
    """What can be said so far; `tolerance` is in the answer's unit."""
    return tuple(_shown(window, tolerance)) if window else ()


def _shown(window: Window, tolerance: float) -> Iterator[Shown]:
    if window.latency:
        yield from _p99(window.latency)
    if window.pairs and window.pairs.pairs:
        yield _beyond(window.pairs, tolerance)
    yield from _reference(window)


def _p99(latency: Interval) -> Iterator[Shown]:
    """Ratio of the two p99, in whole buckets."""
    sides = tail_of(latency.candidate), tail_of(latency.control)
    candidate, control = (quantile_edge(t, _P99) if t.count > 0 else None for t in sides)
    if candidate is None or control is None:
        return
    ratio = LATENCY_GROWTH ** (candidate - control)
    ends = [f"{1000 * LATENCY_BUCKETS[edge]:.3g}" for edge in (candidate, control)]
    yield Shown(
        name="p99",
        value=ratio,
        samples=int(sides[0].count),
        sentence=f"p99 over the other's {ratio:.2f}: {ends[0]} against {ends[1]} ms",
    )


def _beyond(pairs: PairSums, tolerance: float) -> Shown:
    share = pairs.beyond / pairs.pairs
    return Shown(
        name="tolerance",
        value=share,
        samples=pairs.pairs,
        sentence=f"{percent(share)} of the answers differ by more than {tolerance:g}",
    )


def _reference(window: Window) -> Iterator[Shown]:
    """Largest distance to the reference sample, whose shares between its edges are all equal."""
    counts = window.answers.reference
    total = sum(counts)
    if len(counts) <= LEAST_EDGES or total < LEAST_ANSWERS:
        return
    below, worst = 0, 0.0
    for edge, count in enumerate(counts[:-1], 1):
        below += count
        worst = max(worst, abs(below / total - edge / len(counts)))
    yield Shown(
        name="reference",
        value=worst,
        samples=total,
        sentence=f"largest distance to the model's reference sample {plain(worst)}",
    )
