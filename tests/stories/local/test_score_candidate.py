"""Row 13: a batch with a candidate's column beside the model's, and what the two differ in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LinearRegression
from tests.artifacts import ride_pipeline, save_ride_model, save_table_model
from tests.score_process import score

from slipway.examples.synthetic import Recipe, write_month

MARCH = ("green", 2021, 3)
RECIPE = Recipe(*MARCH, rows=2_000, seed=3, null_zones=0.01)


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("months")
    write_month(folder / RECIPE.file_name, RECIPE)
    return folder


@pytest.fixture(scope="module")
def candidate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that says a tenth more."""
    return save_ride_model(
        tmp_path_factory.mktemp("candidate") / "model", pipeline=ride_pipeline(1.1)
    )


def summary_of(done: Any) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def files(output: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in output.rglob("*") if path.is_file()}


def test_row_13_a_candidate_is_written_beside_and_compared(
    ride_model: Path, candidate: Path, months: Path, tmp_path: Path
) -> None:
    """The month's own output stays what it was, and is no answer to a run with a candidate."""
    places = ("--input", months, "--output", tmp_path, "-o", "json")
    alone = summary_of(score(*MARCH, ride_model, *places))
    before = files(tmp_path)
    both = summary_of(score(*MARCH, ride_model, *places, "--candidate", candidate))
    other = summary_of(score(*MARCH, candidate, *places, "--output", tmp_path / "other"))

    name = f"{alone['model_version']}.candidate-{other['model_version']}"
    after = files(tmp_path)
    assert before.items() <= after.items()
    table = pq.read_table(next(tmp_path.rglob(f"{name}.parquet")))
    (plain,) = tmp_path.glob(f"taxi_type=*/*/*/{alone['model_version']}.parquet")
    assert table.drop_columns(["candidate_duration", "candidate_version"]).equals(
        pq.read_table(plain)
    )
    theirs = pq.read_table(next((tmp_path / "other").rglob("*.parquet")))
    assert table["candidate_duration"].equals(theirs["predicted_duration"])
    assert set(table["candidate_version"].to_pylist()) == {other["model_version"]}

    for figure in ("mean_predicted", "std_predicted", "mean_absolute_error", "share_beyond_10"):
        assert both[figure] == alone[figure]
        assert both[f"candidate_{figure}"] == other[figure]
    assert both["candidate_digest"] == other["model_digest"] != both["model_digest"]
    apart = np.abs(table["candidate_duration"].to_numpy() - table["predicted_duration"].to_numpy())
    assert both["candidate_mean_absolute_difference"] == pytest.approx(apart.mean())

    again = score(*MARCH, ride_model, *places[:4], "--candidate", candidate)
    assert "was there already" in again.stdout
    assert "mean distance of the two" in again.stdout
    forced = score(*MARCH, ride_model, *places[:4], "--candidate", candidate, "--force")
    assert forced.returncode == 0, forced.stderr
    assert files(tmp_path) == after


def test_one_named_file_is_scored_anew_when_the_candidate_is_gone(
    ride_model: Path, candidate: Path, months: Path, tmp_path: Path
) -> None:
    """By variables, as a Job made from the CronJob is given it."""
    places = ("--input", months, "--output", tmp_path / "out.parquet")
    with_it = score(*MARCH, *places, MODEL_LOCATION=ride_model, SLIPWAY_CANDIDATE=candidate)
    assert with_it.returncode == 0, with_it.stderr
    assert "candidate_duration" in pq.read_schema(tmp_path / "out.parquet").names
    without = score(*MARCH, *places, MODEL_LOCATION=ride_model)
    assert "written" in without.stdout
    assert "candidate_duration" not in pq.read_schema(tmp_path / "out.parquet").names


def test_what_cannot_stand_beside_is_refused_before_anything_is_written(
    ride_model: Path, candidate: Path, months: Path, tmp_path: Path
) -> None:
    columns = {"x": np.arange(9.0)}
    tabular = save_table_model(tmp_path / "table", LinearRegression(), columns["x"], columns)
    tip = save_ride_model(
        tmp_path / "tip", metadata={"use_case": "rides", "answer": "tip", "buckets": [1.0, 5.0]}
    )
    out = tmp_path / "out"
    for given, told in (
        (("--candidate", tabular), "the candidate is a model of tabular, the model of rides"),
        (("--candidate", tip), "the candidate predicts tip, the model duration"),
        (
            ("--candidate", candidate, "--output-format", "homework"),
            "the homework's form has no place for a candidate",
        ),
        (("--candidate", tmp_path / "nowhere"), "nowhere"),
    ):
        refused = score(*MARCH, ride_model, "--input", months, "--output", out, *given)
        assert refused.returncode in (2, 3), refused.stderr
        assert told in refused.stderr
    assert not out.exists()
