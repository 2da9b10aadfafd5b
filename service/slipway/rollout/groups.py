"""Gathers the answers of two groups, each key a few times only. Pure.

Heavy users make two groups differ for ever though the models are the same: their keys stay on one
side. With each key counted a few times a step the groups differ by the models alone (GATES 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from slipway.rollout.measures import Floats, Group, GroupSums

Side = Literal["candidate", "control"]
# Beyond so many keys no new one is counted: memory is bounded, and neither side is favoured.
_MOST_KEYS = 500_000
# Without edges from shadow or the release, the control's first answers give them.
_FIRST_ANSWERS = 240


class GroupCollector:
    """Sums of both groups in the order in which their answers come."""

    def __init__(self, edges: Sequence[float], key_cap: int) -> None:
        self._edges = np.asarray(sorted(set(edges)), dtype=np.float64)
        self._key_cap = key_cap
        self._seen: dict[int, int] = {}
        self._scale: tuple[float, float] | None = None
        self._early: dict[Side, list[Floats]] = {"candidate": [], "control": []}
        self._groups: dict[Side, Group] = {"candidate": Group(), "control": Group()}
        self._unequal = 0
        self.keyed = False

    def add(self, side: Side, answers: Floats, keys: Sequence[int] = ()) -> None:
        """Count finite answers; `keys` has one for each, or is empty."""
        counted = answers if not len(keys) else answers[self._allowed(keys)]
        if not len(counted):
            return
        if self._scale is None:
            self._early[side].append(counted)
            self._begin()
            return
        self._count(side, counted)

    def _allowed(self, keys: Sequence[int]) -> NDArray[np.bool_]:
        allowed = np.ones(len(keys), dtype=bool)
        for index, key in enumerate(keys):
            if not key:
                continue
            self.keyed = True
            times = self._seen.get(key, 0)
            new = times == 0 and len(self._seen) >= _MOST_KEYS
            if new or times >= self._key_cap:
                allowed[index] = False
            else:
                self._seen[key] = times + 1
        return allowed

    def _begin(self) -> None:
        """Fix the scale, and the edges where there are none, by the control's first answers."""
        control = self._early["control"]
        have = sum(map(len, control))
        if have < (_FIRST_ANSWERS if not len(self._edges) else 1):
            return
        first = np.concatenate(control)
        spread = float(first.std())
        self._scale = float(first[0]), spread if spread > 0 else 1.0
        if not len(self._edges):
            self._edges = np.unique(np.quantile(first, np.arange(1, 24) / 24))
        for side, waiting in self._early.items():
            for answers in waiting:
                self._count(side, answers)
            waiting.clear()

    def _count(self, side: Side, answers: Floats) -> None:
        origin, unit = self._scale or (0.0, 1.0)
        scaled = (answers - origin) / unit
        bins = np.bincount(
            np.searchsorted(self._edges, answers, side="left"), minlength=len(self._edges) + 1
        )
        group = self._groups[side]
        before = group.bins or (0,) * len(bins)
        self._groups[side] = Group(
            group.count + len(answers),
            group.first + float(scaled.sum()),
            group.second + float(scaled @ scaled),
            tuple((np.asarray(before) + bins).tolist()),
        )
        if side == "candidate":
            self._unequal += int((answers != origin).sum())

    def sums(self) -> GroupSums:
        """As far as it has come."""
        origin, unit = self._scale or (0.0, 1.0)
        return GroupSums(
            origin,
            unit,
            tuple(self._edges.tolist()),
            self._groups["candidate"],
            self._groups["control"],
            self._unequal,
        )
