"""A linear model as a look-up: a coefficient for each known value and each number. Pure.

Terms are added in the order of the model's columns, the intercept last, as scikit-learn's product
of a sparse row does, so that the sums come out the same to the bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from slipway.scoring.encoding import Arrays, Categories, Encoded, Encoding, Floats


class Linear:
    """`coefficients` has one entry a column of the encoding's."""

    name = "linear"
    takes_missing = False

    def __init__(self, encoding: Encoding, coefficients: Floats, intercept: float) -> None:
        self.encoding = encoding
        self._coefficients = coefficients
        self._intercept = float(intercept)
        # The last one is for values that are not known: they add nothing.
        self._by_place = np.append(coefficients, 0.0)
        self._weights: list[tuple[str, Categories | None, Any]] = []
        for term in encoding.terms:
            if isinstance(term, Categories):
                weights = coefficients[list(term.columns.values())].tolist()
                known = dict(zip(term.columns, weights, strict=True))
                self._weights.append((term.name, term, known))
            else:
                self._weights.append((term.name, None, float(coefficients[term.column])))

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> Floats:
        """Predictions for rows as mappings of names to values, shape (len(rows),)."""
        if len(rows) != 1:
            return self.predict(self.encoding.rows(rows))
        return np.array([self._alone(rows[0])])

    def predict(self, encoded: Encoded) -> Floats:
        """Predictions for encoded rows."""
        total = np.zeros(encoded.count)
        for term, values in zip(self.encoding.terms, encoded.terms, strict=True):
            if isinstance(term, Categories):
                total += self._by_place[values]
            else:
                total += values * self._coefficients[term.column]
        return total + self._intercept

    def _alone(self, row: Mapping[str, Any]) -> float:
        total = 0.0
        for name, category, weights in self._weights:
            value = row[name]
            if category is None:
                if self.encoding.single:
                    value = self.encoding.rounded_one(value)
                total += value * weights
            elif value in weights:
                total += weights[value]
            else:
                # Raises where such values are refused.
                category.place(value)
        return total + self._intercept

    def thresholds(self, _name: str) -> Floats:
        """None: it has no jumps."""
        return np.empty(0)

    def to_arrays(self) -> Arrays:
        """The form as arrays; `from_arrays` reads them."""
        return {
            "coefficients": self._coefficients,
            "intercept": np.array([self._intercept]),
        }

    @classmethod
    def from_arrays(cls, encoding: Encoding, arrays: Mapping[str, npt.NDArray[Any]]) -> Linear:
        """What `to_arrays` wrote."""
        return cls(encoding, arrays["coefficients"], float(arrays["intercept"][0]))
