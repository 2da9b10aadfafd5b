"""Record batches in, record batches with predictions out.

Columns of the output, one row a scored ride (X is `duration`, in minutes, or `tip`, in dollars):

| column | type |
|---|---|
| ride_id | string |
| pickup_datetime | timestamp[us] |
| PULocationID, DOLocationID | string, the zones' keys |
| actual_X, predicted_X | double |
| diff | double: actual_X - predicted_X |
| model_version | string |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from slipway.batch.shards import Shard
from slipway.clients.tables import Source
from slipway.errors import InputDataInvalid
from slipway.scoring.scorer import Scorer
from slipway.usecases.ride_columns import REASONS, find_columns, read_rides
from slipway.usecases.rides import DROPOFF_ZONE, PICKUP_ZONE

BATCH_ROWS = 65_536
# Bytes of a column that are read at a time: without it a row group's columns are read whole.
READ_AHEAD = 1 << 20
# Predictions further off than this are what the summary calls "beyond".
BEYOND = 10.0


@dataclass
class Totals:
    """What the summary needs, added up batch by batch."""

    rows: int = 0
    scored: int = 0
    dropped: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REASONS, 0))
    predicted: float = 0.0
    actual: float = 0.0
    error: float = 0.0
    beyond: int = 0


def output_schema(answer: str, metadata: Mapping[str, str]) -> pa.Schema:
    """The output's columns, with what it was made from as metadata."""
    columns = [
        ("ride_id", pa.string()),
        ("pickup_datetime", pa.timestamp("us")),
        (PICKUP_ZONE, pa.string()),
        (DROPOFF_ZONE, pa.string()),
        (f"actual_{answer}", pa.float64()),
        (f"predicted_{answer}", pa.float64()),
        ("diff", pa.float64()),
        ("model_version", pa.string()),
    ]
    return pa.schema(columns, metadata=dict(metadata))


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


class MonthScorer:
    """Scores one month with one release, batch by batch; `totals` grow on the way."""

    def __init__(
        self, shard: Shard, scorer: Scorer, version: str, *, schema: pa.Schema, uuids: bool
    ) -> None:
        self._shard = shard
        self._scorer = scorer
        self._version = version
        self._schema = schema
        self._uuids = uuids
        self.totals = Totals()

    def batches(self, month: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
        """The scored rides; memory is that of one batch."""
        columns = find_columns(month.schema_arrow.names, self._scorer.use_case.answer)
        try:
            for batch in month.iter_batches(BATCH_ROWS, columns=columns.names):
                rides = read_rides(batch, columns)
                predicted = (
                    self._scorer.score_features(rides.features(), len(rides.positions))
                    if len(rides.positions)
                    else np.empty(0)
                )
                rows = rides.positions + self.totals.rows
                self._add(batch.num_rows, rides.dropped, rides.actual, predicted)
                yield pa.record_batch(
                    [
                        self._shard.ride_ids(rows, as_uuid=self._uuids),
                        rides.pickup_times,
                        rides.pickup_zones.cast(pa.string()),
                        rides.dropoff_zones.cast(pa.string()),
                        pa.array(rides.actual),
                        pa.array(predicted),
                        pa.array(rides.actual - predicted),
                        pa.repeat(self._version, len(rows)),
                    ],
                    schema=self._schema,
                )
        except (pa.ArrowInvalid, OSError) as error:
            raise InputDataInvalid(
                f"the file cannot be read beyond row {self.totals.rows}: it is damaged"
            ) from error

    def _add(
        self,
        rows: int,
        dropped: Mapping[str, int],
        actual: np.ndarray[tuple[int], np.dtype[np.float64]],
        predicted: np.ndarray[tuple[int], np.dtype[np.float64]],
    ) -> None:
        error = np.abs(actual - predicted)
        totals = self.totals
        totals.rows += rows
        totals.scored += len(predicted)
        for reason, count in dropped.items():
            totals.dropped[reason] += count
        totals.predicted += float(predicted.sum())
        totals.actual += float(actual.sum())
        totals.error += float(error.sum())
        totals.beyond += int(np.count_nonzero(error > BEYOND))
