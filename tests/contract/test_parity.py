"""R47: the same ride has the same prediction, to the bit, on every way through the service."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.artifacts import ride_pipeline, save_ride_model
from tests.conftest import REAL_RIDES
from tests.raw_http import exchange
from tests.raw_http import post as raw_post
from tests.service_process import SLIPWAY, ServiceProcess, post, serving

from slipway.clients.streams import Record
from slipway.examples.synthetic import Recipe, make_month
from slipway.models.obtain import obtain
from slipway.settings import ModelSettings, read_settings
from slipway.stream.processor import Processor, Scored
from slipway.usecases.rides import MAX_DISTANCE, pair_key, ride_features

RIDES = 1_000
FILE = "green_tripdata_2019-03.parquet"
PICKUP, DROPOFF, DISTANCE = "PULocationID", "DOLocationID", "trip_distance"


def _rides() -> pa.Table:
    """The real ones where they are, else made ones; all of 1 to 60 minutes, so none is dropped."""
    if REAL_RIDES.is_dir():
        # Of the green ones there are 750, so yellow ones take green's names for two columns.
        green = pq.read_table(REAL_RIDES / FILE)
        yellow = pq.read_table(REAL_RIDES / FILE.replace("green", "yellow"))
        names = {"tpep_pickup_datetime": "lpep_pickup_datetime"}
        names |= {"tpep_dropoff_datetime": "lpep_dropoff_datetime"}
        yellow = yellow.rename_columns([names.get(name, name) for name in yellow.column_names])
        kept = [PICKUP, DROPOFF, DISTANCE, *names.values()]
        table = pa.concat_tables(
            [green.select(kept), yellow.select(kept)], promote_options="permissive"
        )
    else:
        table = make_month(Recipe("green", 2019, 3, rows=3 * RIDES))
    minutes = [
        (end - start).total_seconds() / 60
        for start, end in zip(
            table["lpep_pickup_datetime"].to_pylist(),
            table["lpep_dropoff_datetime"].to_pylist(),
            strict=True,
        )
    ]
    columns = (table[name].to_pylist() for name in (DISTANCE, PICKUP, DROPOFF))
    sound = [
        1 <= time <= 60 and 0 <= distance <= MAX_DISTANCE and None not in zones
        for time, distance, *zones in zip(minutes, *columns, strict=True)
    ]
    return table.filter(pa.array(sound)).slice(0, RIDES)


@pytest.fixture(scope="module")
def table() -> pa.Table:
    table = _rides()
    assert table.num_rows == RIDES
    return table


@pytest.fixture(scope="module")
def rows(table: pa.Table) -> list[dict[str, Any]]:
    """The rides as clients send them; ids by turns as integer, as text and as a whole float."""
    spellings = itertools.cycle((int, str, float))
    return [
        {
            PICKUP: spell(row[PICKUP]),
            DROPOFF: spell(row[DROPOFF]),
            DISTANCE: row[DISTANCE],
        }
        for row, spell in zip(
            table.select([PICKUP, DROPOFF, DISTANCE]).to_pylist(), spellings, strict=False
        )
    ]


@pytest.fixture(scope="module")
def native(table: pa.Table) -> list[float]:
    """What the pipeline itself says, one ride at a time."""
    pipeline = ride_pipeline()
    columns = (table[name].to_pylist() for name in (PICKUP, DROPOFF, DISTANCE))
    return [
        float(pipeline.predict([ride_features(pair_key(pickup, dropoff), distance)])[0])
        for pickup, dropoff, distance in zip(*columns, strict=True)
    ]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_ride_model(tmp_path_factory.mktemp("parity") / "model")


@pytest.fixture(scope="module")
def service(model: Path) -> Iterator[ServiceProcess]:
    with serving(model) as running:
        yield running


def test_R47_predict_one_by_one(
    service: ServiceProcess, rows: list[dict[str, Any]], native: list[float]
) -> None:
    answers = [post(f"{service.url}/predict", row)[1]["duration"] for row in rows]
    assert answers == native


def test_R47_predict_as_instances(
    service: ServiceProcess, rows: list[dict[str, Any]], native: list[float]
) -> None:
    _, document, _ = post(f"{service.url}/predict", {"instances": rows})
    assert document["predictions"] == native


@pytest.mark.parametrize("form", ["dataframe_split", "dataframe_records", "instances", "inputs"])
def test_R47_invocations_in_all_of_mlflows_forms(
    form: str, service: ServiceProcess, rows: list[dict[str, Any]], native: list[float]
) -> None:
    columns = [PICKUP, DROPOFF, DISTANCE]
    body: dict[str, Any] = {
        "dataframe_split": {
            "columns": columns,
            "data": [[row[name] for name in columns] for row in rows],
        },
        "inputs": {name: [row[name] for row in rows] for name in columns},
    }
    _, document, _ = post(f"{service.url}/invocations", {form: body.get(form, rows)})
    assert document["predictions"] == native


def test_R47_F15_tensors(
    service: ServiceProcess, rows: list[dict[str, Any]], native: list[float]
) -> None:
    """A tensor holds one datatype: the zones as texts, then as whole floats."""
    for datatype, spell in (("BYTES", str), ("FP64", float)):
        inputs = [
            {"name": name, "shape": [len(rows)], "datatype": kind, "data": values}
            for name, kind, values in (
                (PICKUP, datatype, [spell(row[PICKUP]) for row in rows]),
                (DROPOFF, datatype, [spell(row[DROPOFF]) for row in rows]),
                (DISTANCE, "FP64", [row[DISTANCE] for row in rows]),
            )
        ]
        _, document, _ = post(f"{service.url}/v2/models/slipway/infer", {"inputs": inputs})
        assert document["outputs"][0]["data"] == native


def test_R47_F16_csv(
    service: ServiceProcess, rows: list[dict[str, Any]], native: list[float]
) -> None:
    columns = [PICKUP, DROPOFF, DISTANCE]
    lines = [",".join(columns), *(",".join(str(row[name]) for name in columns) for row in rows)]
    request = raw_post("\n".join(lines).encode(), path="/invocations", media="text/csv")
    assert exchange(service.port, request).json()["predictions"] == native


def test_R47_the_streams_processor(
    model: Path, rows: list[dict[str, Any]], native: list[float]
) -> None:
    loaded = obtain(read_settings(ModelSettings, location=str(model)))
    assert loaded
    processor = Processor(loaded.scorer, loaded.release, "ride_events")
    records = [
        Record("s", str(number), "", json.dumps({"ride": row, "ride_id": number}).encode())
        for number, row in enumerate(rows)
    ]
    scored = [each for each in processor.process(records) if isinstance(each, Scored)]
    events = [json.loads(each.entry.data) for each in scored]
    assert [each["prediction"]["ride_duration"] for each in events] == native


@pytest.mark.parametrize("ids", ["whole numbers", "a column with missing ids"])
def test_row_13_R47_R48_score_differs_by_nothing_from_predict(
    ids: str, table: pa.Table, native: list[float], model: Path, tmp_path: Path
) -> None:
    """R48: one missing id makes pandas' whole column float; no key may become `10.0_50.0`."""
    if ids != "whole numbers":
        lost = table.slice(0, 1).set_column(
            table.column_names.index(PICKUP),
            PICKUP,
            pa.array([None], table[PICKUP].type),
        )
        floats = pa.concat_tables([table, lost])
        for name in (PICKUP, DROPOFF):
            place = floats.column_names.index(name)
            floats = floats.set_column(place, name, floats[name].cast(pa.float64()))
        table = floats
    pq.write_table(table, tmp_path / FILE)
    places = ["--input", str(tmp_path), "--output", str(tmp_path / "out")]
    ran = subprocess.run(
        [*SLIPWAY, "score", "green", "2019", "3", str(model), *places],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    (output,) = (tmp_path / "out").rglob("*.parquet")
    scored = pq.ParquetFile(output).read()
    predicted = scored["predicted_duration"].to_pylist()
    assert np.array(predicted[:RIDES]).tobytes() == np.array(native).tobytes()
