"""Any table in, its predictions out: the batch of models with a signature (`tabular`).

| column | type |
|---|---|
| row_id | string |
| those that are kept | as in the file |
| prediction | of the model's answers: double, long, string, boolean, or lists of doubles |
| model_version | string |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from slipway.batch.failures import Failures
from slipway.batch.shards import Part
from slipway.batch.tables import BATCH_ROWS, Totals, damage
from slipway.errors import InputDataInvalid, InvalidConfig, ModelFailed, ModelOutputInvalid
from slipway.scoring.scorer import Scorer
from slipway.usecases.tabular import Tabular
from slipway.usecases.tabular_columns import Rows, TableColumns

ROW_ID, PREDICTION, VERSION = "row_id", "prediction", "model_version"
DROPPED = pa.schema([(ROW_ID, pa.string()), ("reason", pa.string())])


class TableScorer:
    """Scores one table with one release, batch by batch; `totals` grow on the way.

    `renamed` says what the file calls the model's inputs; `keep` are columns of the file that are
    written beside the predictions; `metadata` is written into the output.
    """

    def __init__(
        self,
        part: Part,
        scorer: Scorer,
        version: str,
        *,
        renamed: Mapping[str, str],
        keep: Sequence[str],
        uuids: bool,
        metadata: Mapping[str, str],
    ) -> None:
        if not isinstance(scorer.use_case, Tabular):
            raise InvalidConfig("the model is none of tables: it has no signature to go by")
        if taken := sorted({ROW_ID, PREDICTION, VERSION} & set(keep)):
            raise InvalidConfig(f"the output has a column {', '.join(taken)} of its own")
        self._part = part
        self._scorer = scorer
        self._case = scorer.use_case
        self._version = version
        self._renamed = renamed
        self._keep = list(dict.fromkeys(keep))
        self._uuids = uuids
        self._metadata = dict(metadata)
        self._schema: pa.Schema | None = None
        self._failures = Failures()
        self.totals = Totals(dropped={})

    def batches(self, file: pq.ParquetFile) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
        """The scored rows of one file, and those left out with their reasons.

        Batches without a row to score are passed over until the answers' type is known. After rows
        at which the model fails nothing more is given, and `check` raises.
        """
        names = file.schema_arrow.names
        if missing := [name for name in self._keep if name not in names]:
            raise InputDataInvalid(f"the file has no column {', '.join(missing)} to keep")
        columns = TableColumns(self._case, names, self._renamed)
        wanted = list(dict.fromkeys([*columns.names, *self._keep]))
        done = 0
        read = file.iter_batches(BATCH_ROWS, columns=wanted)
        while True:
            with damage(done):
                batch = next(read, None)
            if batch is None or self._failures.enough:
                return
            done += batch.num_rows
            first = self.totals.rows
            rows = columns.read(batch)
            self.totals.judge(rows)
            scored = self._score(rows, batch, first)
            if scored is not None:
                yield scored, self._left_out(rows, first)

    @property
    def summary(self) -> dict[str, Any]:
        """The figures of the run; mean and deviation are None where the answers are no numbers."""
        totals = self.totals
        return {
            **totals.counts,
            "mean_predicted": totals.mean,
            "std_predicted": totals.deviation,
        }

    def check(self) -> None:
        """Raise ModelFailed if the model failed at some of the rows."""
        self._failures.check()

    def _score(self, rows: Rows, batch: pa.RecordBatch, first: int) -> pa.RecordBatch | None:
        count = len(rows.positions)
        if not count and self._schema is None:
            return None

        def ask(start: int, stop: int) -> npt.NDArray[Any]:
            return self._ask(rows, start, stop)

        def name(place: int) -> str:
            return self._name(int(rows.positions[place]) + first)

        try:
            answers = ask(0, count) if count else np.empty(0)
        except ModelFailed as error:
            self._failures.add(error, ask, count, name)
        if self._failures:
            return None
        self.totals.count(answers)
        ids = self._part.row_ids(rows.positions + first, as_uuid=self._uuids)
        kept = [batch.column(name).take(pa.array(rows.positions)) for name in self._keep]
        told = self._column(answers)
        versions = pa.repeat(self._version, count)
        return pa.record_batch([ids, *kept, told, versions], schema=self._known(kept, told))

    def _ask(self, rows: Rows, start: int, stop: int) -> npt.NDArray[Any]:
        count = stop - start
        form = self._scorer.compiled
        if form is None:
            return self._scorer.score_features(rows.frame(start, stop), count)
        encoding = form.encoding
        values = {each.name: rows.category(each.name, start, stop) for each in encoding.categories}
        numbers = {each.name: rows.number(each.name, start, stop) for each in encoding.numbers}
        return self._scorer.score_columns(values, numbers, count)

    def _column(self, answers: npt.NDArray[Any]) -> pa.Array:
        """The answers as a column, of the type of the first ones."""
        if answers.ndim > 2:
            raise ModelOutputInvalid(
                f"the model answers arrays of shape {answers.shape[1:]} for a row; written are "
                "single values and lists of numbers"
            )
        kind = self._schema.field(PREDICTION).type if self._schema is not None else None
        try:
            # Of integers too: a later row may have a fraction.
            listed = answers.astype(np.float64) if answers.ndim == 2 else answers
            return pa.array(listed.tolist(), kind)
        except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError) as error:
            raise ModelOutputInvalid(
                "the model's answers are not all of one type, so they make no column"
            ) from error

    def _known(self, kept: Sequence[pa.Array], told: pa.Array) -> pa.Schema:
        if self._schema is None:
            fields = [(ROW_ID, pa.string())]
            fields += [(name, column.type) for name, column in zip(self._keep, kept, strict=True)]
            fields += [(PREDICTION, told.type), (VERSION, pa.string())]
            self._schema = pa.schema(fields, metadata=self._metadata)
        return self._schema

    def _name(self, row: int) -> str:
        (name,) = self._part.row_ids(np.array([row]), as_uuid=self._uuids).to_pylist()
        return f"{name} (row {row} of the input, the first of which is 0)"

    def _left_out(self, rows: Rows, first: int) -> pa.RecordBatch:
        places = np.flatnonzero(rows.reasons >= 0)
        reasons = pa.array([rows.names[reason] for reason in rows.reasons[places]], pa.string())
        ids = self._part.row_ids(places + first, as_uuid=self._uuids)
        return pa.record_batch([ids, reasons], schema=DROPPED)
