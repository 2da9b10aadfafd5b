"""Record batches in, record batches with predictions out."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.abc import MetaPathFinder
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from slipway.batch.failures import Failures
from slipway.batch.forms import Beside, Form, Scored
from slipway.batch.ride_model import RideModel
from slipway.batch.shards import Part
from slipway.clients.tables import Source
from slipway.errors import InputDataInvalid, ModelFailed
from slipway.usecases.ride_columns import REASONS, Rides, find_columns, read_rides

BATCH_ROWS = 65_536
# How what fails says that it was not the model.
CALLED = "the candidate"
# Bytes of a column that are read at a time: without it a row group's columns are read whole.
READ_AHEAD = 1 << 20
# Predictions further off than this are what the summary calls "beyond".
BEYOND = 10.0

DROPPED = pa.schema([("ride_id", pa.string()), ("reason", pa.string())])

Floats = npt.NDArray[np.float64]


class Judged(Protocol):
    """A batch's rows: a reason or -1 for each of them, and how many were left out for which."""

    @property
    def reasons(self) -> npt.NDArray[Any]:
        """One entry a row."""

    @property
    def dropped(self) -> dict[str, int]:
        """By reason."""


@dataclass
class Totals:
    """What the summary needs, added up batch by batch."""

    rows: int = 0
    scored: int = 0
    dropped: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))
    predicted: float = 0.0
    # The sum of the predictions' squared distances from their mean.
    squares: float = 0.0
    actual: float = 0.0
    error: float = 0.0
    beyond: int = 0
    # Whether the predictions are numbers.
    numeric: bool = True

    def judge(self, rows: Judged) -> None:
        """Count a batch's rows and those that were left out."""
        self.rows += len(rows.reasons)
        for reason, count in rows.dropped.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + count

    def count(self, answers: npt.NDArray[Any]) -> None:
        """Add a batch's answers of whatever kind: only single numbers have a mean."""
        if answers.ndim == 1 and answers.dtype.kind in "fiu":
            self.add_predicted(answers.astype(np.float64))
        else:
            self.scored += len(answers)
            self.numeric = False

    def add(self, actual: Floats, predicted: Floats) -> None:
        """Add a batch's predictions, and how far they are from what was."""
        error = np.abs(actual - predicted)
        self.add_predicted(predicted)
        self.actual += float(actual.sum())
        self.error += float(error.sum())
        self.beyond += int(np.count_nonzero(error > BEYOND))

    def add_predicted(self, predicted: Floats) -> None:
        """Add a batch's predictions."""
        count = len(predicted)
        if not count:
            return
        # Chan, Golub, LeVeque 1979: the sums of two parts make that of the whole.
        mean = float(predicted.mean())
        self.squares += float(np.square(predicted - mean).sum())
        if self.scored:
            apart = mean - self.predicted / self.scored
            self.squares += apart * apart * self.scored * count / (self.scored + count)
        self.scored += count
        self.predicted += float(predicted.sum())

    @property
    def told(self) -> dict[str, Any]:
        """What the summary says of predictions beside what was; None where no ride was scored."""
        count = self.scored
        return {
            "mean_predicted": self.mean,
            "std_predicted": self.deviation,
            "mean_absolute_error": self.error / count if count else None,
            "share_beyond_10": self.beyond / count if count else None,
        }

    @property
    def counts(self) -> dict[str, Any]:
        """How many rows there were, were scored, and were left out for which reason."""
        dropped = {reason: count for reason, count in self.dropped.items() if count}
        return {"rows": self.rows, "scored": self.scored, "dropped": dropped}

    @property
    def mean(self) -> float | None:
        """The predictions' mean; None where there is none."""
        return self.predicted / self.scored if self.scored and self.numeric else None

    @property
    def deviation(self) -> float | None:
        """The predictions' standard deviation (of the whole, as numpy's `std`)."""
        return math.sqrt(self.squares / self.scored) if self.scored and self.numeric else None


def spare_pandas() -> None:
    """Let pyarrow do without pandas in this process, where nothing else has imported it.

    At its first conversion pyarrow asks once whether there is pandas, by importing it, to know its
    objects when it is given some. Here it never is, and the import is half a second and 60 MB.
    """
    if "pandas" in sys.modules:
        return
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.array([])
    finally:
        sys.meta_path.remove(finder)


class _NoPandas(MetaPathFinder):
    """Tells Python's import system that there is no pandas."""

    def find_spec(self, fullname: str, *_where: Any) -> None:
        """Refuse that one, and leave all others to those that come after."""
        if fullname == "pandas":
            raise ModuleNotFoundError("not needed here", name=fullname)


def open_month(source: Source) -> pq.ParquetFile:
    """A month's file; raises InputDataInvalid when it is none. Reads as it goes, not ahead."""
    try:
        return pq.ParquetFile(source.path, pre_buffer=False, buffer_size=READ_AHEAD)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputDataInvalid(f"{source.name} is no Parquet file, or it was cut off") from error


def count_rows(source: Source) -> int:
    """The rides in a file; raises as `open_month`."""
    with open_month(source) as month:
        return int(month.metadata.num_rows)


def read_month(month: pq.ParquetFile, answer: str) -> Iterator[Rides]:
    """The month's rides, judged, batch by batch; memory is that of one batch.

    Raises InputDataInvalid for a missing column, one of another type, and damaged bytes.
    """
    columns = find_columns(month.schema_arrow.names, answer)
    done = 0
    batches = month.iter_batches(BATCH_ROWS, columns=columns.names)
    while True:
        with damage(done):
            batch = next(batches, None)
        if batch is None:
            return
        done += batch.num_rows
        yield read_rides(batch, columns)


@contextmanager
def damage(row: int) -> Iterator[None]:
    """Turns what is raised by bytes that cannot be read into InputDataInvalid."""
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        raise InputDataInvalid(
            f"the file cannot be read beyond row {row}: it is damaged"
        ) from error


class MonthScorer:
    """Scores one month with one release, batch by batch; `totals` grow on the way.

    A candidate beside it is asked for the same rides.
    """

    def __init__(
        self,
        part: Part,
        model: RideModel,
        form: Form,
        *,
        uuids: bool,
        schema: pa.Schema,
        candidate: RideModel | None = None,
    ) -> None:
        self._part = part
        self._model = model
        self._candidate = candidate
        self._form = form
        self._uuids = uuids
        self._schema = schema
        self._failures = Failures()
        self.totals = Totals()
        # Of the candidate: beside what was, and beside what the model predicts.
        self._candidate_totals, self._apart = Totals(), Totals()

    def batches(self, month: pq.ParquetFile) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
        """The scored rides of one file, and those left out with their reasons.

        After rides at which a model fails nothing more is given, and `check` raises.
        """
        for rides in read_month(month, self._model.answer):
            first = self.totals.rows
            self.totals.judge(rides)
            predicted = self._ask(self._model, rides, first)
            candidate = None if self._failures else self._candidate
            beside = self._ask(candidate, rides, first) if candidate else None
            if self._failures.enough:
                return
            if self._failures:
                continue
            self.totals.add(rides.actual, predicted)
            scored = Scored(
                self._part, rides.positions + first, rides, predicted, self._model.version
            )
            if candidate and beside is not None:
                self._candidate_totals.add(rides.actual, beside)
                self._apart.add(predicted, beside)
                scored = replace(scored, beside=Beside(beside, candidate.version))
            columns = self._form.fill(scored, self._uuids)
            yield pa.record_batch(columns, schema=self._schema), self._left_out(rides, first)

    @property
    def summary(self) -> dict[str, Any]:
        """The figures of the run; means are None where no ride was scored."""
        count = self.totals.scored
        mean_actual = self.totals.actual / count if count else None
        told = {**self.totals.counts, **self.totals.told, "mean_actual": mean_actual}
        if self._candidate is None:
            return told
        beside = {f"candidate_{name}": value for name, value in self._candidate_totals.told.items()}
        apart = self._apart.error / count if count else None
        return told | beside | {"candidate_mean_absolute_difference": apart}

    def check(self) -> None:
        """Raise ModelFailed if a model failed at some of the rides."""
        self._failures.check()

    def _ask(self, model: RideModel, rides: Rides, first: int) -> Floats:
        """The predictions; nothing where the model failed, which is kept for `check`."""

        def name(place: int) -> str:
            row = rides.positions[place : place + 1] + first
            (ride,) = self._part.row_ids(row, as_uuid=self._uuids).to_pylist()
            return f"{ride} (row {row[0]} of the input, the first of which is 0)"

        def again(start: int, stop: int) -> Floats:
            return model.predict(rides.between(start, stop))

        try:
            return model.predict(rides)
        except ModelFailed as error:
            called = CALLED if model is self._candidate else ""
            self._failures.add(error, again, len(rides.positions), name, called)
        return np.empty(0)

    def _left_out(self, rides: Rides, first: int) -> pa.RecordBatch:
        rows = np.flatnonzero(rides.reasons >= 0)
        reasons = pa.DictionaryArray.from_arrays(pa.array(rides.reasons[rows]), list(REASONS))
        ids = self._part.row_ids(rows + first, as_uuid=self._uuids)
        return pa.record_batch([ids, reasons.cast(pa.string())], schema=DROPPED)
