"""Given one of the values files that come with the chart, when it is installed, then it works."""

from __future__ import annotations

import json
from typing import Any

import pytest
from k8s.local.dependencies import NAMESPACE as PLATFORM
from tests.chart_render import CHART
from tests.cluster_worlds import FULLNAME
from tests.kind_installation import (
    RELEASE,
    SECRET,
    Installation,
    keys_below,
    platform_store,
)
from tests.kind_server import KindServer
from tests.waiting import until

pytestmark = [pytest.mark.platform, pytest.mark.kind, pytest.mark.timeout(400)]

PREDICTIONS = "predictions"


def install(place: Installation, file: str, **more: Any) -> None:
    """With that file's values, but for where things are."""
    repository, _, tag = place.image.partition(":")
    where = {
        "image": {"repository": repository, "tag": tag},
        "tracking": {"uri": f"http://mlflow.{PLATFORM}:5000"},
        "store": {
            "endpoint": f"http://s3.{PLATFORM}:7070",
            "existingSecret": SECRET,
            "ambientCredentials": False,
        },
        **more,
    }
    given = ("--values", str(CHART / "ci" / file), "--wait", "--timeout=5m")
    place.helm("install", RELEASE, str(CHART), *given, values=where)


def promoted(place: Installation) -> str:
    """The run that is promoted, once there is one."""
    until(lambda: place.document("state").get("promoted"), 120, "a promotion")
    return str(json.loads(place.document("state")["promoted"])["run_id"])


def test_R1_R2_batch_alone_promotes_at_once_and_its_cronjob_writes_the_month(
    kind: KindServer, empty: Installation
) -> None:
    root = f"{empty.namespace}/alone"
    places = {"input": "s3://rides", "output": f"s3://{PREDICTIONS}/{root}"}
    install(empty, "batch-values.yaml", batch=places)
    run_id = promoted(empty)
    deployed = [each["metadata"]["name"] for each in empty.get("deployment")]
    assert deployed == [f"{FULLNAME}-controller"]
    # As the docs have it: a Job from the CronJob, with other variables.
    made = empty.kubectl("create", "job", "march", f"--from=cronjob/{FULLNAME}-batch",
                         "--dry-run=client", "--output=json")  # fmt: skip
    job = json.loads(made)
    (score,) = job["spec"]["template"]["spec"]["containers"]
    score["env"] += [
        {"name": "SLIPWAY_YEAR", "value": "2021"},
        {"name": "SLIPWAY_MONTH", "value": "3"},
    ]
    empty.apply(job)
    empty.kubectl("wait", "job/march", "--for=condition=Complete", "--timeout=200s")

    key = f"{root}/taxi_type=green/year=2021/month=03/{run_id}"
    with platform_store(kind) as store:
        found = keys_below(store, PREDICTIONS, f"{root}/")
        for each in found:
            store.delete_object(Bucket=PREDICTIONS, Key=each)
    assert found == {f"{key}.parquet", f"{key}.summary.json"}
    empty.helm("uninstall", RELEASE, "--wait", "--timeout=2m")


def test_R1_R2_the_web_service_alone_answers_and_has_no_cronjob(empty: Installation) -> None:
    """In the same namespace afterwards: the state that was left is taken up."""
    install(empty, "online-values.yaml")
    run_id = promoted(empty)
    assert not empty.get("cronjob")
    with empty.forward(f"service/{FULLNAME}", 9696) as url:

        def answered() -> bool:
            status, answer, _ = empty.predict(url)
            return status == 200 and answer["model_version"] == run_id

        until(answered, 120, "an answer by the promoted run")
