"""Any table in, its predictions out: the batch of models with a signature (`tabular`).

| column | type |
|---|---|
| row_id | string |
| those that are kept | as in the file |
| prediction | of the model's answers: double, long, string, boolean, or lists of doubles |
| model_version | string |
| candidate_prediction, candidate_version | as those: only of a run with a candidate |
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
from slipway.batch.table_model import TableModel
from slipway.batch.tables import BATCH_ROWS, CALLED, Totals, damage
from slipway.errors import InputDataInvalid, InvalidConfig, ModelFailed
from slipway.usecases.tabular_columns import Rows, TableColumns

ROW_ID, PREDICTION, VERSION = "row_id", "prediction", "model_version"
CANDIDATE = ("candidate_prediction", "candidate_version")
DROPPED = pa.schema([(ROW_ID, pa.string()), ("reason", pa.string())])


class TableScorer:
    """Scores one table with one release, batch by batch; `totals` grow on the way.

    `renamed` says what the file calls the model's inputs; `keep` are columns of the file that are
    written beside the predictions; `metadata` is written into the output. A candidate beside the
    model is asked for the same rows, so it has to take the same inputs.
    """

    def __init__(
        self,
        part: Part,
        model: TableModel,
        *,
        renamed: Mapping[str, str],
        keep: Sequence[str],
        uuids: bool,
        metadata: Mapping[str, str],
        candidate: TableModel | None = None,
    ) -> None:
        own = {ROW_ID, PREDICTION, VERSION, *(CANDIDATE if candidate else ())}
        if taken := sorted(own & set(keep)):
            raise InvalidConfig(f"the output has a column {', '.join(taken)} of its own")
        if candidate and candidate.case.inputs != model.case.inputs:
            raise InvalidConfig("the candidate takes other inputs than the model, or other types")
        self._part = part
        self._model = model
        self._candidate = candidate
        self._renamed = renamed
        self._keep = list(dict.fromkeys(keep))
        self._uuids = uuids
        self._metadata = dict(metadata)
        self._schema: pa.Schema | None = None
        self._failures = Failures()
        self.totals = Totals(dropped={})
        self._candidate_totals, self._apart = Totals(), Totals()

    def batches(self, file: pq.ParquetFile) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
        """The scored rows of one file, and those left out with their reasons.

        Batches without a row to score are passed over until the answers' type is known. After rows
        at which a model fails nothing more is given, and `check` raises.
        """
        names = file.schema_arrow.names
        if missing := [name for name in self._keep if name not in names]:
            raise InputDataInvalid(f"the file has no column {', '.join(missing)} to keep")
        columns = TableColumns(self._model.case, names, self._renamed)
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
        totals, beside = self.totals, self._candidate_totals
        told = {
            **totals.counts,
            "mean_predicted": totals.mean,
            "std_predicted": totals.deviation,
        }
        if self._candidate is None:
            return told
        numeric = totals.numeric and beside.numeric and beside.scored
        return told | {
            "candidate_mean_predicted": beside.mean,
            "candidate_std_predicted": beside.deviation,
            "candidate_mean_absolute_difference": (
                self._apart.error / beside.scored if numeric else None
            ),
        }

    def check(self) -> None:
        """Raise ModelFailed if a model failed at some of the rows."""
        self._failures.check()

    def _score(self, rows: Rows, batch: pa.RecordBatch, first: int) -> pa.RecordBatch | None:
        count = len(rows.positions)
        if not count and self._schema is None:
            return None
        answers = self._ask(self._model, rows, first)
        candidate = None if self._failures else self._candidate
        beside = self._ask(candidate, rows, first) if candidate else None
        if self._failures:
            return None
        self.totals.count(answers)
        ids = self._part.row_ids(rows.positions + first, as_uuid=self._uuids)
        kept = {name: batch.column(name).take(pa.array(rows.positions)) for name in self._keep}
        columns = {
            ROW_ID: ids,
            **kept,
            PREDICTION: self._model.column(answers),
            VERSION: pa.repeat(self._model.version, count),
        }
        if candidate and beside is not None:
            self._compare(answers, beside)
            added = candidate.column(beside), pa.repeat(candidate.version, count)
            columns |= dict(zip(CANDIDATE, added, strict=True))
        if self._schema is None:
            fields = [(name, column.type) for name, column in columns.items()]
            self._schema = pa.schema(fields, metadata=self._metadata)
        return pa.record_batch(list(columns.values()), schema=self._schema)

    def _compare(self, answers: npt.NDArray[Any], beside: npt.NDArray[Any]) -> None:
        self._candidate_totals.count(beside)
        if self.totals.numeric and self._candidate_totals.numeric:
            self._apart.add(answers.astype(np.float64), beside.astype(np.float64))

    def _ask(self, model: TableModel, rows: Rows, first: int) -> npt.NDArray[Any]:
        """The answers; nothing where the model failed, which is kept for `check`."""

        def again(start: int, stop: int) -> npt.NDArray[Any]:
            return model.predict(rows, start, stop)

        def name(place: int) -> str:
            return self._name(int(rows.positions[place]) + first)

        count = len(rows.positions)
        try:
            return again(0, count)
        except ModelFailed as error:
            called = CALLED if model is self._candidate else ""
            self._failures.add(error, again, count, name, called)
        return np.empty(0)

    def _name(self, row: int) -> str:
        (name,) = self._part.row_ids(np.array([row]), as_uuid=self._uuids).to_pylist()
        return f"{name} (row {row} of the input, the first of which is 0)"

    def _left_out(self, rows: Rows, first: int) -> pa.RecordBatch:
        places = np.flatnonzero(rows.reasons >= 0)
        reasons = pa.array([rows.names[reason] for reason in rows.reasons[places]], pa.string())
        ids = self._part.row_ids(places + first, as_uuid=self._uuids)
        return pa.record_batch([ids, reasons], schema=DROPPED)
