"""Versions of a model on the cluster of `make up`, and how a rollout between them is followed."""

from __future__ import annotations

import base64
import contextlib
import copy
import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import boto3
import numpy as np
import pytest
from k8s.local.dependencies import NAMESPACE as PLATFORM
from loadtest.rides import ride_pool
from mlflow import MlflowClient
from tests.kind_installation import SECRET, Installation, platform
from tests.kind_server import KindServer
from tests.load_test import Verdict
from tests.waiting import until

from slipway.cluster.protocol import Document
from slipway.examples.log_model import ModelLog, dict_form
from slipway.examples.ride_models import dict_pipeline, fit, make_estimator
from slipway.rollout.state import Entry, State
from slipway.rollout.state_document import read_state
from slipway.usecases.rides import pair_key, ride_features

NAME = "ride-duration-stories"


def log_versions(kind: KindServer) -> Mapping[str, str]:
    """Logs models that know the rides of the load test: what it is called -> its run id."""
    rides = [
        ride_features(
            pair_key(ride["PULocationID"], ride["DOLocationID"]), float(ride["trip_distance"])
        )
        for ride in ride_pool() * 4
    ]
    noise = np.random.default_rng(0).normal(0, 1, len(rides))
    minutes = np.array([5 + 3 * ride["trip_distance"] for ride in rides]) + noise
    pipeline = dict_pipeline(make_estimator("linear", 0))
    trained = fit(pipeline, rides, minutes, rides, minutes)
    broken: dict[str, Callable[[Any], None]] = {
        "sound": lambda _model: None,
        "2 % higher": lambda model: scale(model, 1.02),
        "1 % lower": lambda model: scale(model, 0.99),
        "x 1.3": lambda model: scale(model, 1.3),
        "x 0.7": lambda model: scale(model, 0.7),
        "damaged": lambda _model: None,
        "fails a fifth": lambda model: forget(pipeline, model),
    }
    found = {}
    with tracking(kind) as address:
        store = boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"])
        log = ModelLog(address, {}, {})
        for name, breaks in broken.items():
            changed = copy.deepcopy(trained.pipeline)
            breaks(changed[-1])
            form, example = dict_form("duration"), rides[0]
            version = log.log(
                dataclasses.replace(trained, pipeline=changed), form, NAME, example, None
            )
            found[name] = version.run_id
            if name == "damaged":
                damage(store, MlflowClient(address, address), version.run_id)
    return found


def damage(store: Any, client: MlflowClient, run_id: str) -> None:
    """Put something else in place of what was trained, before anybody has looked at it."""
    [version] = client.search_model_versions(f"run_id = '{run_id}'")
    source = client.get_model_version_download_uri(version.name, version.version)
    bucket, _, prefix = source.removeprefix("s3://").partition("/")
    key = f"{prefix}/model.skops"
    assert store.head_object(Bucket=bucket, Key=key)["ContentLength"] > 0
    store.put_object(Bucket=bucket, Key=key, Body=os.urandom(256))


def scale(model: Any, by: float) -> None:
    model.coef_, model.intercept_ = model.coef_ * by, model.intercept_ * by


def forget(pipeline: Any, model: Any) -> None:
    """Lose what was learnt of every fifth pair of zones: their rides have no number to answer."""
    names = pipeline[0].get_feature_names_out().tolist()
    for ride in ride_pool()[4::5]:
        pair = pair_key(ride["PULocationID"], ride["DOLocationID"])
        model.coef_[names.index(f"PU_DO={pair}")] = np.nan


@contextlib.contextmanager
def tracking(kind: KindServer) -> Iterator[str]:
    """The tracking server of `make up`, and its store for who logs to it."""
    path = f"/api/v1/namespaces/{PLATFORM}/secrets/{SECRET}"
    keys = kind.ask("GET", path)["data"]
    with (
        pytest.MonkeyPatch.context() as patch,
        platform(kind, "service/mlflow", 5000) as address,
        platform(kind, "service/s3", 7070) as store,
    ):
        for name, value in keys.items():
            patch.setenv(name, base64.b64decode(value).decode())
        patch.setenv("MLFLOW_S3_ENDPOINT_URL", store)
        yield address


def state(place: Installation) -> State:
    found = read_state(Document("state", place.document("state")))
    assert isinstance(found, State)
    return found


def wait(place: Installation, reason: str, run_id: str, seconds: float = 90) -> Entry:
    """Until the history says this of the run; fails with all that it says."""

    def look() -> Entry | None:
        entries = reversed(state(place).history)
        return next((e for e in entries if (e.reason, e.run_id) == (reason, run_id)), None)

    try:
        return until(look, seconds)
    except AssertionError:
        told = "\n".join(f"{entry.reason}: {entry.message}" for entry in state(place).history)
        raise AssertionError(f"no {reason} of {run_id} in {seconds} s:\n{told}") from None


def answered(verdict: Verdict) -> Mapping[str, int]:
    """Run id -> its answers; no request may have failed."""
    assert verdict.code == 0, verdict.said
    assert verdict.report
    found: dict[str, int] = {}
    for row in verdict.report["answered_by"]:
        found[row["model_version"]] = found.get(row["model_version"], 0) + row["requests"]
    return found
