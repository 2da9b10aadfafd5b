"""`slipway score` beyond the one file: the homework's form, single steps, metrics, limits."""

from __future__ import annotations

import json
import pickle
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression
from tests.score_process import score
from tests.service_process import SLIPWAY

from slipway.examples.synthetic import Recipe, write_month

RECIPE = Recipe("yellow", 2023, 3, rows=3_000, seed=5, null_zones=0.01)


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("months")
    write_month(folder / RECIPE.file_name, RECIPE)
    return folder


def sound_rides(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Row and features of each ride of 1 to 60 minutes, as the course's notebook makes them."""
    found = []
    for row, ride in enumerate(pq.read_table(path).to_pylist()):
        minutes = (ride["tpep_dropoff_datetime"] - ride["tpep_pickup_datetime"]).total_seconds()
        zones = (ride["PULocationID"], ride["DOLocationID"])
        if 60 <= minutes <= 3600 and None not in zones and ride["trip_distance"] <= 10_000:
            found.append((row, {"PULocationID": str(zones[0]), "DOLocationID": str(zones[1])}))
    return found


def test_R40_R41_R43_R44_the_homework_as_the_course_does_it(months: Path, tmp_path: Path) -> None:
    """A pickled (dv, model) of the two zones; figures against scikit-learn itself."""
    rides = sound_rides(months / RECIPE.file_name)
    vectorizer, model = DictVectorizer(), LinearRegression()
    random = np.random.default_rng(1)
    model.fit(vectorizer.fit_transform([zones for _, zones in rides]), random.random(len(rides)))
    (tmp_path / "model.bin").write_bytes(pickle.dumps((vectorizer, model)))
    expected = model.predict(vectorizer.transform([zones for _, zones in rides]))

    done = score(
        *("yellow", 2023, 3, "--output-format", "homework", "--output", tmp_path / "out.parquet"),
        MODEL_FILE=tmp_path / "model.bin",
        SLIPWAY_ALLOW_PICKLE="true",
        SLIPWAY_INPUT=months,
    )
    assert done.returncode == 0, done.stderr
    output = pq.ParquetFile(tmp_path / "out.parquet")
    assert output.schema_arrow.names == ["ride_id", "predicted_duration"]
    group = output.metadata.row_group(0)
    assert {group.column(n).compression for n in (0, 1)} == {"UNCOMPRESSED"}
    table = output.read()
    assert table["ride_id"].to_pylist() == [f"2023/03_{row}" for row, _ in rides]
    assert table["predicted_duration"].to_numpy().tolist() == expected.tolist()
    summary = json.loads((tmp_path / "out.summary.json").read_text())
    assert summary["std_predicted"] == pytest.approx(expected.std(), rel=1e-12)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("predicted mean")]
    assert line == f"predicted mean duration: {summary['mean_predicted']}"
    assert summary["mean_predicted"] == pytest.approx(expected.mean(), rel=1e-12)


def test_R39_the_steps_one_by_one_and_each_with_its_exit_code(
    ride_model: Path, months: Path, tmp_path: Path
) -> None:
    """Read and judge; resolve and fetch; score by what was resolved."""
    checked = score("yellow", 2023, 3, "--check", "-o", "json", SLIPWAY_INPUT=months)
    assert checked.returncode == 0, checked.stderr
    found = json.loads(checked.stdout)
    assert found["rows"] == RECIPE.rows == found["usable"] + sum(found["dropped"].values())
    assert score("yellow", 2023, 4, "--check", SLIPWAY_INPUT=months).returncode == 3

    lock = tmp_path / "release.json"
    fetched = subprocess.run(
        [*SLIPWAY, "fetch", str(ride_model)], capture_output=True, timeout=100, check=True
    )
    lock.write_bytes(fetched.stdout)
    done = score(
        *("yellow", 2023, 3, "-o", "json", "--release-file", lock),
        SLIPWAY_INPUT=months,
        SLIPWAY_OUTPUT=tmp_path / "out",
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["scored"] == found["usable"]
    assert summary["model_digest"] == json.loads(fetched.stdout)["digest"]


def test_the_whole_command_comes_from_the_environment_too(
    ride_model: Path, months: Path, tmp_path: Path
) -> None:
    """As a Job that is made from the CronJob with other variables gets it; options win."""
    environment = {
        "MODEL_LOCATION": ride_model,
        "SLIPWAY_TAXI_TYPE": "yellow",
        "SLIPWAY_YEAR": 2023,
        "SLIPWAY_MONTH": 3,
        "SLIPWAY_INPUT": months,
        "SLIPWAY_OUTPUT": tmp_path,
    }
    done = score("-o", "json", **environment)
    assert done.returncode == 0, done.stderr
    assert (json.loads(done.stdout)["year"], json.loads(done.stdout)["month"]) == (2023, 3)
    assert score("--month", 5, **environment).returncode == 3
    refused = score(**environment | {"SLIPWAY_MONTH": 13})
    assert refused.returncode == 2
    assert "SLIPWAY_MONTH" in refused.stderr


def test_E3_a_month_of_the_future_is_said_to_be_one(ride_model: Path, months: Path) -> None:
    done = score("yellow", 2150, 1, MODEL_LOCATION=ride_model, SLIPWAY_INPUT=months)
    assert done.returncode == 3
    assert "yellow 2150-01 lies in the future" in done.stderr


def test_E3_more_rides_left_out_than_allowed_is_a_failure_without_output(
    ride_model: Path, months: Path, tmp_path: Path
) -> None:
    where = {"MODEL_LOCATION": ride_model, "SLIPWAY_INPUT": months, "SLIPWAY_OUTPUT": tmp_path}
    done = score("yellow", 2023, 3, "--max-dropped", 0.001, **where)
    assert done.returncode == 1
    assert "rides cannot be scored, most of them for zone_missing" in done.stderr
    assert not list(tmp_path.iterdir())


def test_E3_the_rides_left_out_are_kept_with_their_reasons(
    ride_model: Path, months: Path, tmp_path: Path
) -> None:
    where = {"MODEL_LOCATION": ride_model, "SLIPWAY_INPUT": months, "SLIPWAY_OUTPUT": tmp_path}
    done = score("yellow", 2023, 3, "--keep-dropped", "-o", "json", **where)
    summary = json.loads(done.stdout)
    (kept,) = tmp_path.rglob("*.dropped.parquet")
    reasons = pq.ParquetFile(kept).read()["reason"].to_pylist()
    assert {reason: reasons.count(reason) for reason in set(reasons)} == summary["dropped"]
    (scored,) = set(tmp_path.rglob("*.parquet")) - {kept}
    ids = [name for path in (kept, scored) for name in pq.ParquetFile(path).read()["ride_id"]]
    assert len({str(name) for name in ids}) == RECIPE.rows


@pytest.fixture
def gateway() -> Iterator[tuple[str, list[tuple[str, str, bytes]]]]:
    """A Pushgateway's HTTP side; gives its address and what it was sent."""
    sent: list[tuple[str, str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sent.append((self.command, self.path, body))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"127.0.0.1:{server.server_port}", sent
        server.shutdown()
        thread.join()


def test_R38_E10_a_run_tells_its_figures_to_a_file_and_a_gateway(
    ride_model: Path,
    months: Path,
    tmp_path: Path,
    gateway: tuple[str, list[tuple[str, str, bytes]]],
) -> None:
    address, sent = gateway
    where = {"MODEL_LOCATION": ride_model, "SLIPWAY_INPUT": months, "SLIPWAY_OUTPUT": tmp_path}
    file = tmp_path / "slipway.prom"
    told = {"SLIPWAY_METRICS_FILE": file, "SLIPWAY_PUSH_GATEWAY": address}
    done = score("yellow", 2023, 3, "-o", "json", **where, **told)
    summary = json.loads(done.stdout)
    text = file.read_text()
    assert 'slipway_batch_last_run_success{taxi_type="yellow"} 1.0' in text
    assert f'slipway_batch_rides{{taxi_type="yellow"}} {float(summary["scored"])}' in text
    mae = (
        f'slipway_batch_mean_absolute_error{{taxi_type="yellow"}} {summary["mean_absolute_error"]}'
    )
    assert mae in text
    for reason, count in summary["dropped"].items():
        assert f'{{reason="{reason}",taxi_type="yellow"}} {float(count)}' in text
    ((verb, path, body),) = sent
    assert (verb, path) == ("POST", "/metrics/job/slipway-batch/taxi_type/yellow")
    assert body.decode() == text

    failed = score("yellow", 2023, 4, **where, **told)
    assert failed.returncode == 3
    assert 'slipway_batch_last_run_success{taxi_type="yellow"} 0.0' in file.read_text()
    assert "slipway_batch_rides" not in file.read_text()
    assert b'last_run_success{taxi_type="yellow"} 0.0' in sent[1][2]


def test_a_gateway_that_is_not_there_fails_no_run(
    ride_model: Path, months: Path, tmp_path: Path
) -> None:
    where = {"MODEL_LOCATION": ride_model, "SLIPWAY_INPUT": months, "SLIPWAY_OUTPUT": tmp_path}
    done = score("yellow", 2023, 3, "--push-gateway", "127.0.0.1:9", **where)
    assert done.returncode == 0, done.stderr
    assert "metrics could not be told" in done.stderr
