"""Given an installation whose gates decide, when a version is named under load, they do."""

from __future__ import annotations

import base64
import contextlib
import copy
import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from k8s.local.dependencies import NAMESPACE as PLATFORM
from loadtest.rides import ride_pool
from tests.cluster_worlds import FULLNAME
from tests.kind_installation import SECRET, Installation, platform
from tests.kind_server import KindServer
from tests.load_test import Verdict, load_test
from tests.waiting import until

from slipway.cluster.protocol import Document
from slipway.examples.log_model import ModelLog, dict_form
from slipway.examples.ride_models import dict_pipeline, fit, make_estimator
from slipway.rollout.state import Entry, State
from slipway.rollout.state_document import read_state
from slipway.usecases.rides import pair_key, ride_features

pytestmark = [pytest.mark.platform, pytest.mark.kind, pytest.mark.timeout(400)]

NAME = "ride-duration-stories"
# More than enough for the policy `test`, and no more than two cores can do beside a cluster.
LOAD = ("--rate", "60", "--seconds", "600")
GATED = {"rollout": {"preset": "test"}, "slots": {"replicas": 1}}


@pytest.fixture(scope="module")
def versions(kind: KindServer) -> Mapping[str, str]:
    """What it is called -> run id, of models that know the rides of the load test."""
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
        "fails a fifth": lambda model: forget(pipeline, model),
    }
    found = {}
    with tracking(kind) as address:
        log = ModelLog(address, {}, {})
        for name, breaks in broken.items():
            changed = copy.deepcopy(trained.pipeline)
            breaks(changed[-1])
            form, example = dict_form("duration"), rides[0]
            version = log.log(
                dataclasses.replace(trained, pipeline=changed), form, NAME, example, None
            )
            found[name] = version.run_id
    return found


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


@pytest.fixture(scope="module")
def gated(kind: KindServer, versions: Mapping[str, str]) -> Iterator[Installation]:
    """An installation with the policy `test` that serves the sound model."""
    place = Installation(kind, f"story-{os.getpid()}-gated")
    try:
        place.install_chart({"model": {"runId": versions["sound"]}, **GATED})
        place.serves(versions["sound"])
        yield place
    finally:
        place.remove()


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


def test_D13_R20_a_biased_version_is_stopped_in_shadow_and_the_registry_says_why(
    kind: KindServer, gated: Installation, versions: Mapping[str, str], tmp_path: Path
) -> None:
    """Row 4: its run and its version are tagged with the gate."""
    sound, biased = versions["sound"], versions["x 1.3"]
    with load_test(gated.url, tmp_path, *LOAD) as load:
        gated.want(biased)
        stopped = wait(gated, "GateFailed", biased)
        verdict = load.interrupt()
    assert stopped.message.startswith("mean: ")
    assert set(answered(verdict)) == {sound}
    with tracking(kind) as address:
        from mlflow import MlflowClient

        client = MlflowClient(address, address)

        def tags() -> Mapping[str, str] | None:
            found: Mapping[str, str] = client.get_run(biased).data.tags
            return found if "slipway.outcome" in found else None

        told = until(tags, 30, "the run to be tagged")
        [version] = client.search_model_versions(f"run_id = '{biased}'")
    assert told["slipway.outcome"] == version.tags["slipway.outcome"] == "refused"
    assert told["slipway.outcome_because"].startswith("GateFailed: mean: ")
    assert told["slipway.outcome_in"] == f"{gated.namespace}/{FULLNAME}"


def test_R13_a_third_version_supersedes_and_rollback_is_back_at_the_client_within_5_seconds(
    gated: Installation, versions: Mapping[str, str], tmp_path: Path
) -> None:
    """R13, row 15: the first is warm, so its answers are back as fast as routers load a table."""
    sound, second, third = versions["sound"], versions["2 % higher"], versions["1 % lower"]
    with load_test(gated.url, tmp_path, *LOAD) as load:
        gated.want(second)
        wait(gated, "ShadowStarted", second)
        gated.want(third)
        wait(gated, "Promoted", third)
        assert "Promoted" not in {e.reason for e in state(gated).history if e.run_id == second}
        gated.serves(third, 10)
        gated.slipway("rollback", "--reason", "the story says so")

        def back() -> bool:
            return all(gated.predict()[1]["model_version"] == sound for _ in range(5))

        until(back, 5, "the answers of before")
        verdict = load.interrupt()
    assert answered(verdict).keys() <= {sound, second, third}


def test_D14_a_version_that_fails_one_in_five_is_off_and_no_client_sees_it(
    gated: Installation, versions: Mapping[str, str], tmp_path: Path
) -> None:
    """Without a shadow: stable answers in its place, until the gate has seen enough."""
    sound, failing = versions["sound"], versions["fails a fifth"]
    gated.serves(sound)
    gated.upgrade("--set=rollout.shadow.enabled=false")
    with load_test(gated.url, tmp_path, *LOAD) as load:
        gated.want(failing)
        stopped = wait(gated, "GateFailed", failing)
        assert stopped.message.startswith("errors: ")
        gated.serves(sound, 10)
        verdict = load.interrupt()
    counts = answered(verdict)
    assert 0 < counts[failing] < counts[sound]
    assert verdict.report
    assert sum(row["fallbacks"] for row in verdict.report["answered_by"]) > 0
