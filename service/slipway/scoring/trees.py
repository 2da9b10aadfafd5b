"""Ensembles of regression trees as flat arrays, walked level by level in numpy. Pure.

A node asks whether one column's value is at most its threshold. For a category's column that can
only be "has the row this value", and for a column that no row ever has it is decided beforehand.
All three become one question, `low < value <= high`, of a *slot*: a term of the encoding.

Trees are added up in their own order, as scikit-learn does, so sums come out the same to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from slipway.scoring.encoding import Arrays, Categories, Encoded, Encoding, Floats

Ints = npt.NDArray[np.int64]

LEAF = -1
# Questions asked at once: a batch is taken in pieces, so that memory stays flat.
AT_ONCE = 1 << 18


@dataclass(frozen=True)
class Ensemble:
    """Trees as scikit-learn has them, one after the other in arrays of one entry a node.

    `feature` is a column, or LEAF; a value of at most `threshold` goes to `left`, NaN where
    `missing_left` says. The prediction is (`start` + the leaves' `value`, in the order of `roots`)
    / `divide`. `missing` says whether the model takes NaN at all.
    """

    roots: Ints
    feature: Ints
    threshold: Floats
    left: Ints
    right: Ints
    missing_left: npt.NDArray[np.bool_]
    value: Floats
    start: float
    divide: float
    missing: bool

    def __post_init__(self) -> None:
        """Refuse trees that lead out of themselves or round in a circle: a file may say so."""
        count = len(self.feature)
        inner = np.flatnonzero(self.feature != LEAF)
        for side in (self.left[inner], self.right[inner]):
            if (side <= inner).any() or (side >= count).any():
                raise ValueError("a tree's nodes do not follow one after the other")
        if (self.roots < 0).any() or (self.roots >= count).any() or (self.feature < LEAF).any():
            raise ValueError("a tree begins nowhere, or asks for no column")

    def to_arrays(self) -> Arrays:
        """The trees as arrays; `from_arrays` reads them."""
        return {
            "roots": self.roots,
            "feature": self.feature,
            "threshold": self.threshold,
            "left": self.left,
            "right": self.right,
            "missing_left": self.missing_left,
            "value": self.value,
            "sum": np.array([self.start, self.divide]),
            "missing": np.array([self.missing]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Ensemble:
        """What `to_arrays` wrote."""
        start, divide = arrays["sum"].tolist()
        return cls(
            roots=arrays["roots"],
            feature=arrays["feature"],
            threshold=arrays["threshold"],
            left=arrays["left"],
            right=arrays["right"],
            missing_left=arrays["missing_left"],
            value=arrays["value"],
            start=start,
            divide=divide,
            missing=bool(arrays["missing"][0]),
        )

    def added(self, leaves: Ints) -> Floats:
        """Predictions of the leaves' numbers, shape (rows, trees) -> (rows,)."""
        return added(self.value[leaves], self.start, self.divide)


def added(values: Floats, start: float, divide: float) -> Floats:
    """Leaves' values of shape (rows, trees) added up one after the other; they are overwritten."""
    values[:, 0] += start
    total: Floats = values.cumsum(axis=1, out=values)[:, -1] / divide
    return total


def check_numbers(numbers: Floats, *, missing: bool) -> None:
    """Raise ValueError for numbers that the model itself refuses."""
    bad = np.isinf(numbers) if missing else ~np.isfinite(numbers)
    if bad.any():
        raise ValueError("a number is missing, infinite or too large for the model")


class Trees:
    """An ensemble with an encoding of any terms."""

    name = "trees"

    def __init__(self, encoding: Encoding, ensemble: Ensemble) -> None:
        self.encoding = encoding
        self._ensemble = ensemble
        self._slot, self._low, self._high = _questions(encoding, ensemble)
        is_category = self._low > -np.inf
        # A category's question is put the other way round: its value is what leads to the right.
        self._inside = np.where(is_category, ensemble.right, ensemble.left)
        self._outside = np.where(is_category, ensemble.left, ensemble.right)
        self._missing = np.where(ensemble.missing_left, ensemble.left, ensemble.right)

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> Floats:
        """Predictions for rows as mappings of names to values, shape (len(rows),)."""
        return self.predict(self.encoding.rows(rows))

    def predict(self, encoded: Encoded) -> Floats:
        """Predictions for encoded rows."""
        # The last slot is that of columns which are nought in every row.
        table = np.zeros((encoded.count, len(encoded.terms) + 1))
        for place, values in enumerate(encoded.terms):
            if values.dtype.kind == "f":
                check_numbers(values, missing=self._ensemble.missing)
            table[:, place] = values
        step = max(1, AT_ONCE // len(self._ensemble.roots))
        parts = [
            self._ensemble.added(self._leaves(table[start : start + step]))
            for start in range(0, encoded.count, step)
        ]
        return np.concatenate(parts) if parts else np.empty(0)

    def _leaves(self, table: Floats) -> Ints:
        roots = self._ensemble.roots
        node = np.tile(roots, len(table))
        row = np.repeat(np.arange(len(table)), len(roots))
        has_missing = bool(np.isnan(table).any())
        live = np.flatnonzero(self._slot[node] != LEAF)
        while live.size:
            here = node[live]
            value = table[row[live], self._slot[here]]
            inside = (value > self._low[here]) & (value <= self._high[here])
            reached = np.where(inside, self._inside[here], self._outside[here])
            if has_missing:
                reached = np.where(np.isnan(value), self._missing[here], reached)
            node[live] = reached
            live = live[self._slot[reached] != LEAF]
        return node.reshape(len(table), len(roots))

    @property
    def takes_missing(self) -> bool:
        """As the model itself."""
        return self._ensemble.missing

    def thresholds(self, name: str) -> Floats:
        """Of a number, sorted."""
        columns = [term.column for term in self.encoding.numbers if term.name == name]
        return np.unique(self._ensemble.threshold[np.isin(self._ensemble.feature, columns)])

    def to_arrays(self) -> Arrays:
        """The form as arrays; `from_arrays` reads them."""
        return self._ensemble.to_arrays()

    @classmethod
    def from_arrays(cls, encoding: Encoding, arrays: Mapping[str, npt.NDArray[Any]]) -> Trees:
        """What `to_arrays` wrote."""
        return cls(encoding, Ensemble.from_arrays(arrays))


def slots_of(encoding: Encoding) -> Ints:
    """The slot of each column: its term's place, or one beyond the last for none's."""
    slots = np.full(encoding.width, len(encoding.terms), dtype=np.int64)
    for place, term in enumerate(encoding.terms):
        columns = list(term.columns.values()) if isinstance(term, Categories) else [term.column]
        slots[columns] = place
    return slots


def _questions(encoding: Encoding, ensemble: Ensemble) -> tuple[Ints, Floats, Floats]:
    """Each node's slot (LEAF for a leaf) and the open and the closed end of its interval."""
    inner = ensemble.feature != LEAF
    slot = np.where(inner, slots_of(encoding)[ensemble.feature], LEAF)
    low = np.full(len(slot), -np.inf)
    high = ensemble.threshold.copy()
    of_category = np.isin(slot, [
        place for place, term in enumerate(encoding.terms) if isinstance(term, Categories)
    ])  # fmt: skip
    # 0 and 1 are on either side of the threshold, or the column decides nothing.
    decides = of_category & (ensemble.threshold >= 0) & (ensemble.threshold < 1)
    low[decides] = ensemble.feature[decides] - 0.5
    high[decides] = ensemble.feature[decides] + 0.5
    settled = of_category & ~decides
    # Below nought all go to the right, from 1 on to the left.
    slot[settled] = len(encoding.terms)
    return slot, low, high
