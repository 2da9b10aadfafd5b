"""One model of a table, asked for the rows of a batch; its answers as a column of one type."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from slipway.errors import InvalidConfig, ModelOutputInvalid
from slipway.scoring.scorer import Scorer
from slipway.usecases.tabular import Tabular
from slipway.usecases.tabular_columns import Rows


class TableModel:
    """A release's model; raises InvalidConfig for one without a signature."""

    def __init__(self, scorer: Scorer, version: str) -> None:
        if not isinstance(scorer.use_case, Tabular):
            raise InvalidConfig("the model is none of tables: it has no signature to go by")
        self.case = scorer.use_case
        self.version = version
        self.kind: pa.DataType | None = None
        """The type of its answers, once there were some."""
        self._scorer = scorer

    def predict(self, rows: Rows, start: int, stop: int) -> npt.NDArray[Any]:
        """The answers to the rows from one place to another, without the latter.

        Raises ModelFailed.
        """
        if start == stop:
            return np.empty(0)
        count = stop - start
        form = self._scorer.compiled
        if form is None:
            return self._scorer.score_features(rows.frame(start, stop), count)
        encoding = form.encoding
        values = {each.name: rows.category(each.name, start, stop) for each in encoding.categories}
        numbers = {each.name: rows.number(each.name, start, stop) for each in encoding.numbers}
        return self._scorer.score_columns(values, numbers, count)

    def column(self, answers: npt.NDArray[Any]) -> pa.Array:
        """The answers as a column, of the type of the first ones; raises ModelOutputInvalid."""
        if answers.ndim > 2:
            raise ModelOutputInvalid(
                f"the model answers arrays of shape {answers.shape[1:]} for a row; written are "
                "single values and lists of numbers"
            )
        try:
            # Of integers too: a later row may have a fraction.
            listed = answers.astype(np.float64) if answers.ndim == 2 else answers
            column = pa.array(listed.tolist(), self.kind)
        except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError) as error:
            raise ModelOutputInvalid(
                "the model's answers are not all of one type, so they make no column"
            ) from error
        self.kind = column.type
        return column
