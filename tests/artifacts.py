"""Model folders for tests: real models, saved by MLflow itself, small and quick to make."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow.sklearn
import numpy as np
import yaml
from mlflow.models.signature import ModelSignature
from mlflow.types.schema import ColSpec, Schema
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline, make_pipeline

from slipway.usecases.rides import ride_features

PAIRS = [f"{pickup}_{dropoff}" for pickup in (10, 43, 130, 166) for dropoff in (50, 151, 205)]
RIDE = {"PULocationID": 10, "DOLocationID": 50, "trip_distance": 40}
OUTPUTS = Schema([ColSpec("double")])


def ride_pipeline(scale: float = 1.0, seed: int = 7) -> Pipeline:
    """A fitted pipeline of the course's shape: minutes by zone pair and distance."""
    random = np.random.default_rng(seed)
    distances = random.uniform(0.2, 20.0, 400)
    pairs = random.integers(0, len(PAIRS), 400)
    features = [
        ride_features(PAIRS[pair], float(distance))
        for pair, distance in zip(pairs, distances, strict=True)
    ]
    minutes = scale * (4.0 + 2.5 * distances + 0.7 * pairs + random.normal(0, 1, 400))
    return make_pipeline(DictVectorizer(), LinearRegression()).fit(features, minutes)


def save_ride_model(
    folder: Path,
    *,
    pipeline: Any = None,
    serialization: str = "skops",
    signed: bool = True,
    metadata: Mapping[str, Any] | None = None,
    trusted: list[str] | None = None,
) -> Path:
    """An MLflow model folder of the ride pipeline, as `slipway train` would log it."""
    known = {"use_case": "rides", "answer": "duration", "buckets": [5.0, 10.0, 20.0, 40.0]}
    mlflow.sklearn.save_model(
        pipeline or ride_pipeline(),
        str(folder),
        serialization_format=serialization,
        signature=ModelSignature(outputs=OUTPUTS) if signed else None,
        metadata={"slipway": dict(known if metadata is None else metadata)},
        skops_trusted_types=trusted,
        pip_requirements=["scikit-learn"],
    )
    return folder


def edit_mlmodel(folder: Path, change: Mapping[str, Any]) -> None:
    """Set members of the MLmodel file; a dotted name reaches into it."""
    document = folder / "MLmodel"
    content = yaml.safe_load(document.read_text())
    for name, value in change.items():
        *parents, last = name.split(".")
        place = content
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    document.write_text(yaml.safe_dump(content))
