"""A service whose model lies in MLflow: by run id from an S3 store, then with both of them gone."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.models import ModelSignature
from moto.server import ThreadedMotoServer
from tests.artifacts import OUTPUTS, RIDE, ride_pipeline
from tests.fixtures_mlflow import mlflow_server
from tests.service_process import HOST, ServiceProcess, free_port, get, post, serving

from slipway.clients.objects import s3_client
from slipway.usecases.rides import ride_features

pytestmark = pytest.mark.mlflow

SCALES = (1.0, 2.0)
REASON_SECONDS = 30
READY_SECONDS = 10


@dataclass
class Platform:
    """A tracking server and an S3 store, each of which can be taken away."""

    environment: Mapping[str, str]
    run_ids: list[str]


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address=HOST, port=free_port())
    server.start()
    try:
        yield f"http://{HOST}:{server._port}"
    finally:
        server.stop()


@pytest.fixture(scope="module")
def platform(store: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Two runs with a model each, their artefacts in the store."""
    keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "a-secret-of-this-test"}
    environment = {**keys, "AWS_DEFAULT_REGION": "us-east-1", "MLFLOW_S3_ENDPOINT_URL": store}
    with given(environment):
        s3_client(store).create_bucket(Bucket="mlflow")
        with mlflow_server(tmp_path_factory.mktemp("mlflow"), s3="s3://mlflow") as server:
            environment["MLFLOW_TRACKING_URI"] = server
            run_ids = [logged(environment, scale) for scale in SCALES]
            yield Platform(environment, run_ids)


@contextlib.contextmanager
def given(environment: Mapping[str, str]) -> Iterator[None]:
    """This process's own clients see these variables for a while."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        yield


def logged(environment: Mapping[str, str], scale: float) -> str:
    """The id of a new run with a model whose minutes are multiplied by `scale`."""
    mlflow.set_tracking_uri(environment["MLFLOW_TRACKING_URI"])
    with given(environment), mlflow.start_run() as run:
        mlflow.sklearn.log_model(
            ride_pipeline(scale),
            name="model",
            signature=ModelSignature(outputs=OUTPUTS),
            input_example={"PU_DO": "10_50", "trip_distance": 40.0},
            metadata={"slipway": {"use_case": "rides", "buckets": [10.0, 100.0]}},
            pip_requirements=["scikit-learn"],
        )
    return str(run.info.run_id)


def by_run(platform: Platform, number: int, cache: Path, **more: str) -> dict[str, str]:
    return {
        **platform.environment,
        "MODEL_RUN_ID": platform.run_ids[number],
        "SLIPWAY_CACHE_DIR": str(cache),
        **more,
    }


def predicted(service: ServiceProcess) -> tuple[float, str]:
    _, document, headers = post(f"{service.url}/predict", RIDE)
    assert headers["X-Slipway-Run-Id"] == document["model_version"]
    return document["duration"], document["model_version"]


def minutes(scale: float) -> float:
    return float(ride_pipeline(scale).predict([ride_features("10_50", 40.0)])[0])


def test_R13_R16_R20_the_run_id_alone_decides_what_answers(
    platform: Platform, tmp_path: Path
) -> None:
    """R13, R16, R20: the version is the run of the artefact that was loaded, from S3."""
    for number, scale in enumerate(SCALES):
        with serving(environment=by_run(platform, number, tmp_path)) as service:
            assert predicted(service) == (minutes(scale), platform.run_ids[number])
            exposed = get(f"{service.admin_url}/metrics")[1].decode()
            (info,) = [
                line
                for line in exposed.splitlines()
                if line.startswith("slipway_release_info{") and line.endswith(" 1.0")
            ]
            assert f'run_id="{platform.run_ids[number]}"' in info
            assert "a-secret-of-this-test" not in service.log.read_text()


def test_R17_B9_a_service_starts_and_starts_again_with_server_and_store_gone(
    platform: Platform, tmp_path: Path
) -> None:
    """R17, B9 (process half): resolved and fetched once, neither is needed again."""
    cache = tmp_path / "cache"
    nowhere = f"http://{HOST}:{free_port()}"
    gone = {"MLFLOW_TRACKING_URI": nowhere, "MLFLOW_S3_ENDPOINT_URL": nowhere}
    with contextlib.ExitStack() as stack:
        with mlflow_server(tmp_path / "own", s3="s3://mlflow/own") as server:
            here = {"MLFLOW_TRACKING_URI": server}
            run_id = logged({**platform.environment, **here}, 1.0)
            here["MODEL_RUN_ID"] = gone["MODEL_RUN_ID"] = run_id
            service = stack.enter_context(serving(environment=by_run(platform, 0, cache, **here)))
            first = predicted(service)
            assert first == (minutes(1.0), run_id)
        # The tracking server has ended: what runs does not notice.
        assert predicted(service) == first
        assert service.stop() == 0
    for _restart in range(2):
        with serving(environment=by_run(platform, 0, cache, **gone), ready=False) as again:
            again.wait_ready(READY_SECONDS)
            assert predicted(again) == first


def test_B9_without_a_cache_the_reason_is_told_soon(platform: Platform, tmp_path: Path) -> None:
    nowhere = {"MLFLOW_TRACKING_URI": f"http://{HOST}:{free_port()}"}
    environment = by_run(platform, 0, tmp_path, **nowhere)
    with serving(environment=environment, ready=False) as service:
        assert service.process.wait(REASON_SECONDS) == 1
        assert "the tracking server" in said(service)


def test_B13_with_the_store_gone_the_reason_is_told_soon(
    platform: Platform, tmp_path: Path
) -> None:
    nowhere = {"MLFLOW_S3_ENDPOINT_URL": f"http://{HOST}:{free_port()}"}
    environment = by_run(platform, 0, tmp_path, **nowhere)
    with serving(environment=environment, ready=False) as service:
        assert service.process.wait(2 * REASON_SECONDS) == 1
        assert "Unavailable" in said(service)


def test_B2_an_object_that_is_missing_is_named(platform: Platform, tmp_path: Path) -> None:
    """B2: the run is there and its model file is not; nothing half-fetched stays behind."""
    run_id = logged(platform.environment, 3.0)
    client = MlflowClient(platform.environment["MLFLOW_TRACKING_URI"])
    (output,) = client.get_run(run_id).outputs.model_outputs
    location = client.get_logged_model(output.model_id).artifact_location
    bucket, _, prefix = location.removeprefix("s3://").partition("/")
    with given(platform.environment):
        store = s3_client(platform.environment["MLFLOW_S3_ENDPOINT_URL"])
        store.delete_object(Bucket=bucket, Key=f"{prefix}/model.skops")
    cache = tmp_path / "cache"
    environment = by_run(platform, 0, cache, MODEL_RUN_ID=run_id)
    with serving(environment=environment, ready=False) as service:
        assert service.process.wait(REASON_SECONDS) == 1
        assert "artifact missing" in said(service)
        assert "model.skops" in said(service)
    assert not list((cache / "models").glob("*")) if cache.is_dir() else True


def test_a_cache_that_was_damaged_is_fetched_anew(platform: Platform, tmp_path: Path) -> None:
    environment = by_run(platform, 1, tmp_path)
    with serving(environment=environment) as service:
        first = predicted(service)
    (folder,) = (tmp_path / "models").iterdir()
    damaged = folder / "model.skops"
    damaged.chmod(0o644)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with serving(environment=environment) as service:
        assert predicted(service) == first
    shutil.rmtree(folder)
    with serving(environment=environment) as service:
        assert predicted(service) == first


def said(service: ServiceProcess) -> str:
    """The reason in the log; fails if there is a traceback beside it."""
    text = service.log.read_text()
    assert "Traceback" not in text
    lines: list[dict[str, Any]] = service.errors()
    (line,) = [line for line in lines if line["event"] == "the service cannot start"]
    return f"{line['reason']}: {line['detail']}"
