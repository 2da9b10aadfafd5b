"""The forms of the output: the project's own, and the one of the course's homework.

Own form, one row a scored ride (X is `duration`, in minutes, or `tip`, in dollars):

| column | type |
|---|---|
| ride_id | string |
| pickup_datetime | timestamp[us] |
| PULocationID, DOLocationID | string, the zones' keys |
| actual_X, predicted_X | double |
| diff | double: actual_X - predicted_X |
| model_version | string |
| candidate_X, candidate_version | double, string: only of a run with a candidate |

The homework's: `ride_id` as `YYYY/MM_row`, and `predicted_X`; not compressed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from slipway.batch.shards import Part, Shard
from slipway.errors import InvalidConfig
from slipway.usecases.ride_columns import Rides
from slipway.usecases.rides import DROPOFF_ZONE, PICKUP_ZONE

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Beside:
    """What the candidate predicts for the same rides."""

    predicted: Floats
    version: str


@dataclass(frozen=True)
class Scored:
    """The rides of one batch and what was predicted; `rows` are positions in the source."""

    part: Part
    rows: Integers
    rides: Rides
    predicted: Floats
    version: str
    beside: Beside | None = None


@dataclass(frozen=True)
class Form:
    """One form: its columns for an answer, and how a batch fills them."""

    name: str
    # Names and types; X stands for the answer.
    columns: tuple[tuple[str, pa.DataType], ...]
    fill: Callable[[Scored, bool], list[Any]]
    compression: str
    # What the output's name ends with, before `.parquet`.
    suffix: str = ""
    # What a candidate adds; a form without them has no place for one.
    beside: tuple[tuple[str, pa.DataType], ...] = ()

    def schema(
        self, answer: str, metadata: Mapping[str, str], *, candidate: bool = False
    ) -> pa.Schema:
        """The output's columns, with what it was made from as metadata."""
        columns = self.columns + (self.beside if candidate else ())
        named = [(name.replace("X", answer), kind) for name, kind in columns]
        return pa.schema(named, metadata=dict(metadata))


def _own(scored: Scored, uuids: bool) -> list[Any]:
    rides, beside = scored.rides, scored.beside
    count = len(scored.rows)
    candidate = [pa.array(beside.predicted), pa.repeat(beside.version, count)] if beside else []
    return [
        scored.part.row_ids(scored.rows, as_uuid=uuids),
        rides.pickup_times,
        rides.pickup_zones.cast(pa.string()),
        rides.dropoff_zones.cast(pa.string()),
        pa.array(rides.actual),
        pa.array(scored.predicted),
        pa.array(rides.actual - scored.predicted),
        pa.repeat(scored.version, count),
        *candidate,
    ]


def _homework(scored: Scored, _uuids: bool) -> list[Any]:
    if not isinstance(scored.part, Shard):
        raise InvalidConfig("the homework's ids are of a month: give taxi, year and month")
    return [scored.part.homework_ids(scored.rows), pa.array(scored.predicted)]


OWN: Final = Form(
    "slipway",
    (
        ("ride_id", pa.string()),
        ("pickup_datetime", pa.timestamp("us")),
        (PICKUP_ZONE, pa.string()),
        (DROPOFF_ZONE, pa.string()),
        ("actual_X", pa.float64()),
        ("predicted_X", pa.float64()),
        ("diff", pa.float64()),
        ("model_version", pa.string()),
    ),
    _own,
    "zstd",
    beside=(("candidate_X", pa.float64()), ("candidate_version", pa.string())),
)
HOMEWORK: Final = Form(
    "homework",
    (("ride_id", pa.string()), ("predicted_X", pa.float64())),
    _homework,
    "none",
    ".homework",
)
