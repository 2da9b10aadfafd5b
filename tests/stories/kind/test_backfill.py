"""Given an installation of its own, when models are promoted, then batch and web go by one record.

Apart from the shared installation: promotions leave a warm slot, which other stories count.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.cluster_worlds import FULLNAME
from tests.kind_installation import Installation, keys_below, platform_store
from tests.waiting import until

from slipway.examples.synthetic import Recipe, write_month

pytestmark = [pytest.mark.platform, pytest.mark.kind, pytest.mark.timeout(600)]

RIDES, PREDICTIONS = "rides", "predictions"
MARCH = "taxi_type=green/year=2021/month=03"
MONTHS = range(1, 7)


@pytest.fixture(scope="module")
def own(
    empty: Installation, runs: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """Serves the first model; half a year of rides lies in a folder of its own."""
    folder = tmp_path_factory.mktemp("months")
    with platform_store(empty.server) as store:
        for month in MONTHS:
            recipe = Recipe("green", 2020, month, rows=3_000)
            path = write_month(folder / recipe.file_name, recipe)
            store.upload_file(str(path), RIDES, f"{empty.namespace}/{recipe.file_name}")
    empty.install_chart(
        {
            "model": {"runId": runs[0]},
            "batch": {
                "output": f"s3://{PREDICTIONS}/{empty.namespace}",
                "extraArgs": ["--year=2021", "--month=3"],
            },
        }
    )
    empty.serves(runs[0])
    yield empty
    with platform_store(empty.server) as store:
        for bucket in (RIDES, PREDICTIONS):
            for key in keys_below(store, bucket, f"{empty.namespace}/"):
                store.delete_object(Bucket=bucket, Key=key)


def written(own: Installation) -> dict[str, bytes]:
    """Key below the installation's folder -> bytes, of all its predictions."""
    with platform_store(own.server) as store:
        return {
            key.removeprefix(f"{own.namespace}/"): store.get_object(Bucket=PREDICTIONS, Key=key)[
                "Body"
            ].read()
            for key in keys_below(store, PREDICTIONS, f"{own.namespace}/")
        }


def once(own: Installation, name: str) -> None:
    """Run the CronJob by hand, to its end."""
    own.kubectl("create", "job", name, f"--from=cronjob/{FULLNAME}-batch")
    own.kubectl("wait", f"job/{name}", "--for=condition=Complete", "--timeout=200s")


def test_row_5_R36_E1_E7_a_backfill_outlives_a_deleted_pod_and_keeps_its_release_over_a_promotion(
    own: Installation, runs: tuple[str, str]
) -> None:
    """What began before the promotion finishes wholly on the old release."""
    before, after = runs
    place = f"--input=s3://{RIDES}/{own.namespace}"
    job = own.slipway("backfill", "2020-01..2020-06", "--parallel=1", place, "--detach").strip()

    def pods(phase: str) -> list[str]:
        found = own.get("pod", job_name=job)
        return [each["metadata"]["name"] for each in found if each["status"]["phase"] == phase]

    until(lambda: pods("Running"), 90, "a month to be at work")
    killed = pods("Running")[0]
    own.kubectl("delete", "pod", killed, "--wait=false")
    own.want(after)
    own.serves(after)
    assert own.get("job", job)["status"].get("active"), "the backfill was too short for the story"
    own.kubectl("wait", f"job/{job}", "--for=condition=Complete", "--timeout=300s")

    stems = {f"taxi_type=green/year=2020/month={month:02}/{before}" for month in MONTHS}
    scored = {key: body for key, body in written(own).items() if "/year=2020/" in key}
    assert set(scored) == {
        f"{stem}{end}" for stem in stems for end in (".parquet", ".summary.json")
    }
    for stem in stems:
        table = pq.ParquetFile(io.BytesIO(scored[f"{stem}.parquet"])).read()
        assert set(table["model_version"].to_pylist()) == {before}
        assert len(set(table["ride_id"].to_pylist())) == table.num_rows > 2_500
    left = {each["metadata"]["name"] for each in own.get("pod", job_name=job)}
    assert killed not in left

    once(own, "after-the-backfill")
    march = {key for key in written(own) if MARCH in key and key.endswith(".parquet")}
    assert march == {f"{MARCH}/{after}.parquet"}


def test_row_5_after_a_promotion_web_and_a_batch_that_starts_then_name_the_same_run(
    own: Installation, runs: tuple[str, str]
) -> None:
    """Either of the two: whichever is not serving now is promoted."""
    serving = own.document("state")["stable"]
    (promoted,) = set(runs) - {serving}
    own.want(promoted)
    own.serves(promoted)
    once(own, "after-the-promotion")
    status, answer, _ = own.predict()
    assert (status, answer["model_version"]) == (200, promoted)
    summary = json.loads(written(own)[f"{MARCH}/{promoted}.summary.json"])
    assert summary["model_version"] == promoted
    lock = json.loads(own.document("state")["promoted"])
    assert summary["model_digest"] == lock["digest"]


def test_R35_E6_a_run_that_was_missed_is_caught_up_once(own: Installation) -> None:
    """Suspended over its minute, as by a cluster that is down, and then let go on."""
    name = f"{FULLNAME}-batch"
    due = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    schedule = f"{due.minute} {due.hour} {due.day} {due.month} *"
    own.upgrade("--set", "batch.suspend=true", "--set", f"batch.schedule={schedule}")
    until(lambda: datetime.now(UTC) > due + timedelta(seconds=5), 90, "the run to be missed")

    def planned() -> list[Any]:
        at = "batch.kubernetes.io/cronjob-scheduled-timestamp"
        return [
            each
            for each in own.get("job")
            if at in (each["metadata"].get("annotations") or {})
            and datetime.fromisoformat(each["metadata"]["annotations"][at]) == due
        ]

    assert not planned()
    own.upgrade("--set", "batch.suspend=false")
    until(planned, 60, "the missed run")
    (job,) = planned()
    own.kubectl("wait", f"job/{job['metadata']['name']}", "--for=condition=Complete",
                "--timeout=200s")  # fmt: skip
    assert len(planned()) == 1
    status = own.get("cronjob", name)["status"]
    assert datetime.fromisoformat(status["lastScheduleTime"]) == due
