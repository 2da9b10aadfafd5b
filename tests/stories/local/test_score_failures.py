"""A model that fails in mid-month: what is said, and that nothing is left."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression
from tests.artifacts import ride_pipeline
from tests.service_process import SLIPWAY
from tests.stub_models import CURSED

from slipway.examples.synthetic import Recipe, write_month

RECIPE = Recipe("green", 2021, 3, rows=150_000, seed=4)
# In the second and the third of the batches that the month is read by.
CURSED_ROWS = (70_001, 70_002, 140_000)


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With rides that the models below trip over."""
    path = write_month(tmp_path_factory.mktemp("month") / RECIPE.file_name, RECIPE)
    table = pq.read_table(path)
    for name, minutes in (("lpep_pickup_datetime", 0), ("lpep_dropoff_datetime", 9)):
        times = table[name].to_numpy().copy()
        times[list(CURSED_ROWS)] = np.datetime64("2021-03-05") + np.timedelta64(minutes, "m")
        table = table.set_column(table.column_names.index(name), name, pa.array(times))
    distances = table["trip_distance"].to_numpy().copy()
    distances[list(CURSED_ROWS)] = CURSED
    place = table.column_names.index("trip_distance")
    pq.write_table(table.set_column(place, "trip_distance", pa.array(distances)), path)
    return path


def save(folder: Path, mood: str) -> Path:
    """A pickled pair whose model raises, or answers NaN, where a cursed ride is among the rows."""
    vectorizer, model = (step for _, step in ride_pipeline().steps)
    assert isinstance(vectorizer, DictVectorizer)
    distance = vectorizer.vocabulary_["trip_distance"]

    class Moody(LinearRegression):  # type: ignore[misc]
        def predict(self, rows: Any) -> Any:
            cursed = rows[:, [distance]].toarray()[:, 0] == CURSED
            if mood == "raises" and cursed.any():
                raise ValueError("secret")
            return np.where(cursed, np.nan, super().predict(rows))

    moody = Moody()
    moody.__dict__ = model.__dict__
    (folder / "model.bin").write_bytes(cloudpickle.dumps((vectorizer, moody)))
    return folder / "model.bin"


@pytest.mark.parametrize(
    ("mood", "said"),
    [
        ("raises", "ModelFailed: the model raised ValueError; at 3 rows, the first is"),
        ("answers NaN", "ModelOutputInvalid: the model's answer is no finite number or label; at"),
    ],
)
def test_a_model_that_fails_at_some_rides_is_told_with_their_number_and_the_first(
    mood: str, said: str, month: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [*SLIPWAY, "score", "green", "2021", "3"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env=os.environ
        | {
            "MODEL_FILE": str(save(tmp_path, mood)),
            "SLIPWAY_ALLOW_PICKLE": "true",
            "SLIPWAY_INPUT": str(month),
            "SLIPWAY_OUTPUT": str(tmp_path / "out"),
        },
    )
    assert done.returncode == 1, done.stderr
    assert said in done.stderr
    first = "green-2021-03-000070001 (row 70001 of the input, the first of which is 0)"
    assert f"at 3 rows, the first is {first}; nothing is written" in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr
    assert not (tmp_path / "out").exists()
