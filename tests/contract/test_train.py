"""`slipway train` against a real MLflow server, as a user runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import mlflow.pyfunc
import msgspec
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from tests.fixtures_mlflow import mlflow_server

from slipway.cli.train import ModelKind, Target
from slipway.examples.ride_models import ESTIMATORS, TARGETS, rides_of_table
from slipway.examples.synthetic import Recipe, make_month
from slipway.examples.training import Plan, run
from slipway.models.obtain import Loaded, obtain
from slipway.settings import ModelSettings, read_settings

SERVICE = Path(__file__).parent.parent.parent / "service"
SLIPWAY = [sys.executable, "-c", "from slipway.cli.main import main; main()"]
FEATURES = {"PU_DO": "10_50", "trip_distance": 40.0}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as address:
        yield address


@pytest.fixture
def client(server: str, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    mlflow.set_tracking_uri(server)
    mlflow.set_registry_uri(server)
    return MlflowClient()


def slipway(*arguments: str, **surroundings: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a process of its own, with nothing set but `surroundings`."""
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [*SLIPWAY, *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        env={**clean, **surroundings},
        check=False,
    )


@pytest.fixture(scope="module")
def trained(server: str) -> subprocess.CompletedProcess[str]:
    return slipway("train", "--rows", "3000", "-o", "json", MLFLOW_TRACKING_URI=server)


@pytest.fixture(scope="module")
def models(trained: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert trained.returncode == 0, trained.stderr
    found: list[dict[str, Any]] = json.loads(trained.stdout)["models"]
    return found


def obtained(reference: str, server: str, cache: Path) -> Loaded:
    settings = read_settings(ModelSettings, uri=reference, tracking_uri=server, cache_dir=cache)
    loaded = obtain(settings)
    assert loaded is not None
    return loaded


pytestmark = pytest.mark.mlflow


def test_it_says_what_it_does_and_mlflow_says_nothing(
    trained: subprocess.CompletedProcess[str], models: list[dict[str, Any]]
) -> None:
    assert [model["name"] for model in models] == ["ride-duration", "ride-duration-onehot"]
    lines = trained.stderr.splitlines()
    assert [line.split(":")[0].split(" (")[0] for line in lines] == [
        "asking the tracking server",
        "making synthetic rides",
        "training linear",
        "logging ride-duration",
        "training its twin with columns",
        "logging ride-duration-onehot",
        "serve it",
    ]
    assert models[0]["run_id"] in lines[-1]


def test_R15_the_run_holds_the_model_and_what_is_needed_to_judge_it(
    models: list[dict[str, Any]], client: MlflowClient
) -> None:
    """R15: pipeline, signature, input example, reference predictions; and the lineage."""
    run_data = client.get_run(models[0]["run_id"]).data
    assert run_data.params["model"] == "linear"
    assert run_data.metrics["rmse"] == models[0]["rmse"] > run_data.metrics["mae"] > 0
    made = rides_of_table(make_month(Recipe("green", 2021, 2, 3000)), "duration", "test")
    assert run_data.tags["slipway.data_sha256"] == made.sha256
    assert run_data.tags["slipway.scikit-learn"]

    sample = mlflow.artifacts.load_dict(f"runs:/{models[0]['run_id']}/reference_predictions.json")
    assert sample["count"] == len(sample["predictions"]) > 500
    info = mlflow.models.get_model_info(models[0]["uri"])
    assert info.signature.inputs is None
    assert info.signature.outputs.to_dict() == [{"type": "double", "required": True}]
    assert info.saved_input_example_info["type"] == "json_object"
    known = info.metadata["slipway"]
    assert (known["use_case"], known["answer"]) == ("rides", "duration")
    assert known["reference"]["mean"] == pytest.approx(np.mean(sample["predictions"]), rel=1e-5)
    shares, _ = np.histogram(sample["predictions"], [-np.inf, *known["buckets"], np.inf])
    assert shares.max() < 2 * shares.min()


def test_R14_the_artefact_alone_predicts_from_a_dict_and_from_a_list(
    models: list[dict[str, Any]], client: MlflowClient
) -> None:
    served = mlflow.pyfunc.load_model(models[0]["uri"])
    alone, both = served.predict(FEATURES), served.predict([FEATURES, FEATURES])
    assert alone.shape == (1,)
    assert list(both) == [alone[0], alone[0]]


def test_R15_the_twin_has_the_full_signature_and_the_same_predictions(
    models: list[dict[str, Any]], client: MlflowClient
) -> None:
    info = mlflow.models.get_model_info(models[1]["uri"])
    assert {column.name: column.type.name for column in info.signature.inputs} == {
        "PU_DO": "string",
        "trip_distance": "double",
    }
    rides = rides_of_table(make_month(Recipe("green", 2022, 1, 500)), "duration", "test")
    by_dict = mlflow.pyfunc.load_model(models[0]["uri"]).predict(rides.dicts())
    twin = mlflow.pyfunc.load_model(models[1]["uri"])
    np.testing.assert_allclose(twin.predict(rides.frame()), by_dict, rtol=1e-9)
    with pytest.raises(mlflow.MlflowException):
        twin.predict(pd.DataFrame([{"PU_DO": "10_50"}]))


def test_both_forms_are_served_alike_as_they_were_logged(
    models: list[dict[str, Any]], server: str, tmp_path: Path
) -> None:
    rides = obtained(models[0]["run_id"], server, tmp_path)
    twin = obtained("models:/ride-duration-onehot@champion", server, tmp_path)
    assert rides.release.run_id == models[0]["run_id"]
    assert rides.release.model_id == models[0]["model_id"]
    assert (rides.release.use_case, twin.release.use_case) == ("rides", "tabular")
    assert len(rides.release.buckets) == 24
    ride = {"PULocationID": 10, "DOLocationID": "50", "trip_distance": 40}
    sent = {"PU_DO": "10_50", "trip_distance": 40}
    answers = [
        loaded.scorer.score([msgspec.convert(row, loaded.scorer.use_case.row_type())])
        for loaded, row in ((rides, ride), (twin, sent))
    ]
    assert answers[0] == pytest.approx(answers[1], rel=1e-9)


def test_the_alias_moves_to_the_new_version_unless_it_shall_not(
    server: str, client: MlflowClient
) -> None:
    plan = Plan("ride-alias", rows=200, twin=False)
    first = run(plan, server)[0]
    assert client.get_model_version_by_alias("ride-alias", "champion").version == first.version
    kept = run(replace(plan, alias="", seed=1), server)[0]
    assert (first.version, kept.version, kept.alias) == ("1", "2", None)
    assert client.get_model_version_by_alias("ride-alias", "champion").version == "1"
    moved = run(replace(plan, seed=2), server)[0]
    assert client.get_model_version_by_alias("ride-alias", "champion").version == moved.version


@pytest.mark.real_rides
def test_real_rides_of_both_colours_make_a_tip_model(
    real_rides: Path, server: str, tmp_path: Path
) -> None:
    files = tuple(sorted(real_rides.glob("*.parquet")))
    plan = Plan("ride-tip", "boosting", "tip", files, rows=2_000, twin=False)
    logged = run(plan, server)[0]
    loaded = obtained(logged.uri, server, tmp_path)
    assert loaded.scorer.use_case.answer == "tip"
    assert 1.0 < logged.rmse < 5.0


def test_a_server_that_hands_out_artefacts_itself_is_logged_to_as_well(tmp_path: Path) -> None:
    with mlflow_server(tmp_path / "mlflow", proxied=True) as address:
        logged = run(Plan("ride-proxied", rows=200, twin=False), address)[0]
        loaded = obtained(logged.run_id, address, tmp_path / "cache")
    assert loaded.release.uri.startswith("mlflow-artifacts:/")


def test_R30_an_image_without_the_examples_says_so_and_exits_2(tmp_path: Path) -> None:
    shutil.copytree(
        SERVICE / "slipway", tmp_path / "slipway", ignore=shutil.ignore_patterns("examples")
    )
    done = slipway("train", MLFLOW_TRACKING_URI="http://127.0.0.1:9", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "no training code" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        ([], 2, "MLFLOW_TRACKING_URI"),
        (["--name", "a/b"], 2, "--name"),
        (["--alias", "a b"], 2, "--alias"),
        (["--model", "oracle"], 2, "boosting"),
        (["--tracking-uri", "http://127.0.0.1:9"], 75, "tracking server"),
    ],
)
def test_what_cannot_be_done_is_said_at_once(arguments: list[str], code: int, word: str) -> None:
    done = slipway("train", *arguments)
    assert done.returncode == code
    assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_line_offers_what_the_examples_know() -> None:
    assert [kind.value for kind in ModelKind] == list(ESTIMATORS)
    assert [target.value for target in Target] == list(TARGETS)
