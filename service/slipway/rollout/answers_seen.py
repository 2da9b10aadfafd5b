"""Counts both sides' answers for people to see: histograms, and the reference sample. Pure.

No gate reads any of it. What is drawn has steps of one width, which people can read; the gates'
edges are quantiles of stable, between which stable itself would always look flat.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from slipway.rollout.measures import AnswersSeen, Floats

COLUMNS = 16
# The control's answers that decide where the columns lie: between them few are far out.
FIRST = 100
_LOW, _HIGH = 0.01, 0.99


class AnswerCounter:
    """The answers of one measure. `reference` are the candidate's own edges of equal shares."""

    def __init__(self, reference: Sequence[float]) -> None:
        self._reference = np.asarray(sorted(set(reference)), dtype=np.float64)
        self._shares = np.zeros(len(self._reference) + 1, dtype=np.int64)
        self._edges: NDArray[np.float64] | None = None
        self._waiting: tuple[list[Floats], list[Floats]] = ([], [])
        self._counts = np.zeros((2, 0), dtype=np.int64)

    def add(self, control: Floats, candidate: Floats) -> None:
        """Count finite answers of either side."""
        if not len(control) and not len(candidate):
            return
        self._shares += _counted(self._reference, candidate)
        if self._edges is not None:
            self._count(control, candidate)
            return
        for waiting, came in zip(self._waiting, (control, candidate), strict=True):
            waiting.append(came)
        first = np.concatenate(self._waiting[0])
        if len(first) >= FIRST:
            self._edges = columns(first)
            self._counts = np.zeros((2, len(self._edges) + 1), dtype=np.int64)
            self._count(first, np.concatenate(self._waiting[1]))
            self._waiting = ([], [])

    def _count(self, control: Floats, candidate: Floats) -> None:
        if self._edges is not None:
            self._counts += np.stack([_counted(self._edges, a) for a in (control, candidate)])

    def seen(self) -> AnswersSeen:
        """As far as it has come."""
        edges = () if self._edges is None else tuple(self._edges.tolist())
        control, candidate = self._counts.tolist()
        return AnswersSeen(edges, tuple(control), tuple(candidate), tuple(self._shares.tolist()))


def columns(answers: Floats) -> NDArray[np.float64]:
    """At most COLUMNS + 1 edges, a round step apart, around nearly all of these answers."""
    low, high = (float(value) for value in np.quantile(answers, (_LOW, _HIGH)))
    step = _round_step((high - low) / (COLUMNS - 2))
    first = math.floor(low / step)
    last = min(math.ceil(high / step), first + COLUMNS)
    # In decimals as they are read: 0.1 * 3 is no edge that anybody wrote.
    return np.asarray([float(f"{step * k:.12g}") for k in range(first, last + 1)])


def _round_step(least: float) -> float:
    """The first of 1, 2, 5, 10, ... that is no smaller; 1 where there is no spread."""
    if not (least > 0 and math.isfinite(least)):
        return 1.0
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * (1 - 1e-9))


def _counted(edges: NDArray[np.float64], answers: Floats) -> NDArray[np.int64]:
    where = np.searchsorted(edges, answers, side="left")
    return np.bincount(where, minlength=len(edges) + 1).astype(np.int64)
