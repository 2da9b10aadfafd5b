"""A known release in real processes: what they import, what they show, and that all ways agree."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import skops.io
from tests.artifacts import save_ride_model
from tests.fitted_models import of_dicts
from tests.service_process import SLIPWAY, bare_environment, get, post, serving

from slipway.batch.tables import open_month, read_month
from slipway.clients.streams import Record
from slipway.clients.tables import Store
from slipway.examples.synthetic import Recipe, write_month
from slipway.models.obtain import obtain
from slipway.models.trusted_types import TRUSTED_TYPES
from slipway.settings import ModelSettings, read_settings
from slipway.stream.processor import Processor, Scored

# What a process must not need for a release that it knows.
HEAVY = {"sklearn", "skops", "scipy", "joblib", "mlflow", "pandas"}
# What neither serving nor a batch needs at all: options and settings of another kind, colours for
# terminals.
SPARED = {"typer", "pydantic", "pydantic_core", "pydantic_settings", "dotenv"}
SPARED |= {"rich", "pygments", "attr"}
# What reads a command line, of which a pod has none.
COMMAND_LINE = {"click"}
# What answers all but predictions: imported when it is asked.
FLASK = {"flask", "werkzeug", "jinja2"}
# Python tells every module that it imports on standard error, as `... | module`.
TELLING = {"PYTHONPROFILEIMPORTTIME": "1"}
MONTH = Recipe("green", 2021, 3, rows=1_500)


def imported(told: str) -> set[str]:
    """The packages of a process that was TELLING; one that was refused has no modules below it."""
    names = re.findall(r"^import time:[^|]+\|[^|]+\| *(\S+)", told, re.MULTILINE)
    packages = {name.split(".")[0] for name in names if "." in name}
    assert {"slipway", "numpy"} <= packages
    return packages


def score(model: Path, folder: Path, scratch: Path) -> tuple[list[float], set[str]]:
    """A month's predictions, and what the process imported."""
    write_month(folder / MONTH.file_name, MONTH)
    places = ["--input", str(folder), "--output", str(folder / "out"), "--force"]
    ran = subprocess.run(
        [*SLIPWAY, "score", "green", "2021", "3", str(model), *places],
        env=bare_environment() | TELLING | {"SLIPWAY_SCRATCH_DIR": str(scratch)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    (output,) = (folder / "out").rglob("*.parquet")
    return pq.ParquetFile(output).read()["predicted_duration"].to_pylist(), imported(ran.stderr)


@pytest.fixture(scope="module", params=["linear", "forest", "boosting", "histogram"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compiled") / "model"
    return save_ride_model(folder, pipeline=of_dicts(kind)[0], trusted=sorted(TRUSTED_TYPES))


def test_F15_serve_imports_nothing_of_a_known_release_s_libraries(
    kind: str, model: Path, tmp_path: Path
) -> None:
    """All of it by the environment, as in a pod: there is no command line to read."""
    environment = TELLING | {
        "SLIPWAY_SCRATCH_DIR": str(tmp_path / "scratch"),
        "MODEL_LOCATION": str(model),
    }
    ride = {"PULocationID": 10, "DOLocationID": 50, "trip_distance": 3.7}
    answers: list[float] = []
    packages: list[set[str]] = []
    for _ in range(2):
        with serving(environment=environment) as service:
            _, answer, _ = post(f"{service.url}/predict", ride)
            _, several, _ = post(f"{service.url}/predict", {"instances": [ride] * 40})
            metrics = get(f"{service.admin_url}/metrics")[1].decode()
            assert get(f"{service.admin_url}/readyz")[0] == 200
            answers += [answer["duration"], *several["predictions"]]
            packages.append(imported(service.log.read_text()))
            shown = json.loads(get(f"{service.url}/model")[1])
            assert imported(service.log.read_text()) >= packages[-1] | FLASK
            lines = [json.loads(x) for x in service.log.read_text().split("\n") if x[:1] == "{"]
        form = "linear" if kind == "linear" else "steps"
        (line,) = [each for each in lines if each["event"] == "serving"]
        assert (shown["form"], line["form"]) == (form, form)
        assert shown["form_reason"] == line["form_reason"]
        assert f'form="{form}"' in metrics
    assert packages[0] >= {"sklearn", "skops"}
    assert not packages[1] & (HEAVY | SPARED | COMMAND_LINE | FLASK)
    assert len(set(answers)) == 1


def test_F15_score_imports_nothing_of_a_known_releases_libraries(
    model: Path, tmp_path: Path
) -> None:
    first, packages = score(model, tmp_path, tmp_path / "scratch")
    assert packages >= {"sklearn"} | COMMAND_LINE
    again, packages = score(model, tmp_path, tmp_path / "scratch")
    assert not packages & (HEAVY | SPARED | FLASK)
    assert again == first


def ways(model: Path, features: Sequence[dict[str, Any]]) -> dict[str, list[float]]:
    """The answers of the stream's processor, one at a time and together."""
    loaded = obtain(read_settings(ModelSettings, location=str(model)))
    assert loaded
    processor = Processor(loaded.scorer, loaded.release, "rides")
    rides = []
    for row in features:
        pickup, dropoff = row["PU_DO"].split("_")
        rides.append({"PULocationID": pickup, "DOLocationID": dropoff,
                      "trip_distance": row["trip_distance"]})  # fmt: skip
    records = [
        Record("s", str(number), "", json.dumps({"ride": ride, "ride_id": number}).encode())
        for number, ride in enumerate(rides)
    ]

    def values(outcomes: Sequence[Any]) -> list[float]:
        scored = [each for each in outcomes if isinstance(each, Scored)]
        return [each.event["prediction"]["ride_duration"] for each in scored]

    with serving(model) as service:
        instances = [
            post(f"{service.url}/predict", {"instances": rides[start : start + 100]})[1]
            for start in range(0, len(rides), 100)
        ]
        online = [post(f"{service.url}/predict", ride)[1]["duration"] for ride in rides]
    return {
        "online, one by one": online,
        "online, instances": [each for part in instances for each in part["predictions"]],
        "stream, together": values(processor.process(records)),
        "stream, one by one": [
            x for record in records for x in values(processor.process([record]))
        ],
    }


def test_F14_R47_a_thousand_rides_have_the_same_bits_on_every_way(
    model: Path, tmp_path: Path
) -> None:
    """Batch, web and stream, of each form; and the native model's answers."""
    batch, _ = score(model, tmp_path, tmp_path / "scratch")
    source = Store().read(str(tmp_path / MONTH.file_name), tmp_path / "unused")
    with open_month(source) as month:
        features = [row for rides in read_month(month, "duration") for row in rides.features()]
    assert len(features) >= 1_000
    found = ways(model, features[:1_000])
    for way, answers in found.items():
        assert answers == batch[:1_000], way
    trusted = sorted(TRUSTED_TYPES)
    native = skops.io.load(model / "model.skops", trusted=trusted).predict(features)
    np.testing.assert_allclose(batch, native, rtol=1e-12, atol=0)
