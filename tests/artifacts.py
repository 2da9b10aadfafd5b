"""Model folders for tests: real models, saved by MLflow itself, small and quick to make."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mlflow.sklearn
import numpy as np
import pandas as pd
import skops.io
import yaml
from mlflow.models.signature import ModelSignature, infer_signature
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


def save_table_model(
    folder: Path,
    estimator: Any,
    target: Any,
    columns: Any,
    signature: ModelSignature | None = None,
) -> Path:
    """An MLflow model folder of an estimator fitted on columns, with a signature."""
    frame = pd.DataFrame(columns)
    fitted = estimator.fit(frame, target)
    mlflow.sklearn.save_model(
        fitted,
        str(folder),
        serialization_format="skops",
        signature=signature or infer_signature(frame, fitted.predict(frame)),
        pip_requirements=["scikit-learn"],
    )
    return folder


class Versions:
    """Versions of one sound model: the same answers, other bytes, so other releases."""

    def __init__(self, folder: Path) -> None:
        self._first = save_ride_model(folder / "1")
        self._number = 1

    @property
    def first(self) -> str:
        """The first one's folder."""
        return str(self._first)

    def next(self) -> str:
        """The folder of one that nobody has seen yet; a test may spoil it."""
        self._number += 1
        folder = self._first.parent / str(self._number)
        shutil.copytree(self._first, folder)
        (folder / "note.txt").write_text(f"version {self._number}\n")
        return str(folder)

    def cut(self) -> str:
        """Another one, whose model file is cut off."""
        folder = self.next()
        document = Path(folder) / "model.skops"
        document.write_bytes(document.read_bytes()[:1000])
        return folder


def swell(folder: Path, floats: int) -> None:
    """Let a model take so many floats of memory once it is loaded, and next to none on disk."""
    pipeline = ride_pipeline()
    pipeline.steps[-1][1].coef_ = np.zeros(floats)
    document = folder / "model.skops"
    skops.io.dump(pipeline, document, compression=zipfile.ZIP_DEFLATED, compresslevel=1)


def save_other_inputs(folder: Path) -> Path:
    """A model of another feature set: two columns by name, as MLflow's signature has them."""
    inputs = Schema([ColSpec("double", "trip_distance"), ColSpec("double", "passengers")])
    mlflow.sklearn.save_model(
        LinearRegression().fit([[1.0, 1.0], [2.0, 1.0], [3.0, 2.0]], [3.0, 5.0, 7.0]),
        str(folder),
        serialization_format="skops",
        signature=ModelSignature(inputs=inputs, outputs=OUTPUTS),
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
