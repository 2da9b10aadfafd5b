"""`slipway backfill` against a real API server: the chart's CronJob becomes an Indexed Job.

Nothing runs pods here: how the Job goes is written by the test, as the Job controller would.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.artifacts import save_ride_model
from tests.chart_render import FULL, named, render
from tests.kube_apiserver import ApiServer, api_server
from tests.service_process import SLIPWAY
from tests.waiting import until

from slipway.models.obtain import release_of
from slipway.settings import ModelSettings, read_settings

pytestmark = pytest.mark.platform

NAMESPACE = "ml"
BATCH, CORE = f"/apis/batch/v1/namespaces/{NAMESPACE}", f"/api/v1/namespaces/{NAMESPACE}"
AT = "2026-11-24T12:00:00Z"


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    """With the chart's CronJob in it."""
    cronjob = named(render(FULL), "CronJob", "slipway-batch")
    with api_server() as running:
        running.ask("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        running.ask("POST", f"{BATCH}/cronjobs", cronjob)
        yield running


@pytest.fixture(scope="module")
def lock(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = save_ride_model(tmp_path_factory.mktemp("promoted") / "model")
    release = release_of(read_settings(ModelSettings, location=str(folder)))
    assert release is not None
    return release.to_json().decode()


def state(server: ApiServer, data: dict[str, str]) -> None:
    server.ask("DELETE", f"{CORE}/configmaps/slipway-state")
    body = {"metadata": {"name": "slipway-state"}, "data": data}
    server.ask("POST", f"{CORE}/configmaps", body)


def start(server: ApiServer, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*SLIPWAY, "backfill", "2021-03..2021-08", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"KUBECONFIG": str(server.kubeconfig("admin", NAMESPACE))},
    )


def jobs(server: ApiServer) -> list[dict[str, Any]]:
    return list(server.ask("GET", f"{BATCH}/jobs")["items"])


@pytest.fixture
def job(server: ApiServer, lock: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A backfill that waits, and the Job that it has made."""
    state(server, {"promoted": lock})
    with start(server, "--parallel", "3", "-o", "json") as process:
        try:
            until(lambda: jobs(server), 60, "the Job")
            yield process, jobs(server)[0]
        finally:
            process.kill()
            for each in jobs(server):
                server.ask("DELETE", f"{BATCH}/jobs/{each['metadata']['name']}"
                           "?propagationPolicy=Background")  # fmt: skip


def set_status(server: ApiServer, name: str, **status: Any) -> None:
    server.ask(
        "PATCH", f"{BATCH}/jobs/{name}/status",
        {"status": {"startTime": AT, **status}}, "merge-patch+json",
    )  # fmt: skip


def condition(kind: str, reason: str) -> dict[str, str]:
    return {"type": kind, "status": "True", "reason": reason, "message": reason,
            "lastTransitionTime": AT, "lastProbeTime": AT}  # fmt: skip


def test_R36_E7_the_job_has_an_index_a_month_and_the_release_pinned(
    server: ApiServer, lock: str, job: tuple[subprocess.Popen[str], dict[str, Any]]
) -> None:
    _, made = job
    spec = made["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 6, 3)
    assert spec["backoffLimitPerIndex"] == 3
    assert spec.get("maxFailedIndexes") is None
    template = spec["template"]
    assert template["metadata"]["annotations"]["slipway.io/release"] == lock
    volume = next(each for each in template["spec"]["volumes"] if each["name"] == "release")
    (item,) = volume["downwardAPI"]["items"]
    assert item["path"] == "release.json"
    assert item["fieldRef"]["fieldPath"] == "metadata.annotations['slipway.io/release']"
    (score,) = template["spec"]["containers"]
    given = {each["name"]: each.get("value") for each in score["env"]}
    assert given["SLIPWAY_MONTHS"] == "2021-03..2021-08"
    assert given["SLIPWAY_TAXI_TYPE"] == "green"
    assert len(given) == len(score["env"])
    cronjob = named(render(FULL), "CronJob", "slipway-batch")
    own = cronjob["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    assert score["image"] == own["image"]
    # A promotion meanwhile changes nothing of the Job: what is pinned cannot be changed at all.
    path = f"{BATCH}/jobs/{made['metadata']['name']}"
    annotations = {"slipway.io/release": "another"}
    patch = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
    with pytest.raises(AssertionError, match="immutable"):
        server.ask("PATCH", path, patch, "merge-patch+json")


def test_all_months_there_is_exit_0(
    server: ApiServer, job: tuple[subprocess.Popen[str], dict[str, Any]]
) -> None:
    process, made = job
    name = made["metadata"]["name"]
    set_status(server, name, active=3, ready=0, completedIndexes="0-1", succeeded=2,
               uncountedTerminatedPods={})  # fmt: skip
    done = [condition("SuccessCriteriaMet", "CompletionsReached")]
    set_status(server, name, active=0, completedIndexes="0-5", succeeded=6, conditions=done)
    done.append(condition("Complete", "CompletionsReached"))
    set_status(server, name, active=0, completedIndexes="0-5", succeeded=6, conditions=done,
               completionTime=AT)  # fmt: skip
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    assert [each["exit_code"] for each in json.loads(stdout)["months"]] == [0] * 6
    assert "6/6" in stderr


def test_a_month_that_failed_is_named_with_what_its_pod_said(
    server: ApiServer, job: tuple[subprocess.Popen[str], dict[str, Any]]
) -> None:
    process, made = job
    name = made["metadata"]["name"]
    said = "slipway: InputDataMissing: there is no object s3://rides/in/x.parquet"
    pod = {
        "metadata": {
            "name": f"{name}-4-abcde",
            "labels": {"batch.kubernetes.io/job-name": name},
            "annotations": {"batch.kubernetes.io/job-completion-index": "4"},
        },
        "spec": {"containers": [{"name": "score", "image": "x"}], "restartPolicy": "Never"},
    }
    server.ask("POST", f"{CORE}/pods", pod)
    ended = {"exitCode": 3, "message": f"a log line\n{said}\n"}
    container = {"name": "score", "image": "x", "imageID": "x", "ready": False,
                 "restartCount": 0, "state": {"terminated": ended}}  # fmt: skip
    status = {"status": {"phase": "Failed", "containerStatuses": [container]}}
    path = f"{CORE}/pods/{name}-4-abcde"
    server.ask("PATCH", f"{path}/status", status, "merge-patch+json")

    figures: dict[str, Any] = {"active": 0, "completedIndexes": "0-3,5", "failedIndexes": "4",
                               "succeeded": 5, "failed": 1}  # fmt: skip
    failed = [condition("FailureTarget", "FailedIndexes")]
    set_status(server, name, **figures, conditions=failed, uncountedTerminatedPods={})
    failed.append(condition("Failed", "FailedIndexes"))
    set_status(server, name, **figures, conditions=failed)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 3, stderr
    told = json.loads(stdout)["months"]
    assert [each["exit_code"] for each in told] == [0, 0, 0, 0, 3, 0]
    assert (told[4]["month"], told[4]["said"]) == (7, said)
    assert "green 2021-07: failed" in stderr


def test_a_job_that_is_removed_ends_the_wait(
    server: ApiServer, job: tuple[subprocess.Popen[str], dict[str, Any]]
) -> None:
    process, made = job
    server.ask("DELETE", f"{BATCH}/jobs/{made['metadata']['name']}?propagationPolicy=Background")
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "was removed" in stderr


@pytest.mark.parametrize(
    ("data", "more", "code", "said"),
    [
        ({}, (), 1, "nothing is promoted yet"),
        ({}, ("/tmp/model",), 3, "/tmp/model"),
        ({}, ("--name", "other"), 3, "there is no CronJob other-batch in ml"),
    ],
)
def test_what_is_missing_is_said_and_no_job_is_made(
    server: ApiServer, data: dict[str, str], more: tuple[str, ...], code: int, said: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    state(server, data)
    with start(server, *more) as process:
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == code, stderr
    assert said in stderr
    assert not jobs(server)


def test_detached_it_prints_the_jobs_name(server: ApiServer, lock: str) -> None:
    state(server, {"promoted": lock})
    with start(server, "--detach", "--taxi-type", "yellow", "--input", "s3://a/b") as process:
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    made = server.ask("GET", f"{BATCH}/jobs/{stdout.strip()}")
    env = made["spec"]["template"]["spec"]["containers"][0]["env"]
    given = {each["name"]: each.get("value") for each in env}
    assert (given["SLIPWAY_TAXI_TYPE"], given["SLIPWAY_INPUT"]) == ("yellow", "s3://a/b")
    server.ask("DELETE", f"{BATCH}/jobs/{stdout.strip()}?propagationPolicy=Background")
