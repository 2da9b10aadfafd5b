"""Asks an MLflow tracking server where a model's artefact lies, and tags what it asks about.

Paths are asked for and never built: MLflow 2 keeps a run's models under the run, MLflow 3 under
the logged model's own id. By itself MLflow's client needs minutes to admit that a server is
gone, so its retries and time-outs are set here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from slipway.errors import AccessDenied, InvalidConfig, Unavailable

RETRIES = 2
_NOT_FOUND = frozenset(["RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "ENDPOINT_NOT_FOUND"])
_DENIED = frozenset(["PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"])

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class ModelPlace:
    """Where one model's artefact lies, and what it is known as."""

    uri: str
    name: str = ""
    run_id: str | None = None
    model_id: str | None = None


class Registry:
    """A tracking server and its model registry."""

    def __init__(self, tracking_uri: str, timeout: float = 5.0) -> None:
        """`timeout` in seconds is for one try; there are RETRIES more after the first."""
        if not tracking_uri:
            raise InvalidConfig(
                "MLFLOW_TRACKING_URI is not set; run ids and models:/ references need it"
            )
        from mlflow import environment_variables as variables
        from mlflow.tracking import MlflowClient

        variables.MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(RETRIES)
        variables.MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR.set(1)
        variables.MLFLOW_HTTP_REQUEST_TIMEOUT.set(max(1, round(timeout)))
        self._client = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)

    def run_artifacts(self, run_id: str) -> ModelPlace | None:
        """The root of a run's own artefacts, or None when there is no such run."""
        run = _ask(lambda: self._client.get_run(run_id))
        return ModelPlace(run.info.artifact_uri, run_id=run_id) if run else None

    def models_of_run(self, run_id: str) -> list[ModelPlace]:
        """The models that a run logged in MLflow 3's layout; empty for older servers and runs."""
        run = _ask(lambda: self._client.get_run(run_id))
        if run is None:
            return []
        found = _ask(
            lambda: self._client.search_logged_models(
                experiment_ids=[run.info.experiment_id],
                filter_string=f"source_run_id = '{run_id}'",
            )
        )
        return [_place(model) for model in found or []]

    def logged_model(self, model_id: str) -> ModelPlace | None:
        """A logged model by its own id."""
        model = _ask(lambda: self._client.get_logged_model(model_id))
        return _place(model) if model else None

    def version(self, name: str, version: str) -> ModelPlace | None:
        """One version of a registered model."""
        return self._of_version(_ask(lambda: self._client.get_model_version(name, version)))

    def alias(self, name: str, alias: str) -> ModelPlace | None:
        """The version that an alias points to now."""
        return self._of_version(_ask(lambda: self._client.get_model_version_by_alias(name, alias)))

    def tag(self, run_id: str | None, model_id: str | None, tags: Mapping[str, str]) -> None:
        """Tag a run, the model that it logged, and the versions that are registered of it.

        What is gone is left out. Raises AccessDenied or Unavailable, perhaps with some tags set.
        """
        client = self._client
        if model_id:
            _ask(lambda: client.set_logged_model_tags(model_id, dict(tags)))
        if not run_id:
            return
        for key, value in tags.items():
            _ask(functools.partial(client.set_tag, run_id, key, value))
        versions = _ask(lambda: client.search_model_versions(f"run_id = '{run_id}'"))
        for version in versions or ():
            of = getattr(version, "model_id", None)
            if of and model_id and of != model_id:
                continue
            for key, value in tags.items():
                _ask(
                    functools.partial(
                        client.set_model_version_tag, version.name, version.version, key, value
                    )
                )

    def _of_version(self, version: Any) -> ModelPlace | None:
        if version is None:
            return None
        uri = _ask(
            lambda: self._client.get_model_version_download_uri(version.name, version.version)
        )
        model_id = getattr(version, "model_id", None)
        if uri and uri.startswith("models:/m-"):
            model_id = uri.removeprefix("models:/")
        logged = self.logged_model(model_id) if model_id else None
        uri = logged.uri if logged else uri
        if not uri:
            return None
        return ModelPlace(uri, version.name, version.run_id or None, model_id or None)


def _place(model: Any) -> ModelPlace:
    return ModelPlace(model.artifact_location, model.name, model.source_run_id, model.model_id)


def _ask(question: Callable[[], _Answer]) -> _Answer | None:
    """The server's answer, or None where it says that there is no such thing."""
    import requests.exceptions
    from mlflow.exceptions import MlflowException

    try:
        return question()
    except MlflowException as error:
        code = str(error.error_code)
        if code in _NOT_FOUND:
            return None
        if code in _DENIED:
            raise AccessDenied("the tracking server refuses the credentials") from error
        raise Unavailable(f"the tracking server does not answer as it should ({code})") from error
    except (requests.exceptions.RequestException, ValueError) as error:
        raise Unavailable(
            f"the tracking server does not answer as it should: {type(error).__name__}"
        ) from error
