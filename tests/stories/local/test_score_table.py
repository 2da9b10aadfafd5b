"""`slipway score` of a table that is none of rides, with a model that has a signature."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mlflow.models.signature import ModelSignature
from mlflow.types.schema import ColSpec, Schema
from moto.server import ThreadedMotoServer
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from tests.artifacts import save_table_model
from tests.score_process import score

from slipway.clients.objects import s3_client

ROWS = 70_000
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
PERIOD = ("--table", "meters", "--period", "2026-W48")
# The signature's names; the files say `site` and `hours`.
RENAMED = ("--column", "place=site", "--column", "age=hours")


def readings() -> pd.DataFrame:
    random = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "meter": [f"m{number % 700}" for number in range(ROWS)],
            "site": random.choice(["north", "south", "sea"], ROWS),
            "hours": random.integers(0, 9_000, ROWS),
            "load": random.uniform(0, 80, ROWS),
        }
    )


def inputs(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.rename(columns={"site": "place", "hours": "age"})[["place", "age", "load"]]


def save(folder: Path, estimator: Any, target: Any, output: str) -> Any:
    columns = ColumnTransformer([("place", OneHotEncoder(), ["place"])], remainder="passthrough")
    model = make_pipeline(columns, estimator)
    signature = ModelSignature(
        Schema([ColSpec("string", "place"), ColSpec("long", "age"), ColSpec("double", "load")]),
        Schema([ColSpec(output)]),
    )
    save_table_model(folder, model, target, inputs(readings().head(500)), signature)
    return model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A folder, and the model itself."""
    folder = tmp_path_factory.mktemp("model") / "model"
    few = readings().head(500)
    return folder, save(folder, LinearRegression(), few["load"] * 2 + few["hours"] / 9, "double")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one period in it, of which 3 rows cannot be scored."""
    folder = tmp_path_factory.mktemp("tables")
    frame = pa.Table.from_pandas(readings())
    load = readings()["load"].to_numpy().copy()
    load[[5, 66_000]] = np.nan
    load[7] = np.inf
    frame = frame.set_column(3, "load", pa.array(load))
    pq.write_table(frame, folder / "meters_2026-W48.parquet")
    return folder


def test_a_period_of_a_table_becomes_one_file_with_its_summary(
    model: tuple[Path, Any], table: Path, tmp_path: Path
) -> None:
    folder, itself = model
    given = (*PERIOD, "--model", folder, *RENAMED, "--keep", "meter", "--input", table)
    metrics = tmp_path / "slipway.prom"
    done = score(*given, "--keep-dropped", "--output", tmp_path / "out", "-o", "json",
                 "--metrics-file", metrics)  # fmt: skip
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    version = summary["model_version"]
    stem = tmp_path / "out" / "table=meters" / "period=2026-W48" / version
    names = {path.name for path in stem.parent.iterdir()}
    assert names == {f"{version}{end}" for end in (".parquet", ".dropped.parquet", ".summary.json")}
    scored = pq.ParquetFile(f"{stem}.parquet").read()
    assert scored.schema.names == ["row_id", "meter", "prediction", "model_version"]
    sound = np.setdiff1d(np.arange(ROWS), [5, 7, 66_000])
    frame = readings().iloc[sound]
    assert scored["row_id"].to_pylist() == [f"meters-2026-W48-{row:09d}" for row in sound]
    assert scored["meter"].to_pylist() == frame["meter"].tolist()
    expected = itself.predict(inputs(frame))
    np.testing.assert_allclose(scored["prediction"].to_numpy(), expected, rtol=1e-12)
    assert summary["mean_predicted"] == pytest.approx(expected.mean())
    assert (summary["rows"], summary["scored"]) == (ROWS, ROWS - 3)
    assert summary["dropped"] == {"load_missing": 2, "load_invalid": 1}
    left_out = pq.ParquetFile(f"{stem}.dropped.parquet").read().to_pylist()
    assert left_out[1] == {"row_id": "meters-2026-W48-000000007", "reason": "load_invalid"}
    assert f'slipway_batch_rides{{table="meters"}} {ROWS - 3:.1f}' in metrics.read_text()
    again = score(*given, "--output", tmp_path / "out")
    assert "was there already" in again.stdout
    assert score(*given, "--output", tmp_path / "two").returncode == 0
    twice = tmp_path / "two" / "table=meters" / "period=2026-W48" / f"{version}.parquet"
    assert twice.read_bytes() == Path(f"{stem}.parquet").read_bytes()


@pytest.fixture
def bucket(table: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Any]]:
    """A store with the table in it, and its endpoint."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = s3_client(f"http://{host}:{port}")
    client.create_bucket(Bucket="meters")
    (file,) = table.iterdir()
    client.put_object(Bucket="meters", Key=f"in/{file.name}", Body=file.read_bytes())
    yield f"http://{host}:{port}", client
    client.close()
    server.stop()


def test_from_a_store_to_a_store_it_is_the_same_bytes(
    model: tuple[Path, Any], table: Path, tmp_path: Path, bucket: tuple[str, Any]
) -> None:
    endpoint, client = bucket
    common = ("--model", model[0], *RENAMED, "-o", "json")
    done = score(
        *PERIOD, *common, "--input", "s3://meters/in/{table}_{period}.parquet",
        "--output", "s3://meters/out", AWS_ENDPOINT_URL=endpoint,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    here = score(*PERIOD, *common, "--input", table, "--output", tmp_path)
    assert here.stdout == done.stdout
    key = f"table=meters/period=2026-W48/{json.loads(done.stdout)['model_version']}.parquet"
    body = client.get_object(Bucket="meters", Key=f"out/{key}")["Body"].read()
    assert body == (tmp_path / key).read_bytes()


def test_labels_are_predictions_too(table: Path, tmp_path: Path) -> None:
    target = np.where(readings().head(500)["load"] > 40, "high", "low")
    itself = save(tmp_path / "model", LogisticRegression(max_iter=1_000), target, "string")
    done = score(*PERIOD, "--model", tmp_path / "model", *RENAMED, "--input", table,
                 "--output", tmp_path / "out.parquet")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "mean predicted" not in done.stdout
    found = pq.ParquetFile(tmp_path / "out.parquet").read()["prediction"].to_pylist()
    frame = readings().drop(index=[5, 7, 66_000])
    assert found == itself.predict(inputs(frame)).tolist()


def test_R34_without_a_period_it_is_the_month_before(
    model: tuple[Path, Any], table: Path, tmp_path: Path
) -> None:
    (file,) = table.iterdir()
    done = score("--table", "meters", "--run-date", "2026-12-02", "-o", "json", *RENAMED,
                 "--input", file, "--output", tmp_path,
                 MODEL_LOCATION=str(model[0]), SLIPWAY_TAXI_TYPE="green")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["period"] == "2026-11"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([*PERIOD], 1, "no column place, age; say what it calls"),
        ([*PERIOD, *RENAMED, "--column", "weight=kg"], 2, "no input weight; it takes place, age"),
        ([*PERIOD, *RENAMED, "--column", "weight"], 2, "write INPUT=COLUMN"),
        ([*PERIOD, "--column", "place=site", "--column", "age=meter"], 1, "age holds no numbers"),
        ([*PERIOD, *RENAMED, "--keep", "nothing"], 1, "no column nothing to keep"),
        ([*PERIOD, *RENAMED, "--output-format", "homework"], 2, "one of rides"),
        ([*PERIOD, *RENAMED, "--check"], 2, "only months of rides"),
        (["--table", "a/b"], 2, "the table must have"),
        (["--period", "2026"], 2, "name it, as --table"),
        (["--table", "meters", "--period", "2026-W49"], 3, "meters_2026-W49.parquet"),
    ],
)
def test_E3_what_does_not_fit_is_said(
    arguments: list[str], code: int, said: str, model: tuple[Path, Any], table: Path, tmp_path: Path
) -> None:
    done = score(*arguments, "--input", table, "--output", tmp_path / "out",
                 MODEL_LOCATION=str(model[0]))  # fmt: skip
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_model_of_rides_finds_its_columns_itself(
    ride_model: Path, table: Path, tmp_path: Path
) -> None:
    done = score(*PERIOD, *RENAMED, "--input", table, "--output", tmp_path,
                 MODEL_LOCATION=str(ride_model))  # fmt: skip
    assert done.returncode == 2
    assert "--column and --keep are for" in done.stderr


def test_other_periods_of_rides_have_names_too(ride_model: Path, tmp_path: Path) -> None:
    """A week of rides: the TLC's columns, ids and key of the week."""
    at = datetime(2021, 3, 1, 8)
    rides = {
        "tpep_pickup_datetime": [at],
        "tpep_dropoff_datetime": [at.replace(minute=20)],
        "PULocationID": [10],
        "DOLocationID": [50],
        "trip_distance": [3.0],
    }
    pq.write_table(pa.table(rides), tmp_path / "yellow_2021-W09.parquet")
    done = score("--table", "yellow", "--period", "2021-W09", "--input", tmp_path,
                 "--output", tmp_path / "out", MODEL_LOCATION=str(ride_model))  # fmt: skip
    assert done.returncode == 0, done.stderr
    (found,) = (tmp_path / "out" / "table=yellow" / "period=2021-W09").glob("*.parquet")
    assert pq.ParquetFile(found).read()["ride_id"].to_pylist() == ["yellow-2021-W09-000000000"]
