"""The model path against a real MLflow server: all references, both layouts, every fault."""

from __future__ import annotations

import contextlib
import http.server
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.tracking import MlflowClient
from tests.artifacts import OUTPUTS, RIDE, ride_pipeline, save_ride_model
from tests.fault_proxy import FaultProxy
from tests.fixtures_mlflow import mlflow_server

from slipway.errors import AccessDenied, ArtifactMissing, InvalidConfig, Unavailable, Unresolvable
from slipway.models.obtain import Loaded, obtain, release_of
from slipway.models.release import Release
from slipway.settings import ModelSettings, read_settings
from slipway.usecases.rides import Ride

pytestmark = pytest.mark.mlflow

UNKNOWN_RUN = "f" * 32
PROMISED_SECONDS = 30


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as address:
        yield address


def log_model(server: str, names: list[str], registered: str | None = None) -> str:
    """A run that logs the ride pipeline under each name; the run id."""
    mlflow.set_tracking_uri(server)
    with mlflow.start_run() as run:
        for name in names:
            mlflow.sklearn.log_model(
                ride_pipeline(),
                name=name,
                signature=mlflow.models.ModelSignature(outputs=OUTPUTS),
                metadata={"slipway": {"use_case": "rides", "buckets": [1.0, 2.0]}},
                registered_model_name=registered,
                pip_requirements=["scikit-learn"],
            )
    return str(run.info.run_id)


@pytest.fixture(scope="module")
def run_id(server: str) -> str:
    found = log_model(server, ["model"], "ride-duration")
    MlflowClient(server).set_registered_model_alias("ride-duration", "champion", "1")
    return found


def settings_for(server: str, cache: Path, **given: Any) -> ModelSettings:
    return read_settings(ModelSettings, tracking_uri=server, cache_dir=cache, **given)


def resolved(settings: ModelSettings) -> Release:
    release = release_of(settings)
    assert release is not None
    return release


def loaded(settings: ModelSettings) -> Loaded:
    found = obtain(settings)
    assert found is not None
    return found


def test_R13_R19_every_form_of_reference_leads_to_the_same_bytes(
    server: str, run_id: str, tmp_path: Path
) -> None:
    by_run = resolved(settings_for(server, tmp_path, run_id=run_id))
    forms = [
        f"runs:/{run_id}/model",
        "models:/ride-duration/1",
        "models:/ride-duration@champion",
        f"models:/{by_run.model_id}",
        by_run.uri,
    ]
    for form in forms:
        found = resolved(settings_for(server, tmp_path, uri=form))
        assert (found.digest, found.run_id) == (by_run.digest, run_id), form
        assert found.reference == form
    assert by_run.use_case == "rides"
    assert by_run.buckets == [1.0, 2.0]
    assert f"/models/{by_run.model_id}/artifacts" in by_run.uri


def test_R14_the_loaded_model_predicts_as_mlflow_itself_does(
    server: str, run_id: str, tmp_path: Path
) -> None:
    ours = loaded(settings_for(server, tmp_path, run_id=run_id)).scorer.score([Ride(**RIDE)])
    mlflow.set_tracking_uri(server)
    pyfunc = mlflow.pyfunc.load_model(f"runs:/{run_id}/model")
    assert pyfunc.predict({"PU_DO": "10_50", "trip_distance": 40.0}).tolist() == ours.tolist()


@pytest.fixture(scope="module")
def old_run(server: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run in MLflow 2's layout: the model lies among the run's own artefacts."""
    folder = save_ride_model(tmp_path_factory.mktemp("old") / "model")
    client = MlflowClient(server)
    run = client.create_run("0")
    client.log_artifacts(run.info.run_id, str(folder), "model")
    return str(run.info.run_id)


def test_R19_a_run_of_mlflow_2_resolves_and_loads(
    server: str, old_run: str, tmp_path: Path
) -> None:
    found = loaded(settings_for(server, tmp_path, run_id=old_run))
    assert found.release.run_id == old_run
    assert found.release.uri.endswith(f"{old_run}/artifacts/model")
    assert found.scorer.score([Ride(**RIDE)]).shape == (1,)


def test_the_only_model_of_a_run_is_meant_whatever_its_name(server: str, tmp_path: Path) -> None:
    run = log_model(server, ["other"])
    assert resolved(settings_for(server, tmp_path, run_id=run)).run_id == run


def test_several_models_and_none_named_model_are_refused_with_the_list(
    server: str, tmp_path: Path
) -> None:
    run = log_model(server, ["one", "two"])
    with pytest.raises(Unresolvable, match="one, two"):
        release_of(settings_for(server, tmp_path, run_id=run))
    chosen = resolved(settings_for(server, tmp_path, uri=f"runs:/{run}/two"))
    assert chosen.run_id == run


@pytest.mark.parametrize(
    "reference",
    [UNKNOWN_RUN, "models:/nothing/1", "models:/nothing@champion", f"models:/m-{UNKNOWN_RUN}"],
)
def test_B1_what_the_server_does_not_know_is_said_so(
    server: str, tmp_path: Path, reference: str
) -> None:
    with pytest.raises(Unresolvable, match="does not know"):
        release_of(settings_for(server, tmp_path, uri=reference))


def test_B2_a_run_without_a_model_is_said_so(server: str, tmp_path: Path) -> None:
    run = MlflowClient(server).create_run("0")
    with pytest.raises(ArtifactMissing, match="artifact missing"):
        release_of(settings_for(server, tmp_path, run_id=run.info.run_id))


def test_R17_B9_resolved_once_neither_server_nor_artefact_is_needed_again(
    server: str, tmp_path: Path
) -> None:
    """The model is behind the server's proxy here, so its cache alone can answer afterwards."""
    with mlflow_server(tmp_path / "proxied", proxied=True) as proxied:
        run = log_model(proxied, ["model"], "ride")
        MlflowClient(proxied).set_registered_model_alias("ride", "champion", "1")
        cache = tmp_path / "cache"
        references = [run, "models:/ride/1", "models:/ride@champion"]
        before = {
            reference: loaded(settings_for(proxied, cache, uri=reference))
            for reference in references
        }
        assert before[run].release.uri.startswith("mlflow-artifacts:")
    shutil.rmtree(tmp_path / "proxied")
    for reference in references:
        after = loaded(settings_for(proxied, cache, uri=reference))
        assert after.release == before[reference].release
        assert after.scorer.score([Ride(**RIDE)]).shape == (1,)


def test_B17_an_alias_that_moves_is_followed_while_the_server_is_up(
    server: str, run_id: str, tmp_path: Path
) -> None:
    client = MlflowClient(server)
    second = log_model(server, ["model"], "ride-duration")
    settings = settings_for(server, tmp_path, uri="models:/ride-duration@moving")
    client.set_registered_model_alias("ride-duration", "moving", "1")
    assert resolved(settings).run_id == run_id
    newest = max(
        int(found.version) for found in client.search_model_versions("name='ride-duration'")
    )
    client.set_registered_model_alias("ride-duration", "moving", str(newest))
    assert resolved(settings).run_id == second


@contextlib.contextmanager
def answering(status: int, body: bytes, kind: str) -> Iterator[str]:
    """A server that answers everything alike."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as stub:
        thread = threading.Thread(target=stub.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{stub.server_address[1]}"
        finally:
            stub.shutdown()
            thread.join(10)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [(500, b"{}", "application/json"), (200, b"<html>", "text/html"), (429, b"", "text/plain")],
)
def test_B12_a_server_that_answers_nonsense_is_given_up_in_time(
    tmp_path: Path, status: int, body: bytes, kind: str
) -> None:
    with answering(status, body, kind) as stub:
        began = time.monotonic()
        with pytest.raises(Unavailable, match="tracking server"):
            release_of(settings_for(stub, tmp_path, run_id=UNKNOWN_RUN))
        assert time.monotonic() - began < PROMISED_SECONDS


def test_B14_a_server_that_refuses_us_is_called_so(tmp_path: Path) -> None:
    with (
        answering(401, b"", "text/plain") as stub,
        pytest.raises(AccessDenied, match="credentials"),
    ):
        release_of(settings_for(stub, tmp_path, run_id=UNKNOWN_RUN))


@pytest.mark.parametrize("mode", ["refuse", "silent"])
def test_B9_B11_a_server_that_is_gone_or_never_answers_is_given_up_in_time(
    server: str, tmp_path: Path, mode: str
) -> None:
    with FaultProxy(server, mode) as proxy:
        began = time.monotonic()
        with pytest.raises(Unavailable, match="tracking server"):
            release_of(settings_for(proxy.url, tmp_path, run_id=UNKNOWN_RUN))
        assert time.monotonic() - began < PROMISED_SECONDS


def test_a_run_id_without_a_server_says_which_setting_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="MLFLOW_TRACKING_URI"):
        release_of(settings_for("", tmp_path, run_id=UNKNOWN_RUN))


def test_an_artefact_from_elsewhere_than_allowed_is_refused(
    server: str, run_id: str, tmp_path: Path
) -> None:
    settings = settings_for(server, tmp_path, run_id=run_id, artifact_prefixes=("s3://ours/",))
    with pytest.raises(InvalidConfig, match="SLIPWAY_ARTIFACT_PREFIXES"):
        release_of(settings)
