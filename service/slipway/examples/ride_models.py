"""Reads months of rides and trains the example models on them.

Two pipelines around one estimator, trained on the same rides:

    dict     DictVectorizer, estimator: the course's form, takes a dict of the pair and the distance
    onehot   ColumnTransformer(OneHotEncoder), estimator: takes a DataFrame of the same columns

Both make the same matrix with the same order of columns (text sorts alike with a common prefix,
and the pair's name sorts before the distance's), so they give the same predictions. A ride's
features come from `usecases/rides.py` alone, as in the service.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from slipway.errors import InputDataInvalid, InputDataMissing, InvalidConfig
from slipway.examples.synthetic import PREFIXES
from slipway.usecases.rides import (
    DISTANCE,
    DROPOFF_ZONE,
    MAX_DISTANCE,
    PAIR,
    PICKUP_ZONE,
    pair_key,
    ride_features,
)

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

Floats = npt.NDArray[np.float64]

TARGETS = {"duration": "minutes", "tip": "dollars"}
TIP = "tip_amount"
# Minutes, both ends included (R31).
SHORTEST, LONGEST = 1.0, 60.0
HELD_OUT = 0.2
MIN_RIDES = 50


@dataclass(frozen=True)
class TrainingRides:
    """Rides that a model can learn from: arrays of one length, and where they came from."""

    pairs: npt.NDArray[np.object_]
    distances: Floats
    target: Floats
    source: str
    sha256: str

    def __len__(self) -> int:
        return len(self.target)

    def take(self, places: npt.NDArray[np.int64]) -> TrainingRides:
        """The rides at these places, in that order."""
        return TrainingRides(
            self.pairs[places],
            self.distances[places],
            self.target[places],
            self.source,
            self.sha256,
        )

    def dicts(self) -> list[dict[str, Any]]:
        """What the `dict` form takes."""
        return [
            ride_features(pair, distance)
            for pair, distance in zip(self.pairs, self.distances.tolist(), strict=True)
        ]

    def frame(self) -> pd.DataFrame:
        """What the `onehot` form takes: PAIR as text, DISTANCE as double."""
        import pandas as pd

        return pd.DataFrame({PAIR: self.pairs, DISTANCE: self.distances})


@dataclass(frozen=True)
class Trained:
    """A fitted pipeline, and how it does on the rides that were held out."""

    pipeline: Pipeline
    predictions: Floats
    rmse: float
    mae: float


def read_rides(paths: Sequence[Path], target: str) -> TrainingRides:
    """The usable rides of some TLC Parquet files, green or yellow.

    Raises InputDataMissing or InputDataInvalid with the file's name. The hash is that of the
    files one after the other, as `cat FILES | sha256sum` shows it.
    """
    digest = hashlib.sha256()
    months = []
    for path in paths:
        try:
            with path.open("rb") as stream:
                while chunk := stream.read(1 << 20):
                    digest.update(chunk)
            months.append(usable_rides(pq.read_table(path, columns=_columns(path, target)), target))
        except FileNotFoundError as error:
            raise InputDataMissing(f"there is no file {path}; check --data") from error
        except (OSError, pa.ArrowException) as error:
            raise InputDataInvalid(f"{path} cannot be read as a Parquet file") from error
    return _joined(months, ", ".join(path.name for path in paths), digest.hexdigest())


def rides_of_table(table: pa.Table, target: str, source: str) -> TrainingRides:
    """The usable rides of a table in memory; the hash is that of the values learnt from."""
    month = usable_rides(table, target)
    digest = hashlib.sha256("\n".join(month[0]).encode())
    for values in month[1:]:
        digest.update(values.tobytes())
    return _joined([month], source, digest.hexdigest())


def usable_rides(table: pa.Table, target: str) -> tuple[npt.NDArray[np.object_], Floats, Floats]:
    """Pair keys, distances and targets of the rides that last SHORTEST to LONGEST minutes.

    Rides that lack a value, or that the service would refuse (distance), are left out, and for
    tips also refunds. Raises InputDataInvalid when a column is missing or of another kind.
    """
    pickup, dropoff = _time_columns(table.column_names)
    wanted = _wanted(pickup, dropoff, target)
    if lacking := [name for name in wanted if name not in table.column_names]:
        raise InputDataInvalid(f"the rides lack the column {lacking[0]}")
    table = table.select(wanted).drop_null()
    try:
        seconds = [table[name].cast(pa.timestamp("us")).to_numpy() for name in (pickup, dropoff)]
        starts, ends, distances = (
            table[name].cast(pa.float64()).to_numpy()
            for name in (PICKUP_ZONE, DROPOFF_ZONE, DISTANCE)
        )
        minutes = (seconds[1] - seconds[0]) / np.timedelta64(60_000_000, "us")
        goal = minutes if target == "duration" else table[TIP].cast(pa.float64()).to_numpy()
    except pa.ArrowException as error:
        raise InputDataInvalid("the rides' columns do not have the TLC's types") from error
    good = (minutes >= SHORTEST) & (minutes <= LONGEST)
    good &= (distances >= 0) & (distances <= MAX_DISTANCE) & (goal >= 0) & np.isfinite(goal)
    return _pair_keys(starts[good], ends[good]), distances[good], goal[good]


def sample(rides: TrainingRides, rows: int, seed: int) -> TrainingRides:
    """At most `rows` rides, drawn at random."""
    if len(rides) <= rows:
        return rides
    return rides.take(np.random.default_rng(seed).permutation(len(rides))[:rows])


def split(rides: TrainingRides, seed: int) -> tuple[TrainingRides, TrainingRides]:
    """Rides to learn from and rides held out (a share of HELD_OUT), by chance.

    Raises InputDataInvalid for fewer than MIN_RIDES.
    """
    if len(rides) < MIN_RIDES:
        raise InputDataInvalid(
            f"only {len(rides)} usable rides were found; a model needs {MIN_RIDES} at the least"
        )
    order = np.random.default_rng(seed).permutation(len(rides))
    held_out = round(len(rides) * HELD_OUT)
    return rides.take(order[held_out:]), rides.take(order[:held_out])


def make_estimator(kind: str, seed: int) -> Any:
    """An untrained estimator of one of ESTIMATORS."""
    if kind not in ESTIMATORS:
        raise InvalidConfig(f"there is no model {kind!r}; choose one of {', '.join(ESTIMATORS)}")
    return ESTIMATORS[kind](seed)


def dict_pipeline(estimator: Any) -> Pipeline:
    """The course's form: vectoriser and model in one artefact (R14)."""
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.pipeline import make_pipeline

    return make_pipeline(DictVectorizer(), estimator)


def onehot_pipeline(estimator: Any) -> Pipeline:
    """The twin that takes columns, so that it can have a full signature."""
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    columns = ColumnTransformer(
        [
            ("pair", OneHotEncoder(handle_unknown="ignore"), [PAIR]),
            ("distance", "passthrough", [DISTANCE]),
        ],
        # Always sparse, as DictVectorizer is: the estimators then compute the same.
        sparse_threshold=1.0,
    )
    return make_pipeline(columns, estimator)


def fit(pipeline: Pipeline, learnt: Any, wanted: Floats, held_out: Any, truth: Floats) -> Trained:
    """Fit on what is learnt, judge on what was held out; errors in the target's unit."""
    pipeline.fit(learnt, wanted)
    predictions = np.asarray(pipeline.predict(held_out), dtype=np.float64)
    error = predictions - truth
    return Trained(
        pipeline,
        predictions,
        rmse=float(np.sqrt(np.mean(error**2))),
        mae=float(np.mean(np.abs(error))),
    )


def _linear(_seed: int) -> Any:
    from sklearn.linear_model import LinearRegression

    return LinearRegression()


def _ridge(seed: int) -> Any:
    from sklearn.linear_model import Ridge

    return Ridge(alpha=1.0, random_state=seed)


def _forest(seed: int) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(
        n_estimators=40, max_depth=14, min_samples_leaf=5, max_features=0.5, random_state=seed
    )


def _boosting(seed: int) -> Any:
    from sklearn.ensemble import GradientBoostingRegressor

    return GradientBoostingRegressor(
        n_estimators=120, max_depth=4, learning_rate=0.15, subsample=0.5, random_state=seed
    )


ESTIMATORS: dict[str, Callable[[int], Any]] = {
    "linear": _linear,
    "ridge": _ridge,
    "forest": _forest,
    "boosting": _boosting,
}


def _columns(path: Path, target: str) -> list[str]:
    names = pq.read_schema(path).names
    pickup, dropoff = _time_columns(names)
    return [name for name in _wanted(pickup, dropoff, target) if name in names]


def _wanted(pickup: str, dropoff: str, target: str) -> list[str]:
    wanted = [pickup, dropoff, PICKUP_ZONE, DROPOFF_ZONE, DISTANCE]
    return [*wanted, TIP] if target == "tip" else wanted


def _time_columns(names: Sequence[str]) -> tuple[str, str]:
    for prefix in PREFIXES.values():
        pickup, dropoff = f"{prefix}_pickup_datetime", f"{prefix}_dropoff_datetime"
        if pickup in names and dropoff in names:
            return pickup, dropoff
    raise InputDataInvalid(
        "the rides have neither lpep_ nor tpep_ pickup and dropoff times; "
        "give a month of green or yellow taxis as the TLC publishes it"
    )


def _pair_keys(starts: Floats, ends: Floats) -> npt.NDArray[np.object_]:
    """The category of each ride; each distinct pair is spelled once."""
    pairs, places = np.unique(np.stack([starts, ends], axis=1), axis=0, return_inverse=True)
    try:
        keys = np.array([pair_key(start, end) for start, end in pairs.tolist()], dtype=object)
    except ValueError as error:
        raise InputDataInvalid("the rides hold a zone that is no whole number from 0 up") from error
    return keys[places.reshape(-1)] if len(keys) else keys


def _joined(
    months: list[tuple[npt.NDArray[np.object_], Floats, Floats]], source: str, sha256: str
) -> TrainingRides:
    pairs, distances, targets = (np.concatenate(parts) for parts in zip(*months, strict=True))
    return TrainingRides(pairs, distances, targets, source, sha256)
