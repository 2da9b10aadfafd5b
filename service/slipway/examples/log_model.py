"""Logs and registers a trained ride model with MLflow, as Slipway wants to find it.

Signature: MLflow's enforcement makes a DataFrame of whatever an *input* signature describes, and
a DictVectorizer then iterates the frame's column names. So the dict form says only what it puts
out, `mlflow.pyfunc.load_model` predicts from a dict and from a list of dicts (R14), and its
inputs are those of the use case, written into the metadata. The onehot form says all (R15).

Metadata, below the key `slipway` of the MLmodel file: `use_case`, `answer`, `inputs`, `buckets`
(histogram edges) and `reference` (a summary of the predictions for the held-out rides). These
predictions themselves lie beside the run as REFERENCE_FILE.
"""

from __future__ import annotations

import contextlib
import io
import math
import platform
import subprocess
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from slipway.clients.registry import Registry
from slipway.errors import InvalidConfig, Unavailable
from slipway.examples.ride_models import Trained
from slipway.models.mlmodel import METADATA_KEY
from slipway.models.trusted_types import TRUSTED_TYPES
from slipway.usecases.protocol import InputField
from slipway.usecases.rides import DISTANCE, INPUTS, PAIR

Floats = npt.NDArray[np.float64]

REFERENCE_FILE = "reference_predictions.json"
MAX_REFERENCE = 10_000
EDGES = 24
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
LIBRARIES = ("mlflow-skinny", "numpy", "scikit-learn", "skops")
ONEHOT_INPUTS = (InputField(PAIR, "string"), InputField(DISTANCE, "double"))


@dataclass(frozen=True)
class Form:
    """What of a logged model depends on its form."""

    use_case: str
    answer: str
    inputs: tuple[InputField, ...]
    # Whether the signature names the inputs too.
    columns: bool
    requirements: tuple[str, ...]


def dict_form(target: str) -> Form:
    """The DictVectorizer pipeline; it answers `duration` or `tip`."""
    return Form("rides", target, INPUTS, False, ("scikit-learn", "skops"))


def onehot_form() -> Form:
    """Its twin with columns, served like any MLflow model with a signature."""
    return Form("tabular", "prediction", ONEHOT_INPUTS, True, ("pandas", "scikit-learn", "skops"))


@dataclass(frozen=True)
class Logged:
    """Where a model went."""

    name: str
    version: str
    alias: str | None
    run_id: str
    model_id: str
    uri: str
    rmse: float
    mae: float


def check_server(tracking_uri: str, name: str, timeout: float) -> None:
    """Ask the server anything: it is better to know before a training than after it.

    Also sets the client's time-out (seconds a try). Raises Unavailable or AccessDenied.
    """
    if not tracking_uri.startswith(("http://", "https://")):
        raise InvalidConfig(
            "there is no tracking server to log to; set MLFLOW_TRACKING_URI (or --tracking-uri) "
            "to its address, as in http://127.0.0.1:5000"
        )
    Registry(tracking_uri, timeout).version(name, "1")


class ModelLog:
    """A tracking server to log to, and what all runs of one training have in common.

    `params` and `tags` are logged with each run. MLflow's own talk is kept from the terminal.
    """

    def __init__(
        self, tracking_uri: str, params: Mapping[str, Any], tags: Mapping[str, str]
    ) -> None:
        self._tracking_uri = tracking_uri
        self._params = dict(params)
        self._tags = dict(tags)

    def log(
        self, trained: Trained, form: Form, name: str, example: Any, alias: str | None
    ) -> Logged:
        """Log the model in a run of its own, register it as `name`, move the alias to it.

        The experiment has the model's name. Raises Unavailable when the tracking server or the
        artefact store refuses.
        """
        import mlflow

        with _quiet(), _errors_of_mlflow():
            # MLflow logs models through its process-wide server only.
            mlflow.set_tracking_uri(self._tracking_uri)
            mlflow.set_registry_uri(self._tracking_uri)
            return self._log(trained, form, name, example, alias)

    def _log(
        self, trained: Trained, form: Form, name: str, example: Any, alias: str | None
    ) -> Logged:
        import mlflow
        import mlflow.sklearn

        client = mlflow.MlflowClient()
        found = client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else client.create_experiment(name)
        with mlflow.start_run(experiment_id=experiment, tags=self._tags) as run:
            mlflow.log_params({**self._params, "form": form.use_case})
            mlflow.log_metrics({"rmse": trained.rmse, "mae": trained.mae})
            mlflow.log_dict(_sample(form.answer, trained.predictions), REFERENCE_FILE)
            info = mlflow.sklearn.log_model(
                trained.pipeline,
                name="model",
                serialization_format="skops",
                skops_trusted_types=sorted(TRUSTED_TYPES),
                signature=_signature(form),
                input_example=example,
                metadata={METADATA_KEY: metadata_of(form, trained.predictions)},
                pip_requirements=[
                    f"{library}=={version(library)}" for library in form.requirements
                ],
            )
        registered = mlflow.register_model(info.model_uri, name)
        if alias:
            client.set_registered_model_alias(name, alias, registered.version)
        return Logged(
            name,
            str(registered.version),
            alias,
            run.info.run_id,
            info.model_id,
            f"models:/{name}/{registered.version}",
            trained.rmse,
            trained.mae,
        )


def metadata_of(form: Form, predictions: Floats) -> dict[str, Any]:
    """What the MLmodel file says under the key `slipway`."""
    inputs = [{"name": field.name, "type": field.type} for field in form.inputs]
    return {
        "use_case": form.use_case,
        "answer": form.answer,
        "inputs": inputs,
        "buckets": histogram_edges(predictions),
        "reference": summary(predictions),
    }


def histogram_edges(predictions: Floats) -> list[float]:
    """At most EDGES strictly rising edges with equal shares of the predictions between them.

    They are rounded to about a thousandth of the range, for people to read; edges that
    coincide then, as many equal predictions make them, become one.
    """
    levels = np.arange(1, EDGES + 1) / (EDGES + 1)
    edges = np.quantile(predictions, levels)
    spread = float(edges[-1] - edges[0])
    decimals = 3 - math.floor(math.log10(spread)) if spread > 0 else 6
    return sorted({round(float(edge), decimals) + 0.0 for edge in edges})


def summary(predictions: Floats) -> dict[str, Any]:
    """Count, mean, standard deviation and QUANTILES of the predictions, to six digits."""
    quantiles = zip(QUANTILES, np.quantile(predictions, QUANTILES), strict=True)
    return {
        "count": len(predictions),
        "mean": _six_digits(np.mean(predictions)),
        "std": _six_digits(np.std(predictions)),
        "quantiles": {str(level): _six_digits(value) for level, value in quantiles},
    }


def _six_digits(value: Any) -> float:
    return float(f"{float(value):.6g}")


def lineage(data_sha256: str) -> dict[str, str]:
    """Tags that say what a model was made of: data, code, library versions."""
    tags = {
        "slipway.version": version("slipway"),
        "slipway.data_sha256": data_sha256,
        "slipway.python": platform.python_version(),
    }
    tags |= {f"slipway.{library}": version(library) for library in LIBRARIES}
    if commit := _git_commit():
        tags["slipway.git_commit"] = commit
    return tags


def _git_commit() -> str | None:
    """The commit of the working folder, with -dirty for changes; None outside of a repository."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None


def _sample(answer: str, predictions: Floats) -> dict[str, Any]:
    kept = predictions[:MAX_REFERENCE].tolist()
    return {"schema": 1, "answer": answer, "count": len(kept), "predictions": kept}


def _signature(form: Form) -> Any:
    from mlflow.models.signature import ModelSignature
    from mlflow.types.schema import ColSpec, Schema

    outputs = Schema([ColSpec("double")])
    if not form.columns:
        return ModelSignature(outputs=outputs)
    columns = [ColSpec(field.type, field.name) for field in form.inputs]
    return ModelSignature(inputs=Schema(columns), outputs=outputs)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Swallow what MLflow prints, logs and warns of: links, hints, progress bars."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _errors_of_mlflow() -> Iterator[None]:
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code == "INVALID_PARAMETER_VALUE":
            raise InvalidConfig("the tracking server refuses these names; try others") from error
        raise Unavailable(
            f"the tracking server did not take the model ({error.error_code})"
        ) from error
    except (Boto3Error, BotoCoreError, ClientError, OSError) as error:
        raise Unavailable(
            f"the artefact store did not take the model ({type(error).__name__}); "
            "check its address and the credentials"
        ) from error
