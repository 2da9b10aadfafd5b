"""Bounds of a quantile in whole histogram buckets that hold at every look. Pure.

An edge is below or above the quantile as the share beyond it is above or below 1 - q: a test of
one proportion by a beta mixture for each edge. No correction over the edges is needed, because
the counts beyond them are monotone (fixed-quantile sequences, Howard and Ramdas 2022).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from slipway.rollout.mixture import log_beta_binomial

# Beta priors, in favour of small shares: quick where the quantile is well inside, or well beyond.
_WITHIN = 0.5, 50.0
_BEYOND = 0.5, 5.0


@dataclass(frozen=True)
class Tail:
    """How many of `count` observations lie beyond each edge; falls from edge to edge."""

    count: float
    beyond: tuple[float, ...]

    def scaled(self, factor: float) -> Tail:
        """The same shares among `factor` times as many observations."""
        return Tail(self.count * factor, tuple(k * factor for k in self.beyond))


def tail_of(cells: Sequence[int]) -> Tail:
    """From the counts per bucket, the last of which lies beyond the last edge."""
    sums = list(accumulate(reversed(cells)))
    return Tail(sums[-1] if sums else 0, tuple(reversed(sums[:-1])))


def quantile_edge(tail: Tail, q: float) -> int | None:
    """The first edge that no more than 1 - q lies beyond; None beyond the last one."""
    most = (1 - q) * tail.count
    return _first(len(tail.beyond), lambda edge: tail.beyond[edge] <= most)


def upper_edge(tail: Tail, q: float, level: float) -> int | None:
    """The first edge that the quantile is known not to exceed, None if there is none."""
    if tail.count <= 0:
        return None
    return _first(len(tail.beyond), lambda edge: _is_within(tail, edge, q, level))


def lower_edge(tail: Tail, q: float, level: float) -> int | None:
    """The last edge that the quantile is known to exceed, None if there is none."""
    if tail.count <= 0:
        return None
    first = _first(len(tail.beyond), lambda edge: not _is_beyond(tail, edge, q, level))
    last = (len(tail.beyond) if first is None else first) - 1
    return last if last >= 0 else None


def _is_within(tail: Tail, edge: int, q: float, level: float) -> bool:
    k, p = tail.beyond[edge], 1 - q
    return k < p * tail.count and (
        log_beta_binomial(k, tail.count, p, _WITHIN) >= math.log(2 / level)
    )


def _is_beyond(tail: Tail, edge: int, q: float, level: float) -> bool:
    k, p = tail.beyond[edge], 1 - q
    return k > p * tail.count and (
        log_beta_binomial(k, tail.count, p, _BEYOND) >= math.log(2 / level)
    )


def _first(count: int, holds: Callable[[int], bool]) -> int | None:
    """The first index from which on it holds, by bisection."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low if low < count else None
