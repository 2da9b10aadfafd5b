"""A DictVectorizer's model fed by columns: the same sparse matrix, without a dict for each ride.

Making dicts and taking them apart again is nine tenths of what a month costs. Here the categories'
distinct values are looked up once in the vectoriser's vocabulary, and the matrix is put together
from their codes, with each row's entries in the order in which the vectoriser would put them, so
that sums come out the same to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
# The place of each row's value among the distinct values, and these.
Category = tuple[npt.NDArray[np.integer[Any]], Sequence[str]]


class ColumnarModel:
    """`predict` of the steps after a fitted DictVectorizer."""

    def __init__(self, vectorizer: Any, predict: Callable[[Any], Any]) -> None:
        self._vocabulary: dict[str, int] = vectorizer.vocabulary_
        self._separator: str = vectorizer.separator
        self._dtype = vectorizer.dtype
        self._predict = predict

    def __call__(self, categories: Mapping[str, Category], numbers: Mapping[str, Floats]) -> Any:
        """What the model answers for rows of these features, categories before numbers.

        Values and features that the vectoriser does not know are left out, as it does itself.
        """
        from scipy.sparse import csr_matrix

        places, data = self._entries(categories, numbers)
        known = places >= 0
        ends = np.concatenate([[0], np.cumsum(known.sum(axis=1))])
        matrix = csr_matrix(
            (data[known], places[known], ends.astype(np.int32)),
            shape=(len(places), len(self._vocabulary)),
        )
        return self._predict(matrix)

    def _entries(
        self, categories: Mapping[str, Category], numbers: Mapping[str, Floats]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[Any]]:
        """Column numbers (-1 for none) and values, both of shape (rows, features)."""
        places, data = [], []
        for name, (codes, values) in categories.items():
            columns = [
                self._vocabulary.get(f"{name}{self._separator}{value}", -1) for value in values
            ]
            places.append(np.array(columns, dtype=np.int32)[codes])
            data.append(np.ones(len(codes), dtype=self._dtype))
        for name, given in numbers.items():
            place = self._vocabulary.get(name, -1)
            places.append(np.full(len(given), place, dtype=np.int32))
            data.append(given.astype(self._dtype))
        return np.stack(places, axis=1), np.stack(data, axis=1)


def columnar(predict: Any) -> ColumnarModel | None:
    """The columnar form of a loaded model's `predict`, or None where it has none."""
    steps = getattr(predict, "steps", None) or getattr(
        getattr(predict, "__self__", None), "steps", None
    )
    if not steps or getattr(predict, "__name__", "predict") != "predict":
        return None
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.pipeline import Pipeline

    vectorizer, rest = steps[0][1], steps[1:]
    # A class of its own may do anything else.
    if type(vectorizer) is not DictVectorizer or not vectorizer.sparse or not rest:
        return None
    return ColumnarModel(vectorizer, Pipeline(list(rest)).predict)
