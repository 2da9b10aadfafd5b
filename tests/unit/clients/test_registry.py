"""What a tracking server's answers mean; the real server is asked in tests/contract."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import requests.exceptions
from mlflow import environment_variables as variables
from mlflow.exceptions import MlflowException
from mlflow.protos import databricks_pb2 as codes

from slipway.clients.registry import RETRIES, ModelPlace, Registry
from slipway.errors import AccessDenied, InvalidConfig, SlipwayError, Unavailable

RUN_ID = "0123456789abcdef0123456789abcdef"
MODEL_ID = "m-" + RUN_ID


class FakeServer:
    """MLflow's client, with one run and one version of one model; what it lacks it refuses."""

    def __init__(self, *, uri: str = "s3://b/model", failure: Exception | None = None) -> None:
        self.uri = uri
        self.failure = failure
        self.filters: list[str] = []

    def _answer(self, known: bool, answer: Any) -> Any:
        if self.failure:
            raise self.failure
        if not known:
            raise MlflowException("no such thing", codes.RESOURCE_DOES_NOT_EXIST)
        return answer

    def get_run(self, run_id: str) -> Any:
        info = SimpleNamespace(artifact_uri="s3://b/run", experiment_id="7")
        return self._answer(run_id == RUN_ID, SimpleNamespace(info=info))

    def search_logged_models(self, experiment_ids: list[str], filter_string: str) -> Any:
        self.filters.append(filter_string)
        return self._answer(experiment_ids == ["7"], [self._model()])

    def get_logged_model(self, model_id: str) -> Any:
        return self._answer(model_id == MODEL_ID, self._model())

    def get_model_version(self, name: str, version: str) -> Any:
        found = SimpleNamespace(name=name, version=version, run_id=RUN_ID)
        return self._answer((name, version) == ("ride", "3"), found)

    def get_model_version_by_alias(self, name: str, alias: str) -> Any:
        found = SimpleNamespace(name=name, version="3", run_id="")
        return self._answer((name, alias) == ("ride", "champion"), found)

    def get_model_version_download_uri(self, _name: str, _version: str) -> Any:
        return self._answer(True, self.uri)

    def _model(self) -> Any:
        return SimpleNamespace(
            artifact_location="s3://b/logged", name="model", source_run_id=RUN_ID, model_id=MODEL_ID
        )


def registry(**server: Any) -> tuple[Registry, FakeServer]:
    asked = Registry("http://127.0.0.1:9")
    fake = FakeServer(**server)
    asked._client = fake
    return asked, fake


def test_a_run_leads_to_its_artefacts_and_to_the_models_that_it_logged() -> None:
    asked, fake = registry()
    assert asked.run_artifacts(RUN_ID) == ModelPlace("s3://b/run", run_id=RUN_ID)
    assert asked.models_of_run(RUN_ID) == [ModelPlace("s3://b/logged", "model", RUN_ID, MODEL_ID)]
    assert fake.filters == [f"source_run_id = '{RUN_ID}'"]


def test_R19_a_version_of_mlflow_2_names_its_artefact_and_one_of_mlflow_3_its_logged_model() -> (
    None
):
    old, _ = registry()
    new, _ = registry(uri=f"models:/{MODEL_ID}")
    assert old.version("ride", "3") == ModelPlace("s3://b/model", "ride", RUN_ID)
    assert new.version("ride", "3") == ModelPlace("s3://b/logged", "ride", RUN_ID, MODEL_ID)
    assert new.alias("ride", "champion") == ModelPlace("s3://b/logged", "ride", None, MODEL_ID)


def test_a_version_without_an_artefact_leads_nowhere() -> None:
    assert registry(uri="")[0].version("ride", "3") is None


def test_what_the_server_does_not_know_is_nothing_and_no_error() -> None:
    asked, _ = registry()
    assert asked.run_artifacts("f" * 32) is None
    assert asked.models_of_run("f" * 32) == []
    assert asked.logged_model("m-" + "f" * 32) is None
    assert asked.version("ride", "4") is None
    assert asked.alias("other", "champion") is None


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (MlflowException("secret", codes.PERMISSION_DENIED), AccessDenied),
        (MlflowException("secret", codes.UNAUTHENTICATED), AccessDenied),
        (MlflowException("secret", codes.INTERNAL_ERROR), Unavailable),
        (MlflowException("secret", codes.REQUEST_LIMIT_EXCEEDED), Unavailable),
        (requests.exceptions.ConnectionError("secret"), Unavailable),
        (requests.exceptions.ReadTimeout("secret"), Unavailable),
        (requests.exceptions.JSONDecodeError("secret", "", 0), Unavailable),
        (ValueError("secret"), Unavailable),
    ],
    ids=repr,
)
def test_B12_B14_a_failure_is_called_what_it_is_and_never_nothing(
    failure: Exception, kind: type[SlipwayError]
) -> None:
    """ "Unknown" must not be taken for "there is none", and no answer of a server is quoted."""
    asked, _ = registry(failure=failure)
    for question in (
        lambda: asked.run_artifacts(RUN_ID),
        lambda: asked.models_of_run(RUN_ID),
        lambda: asked.version("ride", "3"),
        lambda: asked.alias("ride", "champion"),
    ):
        with pytest.raises(kind) as error:
            question()
        assert type(error.value) is kind
        assert "secret" not in error.value.message
        assert error.value.__cause__ is failure


@pytest.mark.parametrize(("timeout", "seconds"), [(0.2, 1), (5.0, 5), (7.6, 8)])
def test_B11_the_clients_patience_is_ours(timeout: float, seconds: int) -> None:
    """FAULTS finding 8: by itself it needs four minutes to admit that a server is gone."""
    Registry("http://127.0.0.1:9", timeout)
    assert variables.MLFLOW_HTTP_REQUEST_TIMEOUT.get() == seconds
    assert variables.MLFLOW_HTTP_REQUEST_MAX_RETRIES.get() == RETRIES


def test_without_a_server_the_setting_that_is_missing_is_named() -> None:
    with pytest.raises(InvalidConfig, match="MLFLOW_TRACKING_URI"):
        Registry("")
