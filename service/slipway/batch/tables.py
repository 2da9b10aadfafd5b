"""Record batches in, record batches with predictions out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import structlog

from slipway.batch.forms import Form, Scored
from slipway.batch.shards import Shard
from slipway.clients.tables import Source
from slipway.errors import InputDataInvalid
from slipway.models.columnar import columnar
from slipway.scoring.scorer import Scorer
from slipway.usecases.ride_columns import REASONS, Rides, find_columns, read_rides
from slipway.usecases.rides import Rides as RidesCase

BATCH_ROWS = 65_536
# Bytes of a column that are read at a time: without it a row group's columns are read whole.
READ_AHEAD = 1 << 20
# Rides by which the model by columns is compared with the model itself, once a month.
COMPARED = 1_000
# Predictions further off than this are what the summary calls "beyond".
BEYOND = 10.0

log = structlog.get_logger(__name__)

DROPPED = pa.schema([("ride_id", pa.string()), ("reason", pa.string())])

Floats = npt.NDArray[np.float64]


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

    def judge(self, rides: Rides) -> None:
        """Count a batch's rows and those that were left out."""
        self.rows += len(rides.reasons)
        for reason, count in rides.dropped.items():
            self.dropped[reason] += count

    def add(self, actual: Floats, predicted: Floats) -> None:
        """Add a batch's predictions."""
        count = len(predicted)
        if not count:
            return
        error = np.abs(actual - predicted)
        # Chan, Golub, LeVeque 1979: the sums of two parts make that of the whole.
        mean = float(predicted.mean())
        self.squares += float(np.square(predicted - mean).sum())
        if self.scored:
            apart = mean - self.predicted / self.scored
            self.squares += apart * apart * self.scored * count / (self.scored + count)
        self.scored += count
        self.predicted += float(predicted.sum())
        self.actual += float(actual.sum())
        self.error += float(error.sum())
        self.beyond += int(np.count_nonzero(error > BEYOND))

    @property
    def deviation(self) -> float | None:
        """The predictions' standard deviation (of the whole, as numpy's `std`)."""
        return math.sqrt(self.squares / self.scored) if self.scored else None


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
        with _damage(done):
            batch = next(batches, None)
        if batch is None:
            return
        done += batch.num_rows
        yield read_rides(batch, columns)


@contextmanager
def _damage(row: int) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        raise InputDataInvalid(
            f"the file cannot be read beyond row {row}: it is damaged"
        ) from error


class MonthScorer:
    """Scores one month with one release, batch by batch; `totals` grow on the way."""

    def __init__(
        self, shard: Shard, scorer: Scorer, version: str, form: Form, *, uuids: bool
    ) -> None:
        self._shard = shard
        self._scorer = scorer
        self._version = version
        self._form = form
        self._uuids = uuids
        case = scorer.use_case
        self._apart = isinstance(case, RidesCase) and case.apart
        self._columnar = columnar(scorer.predict) if scorer.form == "native" else None
        self._agrees: bool | None = None
        self.totals = Totals()

    def batches(
        self, month: pq.ParquetFile, schema: pa.Schema
    ) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
        """The scored rides of one file, and those left out with their reasons."""
        for rides in read_month(month, self._scorer.use_case.answer):
            first = self.totals.rows
            predicted = self._predict(rides)
            self.totals.judge(rides)
            self.totals.add(rides.actual, predicted)
            scored = Scored(self._shard, rides.positions + first, rides, predicted, self._version)
            columns = self._form.fill(scored, self._uuids)
            yield pa.record_batch(columns, schema=schema), self._left_out(rides, first)

    def _predict(self, rides: Rides) -> Floats:
        if not len(rides.positions):
            return np.empty(0)
        model = self._columnar
        if model is None:
            return self._natively(rides)
        categories, numbers = rides.columns(apart=self._apart)
        predicted = self._scorer.guard(lambda: model(categories, numbers), len(rides.positions))
        if self._agrees is None:
            self._agrees = self._compare(rides, predicted)
            if not self._agrees:
                log.warning("the model is asked ride by ride: by columns it answers otherwise")
                self._columnar = None
                return self._natively(rides)
        return predicted

    def _natively(self, rides: Rides) -> Floats:
        return self._scorer.score_features(rides.features(apart=self._apart), len(rides.positions))

    def _compare(self, rides: Rides, predicted: Floats) -> bool:
        """Whether the model itself answers the first rides with the same bits."""
        native = self._natively(rides.first(COMPARED))
        return bool(np.array_equal(native, predicted[:COMPARED]))

    def _left_out(self, rides: Rides, first: int) -> pa.RecordBatch:
        rows = np.flatnonzero(rides.reasons >= 0)
        reasons = pa.DictionaryArray.from_arrays(pa.array(rides.reasons[rows]), list(REASONS))
        ids = self._shard.ride_ids(rows + first, as_uuid=self._uuids)
        return pa.record_batch([ids, reasons.cast(pa.string())], schema=DROPPED)
