"""Clients that people have already: Triton's and MLServer's own code, and MLflow's bodies."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.utils.proto_json_utils import dump_input_data
from tests.artifacts import ride_pipeline
from tests.raw_http import exchange
from tests.raw_http import post as raw_post
from tests.service_process import ROOT, ServiceProcess, serving

from slipway.usecases.rides import pair_key, ride_features

PYTHON = ROOT / ".venv-clients" / "bin" / "python"
RIDES = [
    {"PULocationID": 10, "DOLocationID": 50, "trip_distance": 40.0},
    {"PULocationID": 43, "DOLocationID": 151, "trip_distance": 2.5},
    {"PULocationID": 130, "DOLocationID": 205, "trip_distance": 0.1},
]
EXPECTED = [
    float(
        ride_pipeline().predict(
            [
                ride_features(
                    pair_key(ride["PULocationID"], ride["DOLocationID"]), ride["trip_distance"]
                )
            ]
        )[0]
    )
    for ride in RIDES
]


@pytest.fixture(scope="module")
def service(ride_model: Path) -> Iterator[ServiceProcess]:
    with serving(ride_model) as running:
        yield running


@pytest.fixture(scope="module")
def answers(service: ServiceProcess) -> dict[str, Any]:
    """What the clients of .venv-clients got."""
    if not PYTHON.exists():
        pytest.skip("the clients' environment is missing; `make .venv-clients/.made` sets it up")
    script = Path(__file__).with_name("v2_clients.py")
    run = subprocess.run(
        [PYTHON, script, str(service.port)],
        input=json.dumps(RIDES),
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    answers: dict[str, Any] = json.loads(run.stdout)
    return answers


def test_F15_tritons_client_gets_the_same_to_the_bit_in_binary_and_in_json(
    answers: dict[str, Any],
) -> None:
    """Three datatypes of zones, twice with bytes and twice without, in both forms of outputs."""
    found = {name: answer for name, answer in answers.items() if name.startswith("triton ")}
    assert len(found) == 12
    assert all(answer == EXPECTED for answer in found.values()), found


def test_F15_tritons_client_finds_the_server_and_the_model_ready(answers: dict[str, Any]) -> None:
    assert answers["ready"] == [True] * 4
    assert answers["metadata"]["name"] == "slipway"


def test_A8_F15_tritons_client_shows_what_was_wrong(answers: dict[str, Any]) -> None:
    assert answers["refused"] == ["422", "trip_distance: is missing"]


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="MLServer needs an older Python")
def test_F15_mlservers_types_and_codecs_read_and_write_what_is_spoken_here(
    answers: dict[str, Any],
) -> None:
    assert answers["mlserver metadata"] == list(RIDES[0])
    assert answers["mlserver pandas"] == answers["mlserver strings"] == EXPECTED


FRAME = pd.DataFrame(RIDES)
BODIES: dict[str, tuple[str, str]] = {
    "dataframe_split": ("application/json", dump_input_data(FRAME)),
    "dataframe_records": (
        "application/json; charset=utf-8",
        json.dumps({"dataframe_records": FRAME.to_dict(orient="records")}),
    ),
    "instances": ("application/json", dump_input_data(RIDES, inputs_key="instances")),
    "inputs": ("application/json", dump_input_data(RIDES)),
    "inputs by columns": (
        "application/json",
        json.dumps({"inputs": FRAME.to_dict(orient="list"), "params": {}}),
    ),
    "csv": ("text/csv", FRAME.to_csv(index=False)),
    "csv with an index": ("text/csv; charset=utf-8", FRAME.to_csv()),
}


@pytest.mark.parametrize("form", BODIES)
def test_F16_mlflows_own_bodies_are_answered_as_mlflows_client_reads_it(
    form: str, service: ServiceProcess
) -> None:
    media, body = BODIES[form]
    answer = exchange(service.port, raw_post(body.encode(), path="/invocations", media=media))
    assert answer.status == 200, answer.body
    assert np.array_equal(answer.json()["predictions"], EXPECTED)
