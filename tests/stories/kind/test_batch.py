"""Given an installation with a model, when its CronJob is run once, then the month is scored."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.cluster_worlds import FULLNAME
from tests.kind_installation import SECRET, Installation, platform
from tests.kind_server import KindServer
from tests.waiting import until

from slipway.clients.objects import s3_client
from slipway.examples.synthetic import Recipe, write_month

pytestmark = [pytest.mark.platform, pytest.mark.kind, pytest.mark.timeout(300)]

RIDES = "rides"
BUCKET = "predictions"
MONTH = "taxi_type=green/year=2021/month=03"


@pytest.fixture
def store(kind: KindServer, shop: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The store of `make up`, without what this installation wrote afterwards."""
    for name, value in shop.get("secret", SECRET)["data"].items():
        monkeypatch.setenv(name, base64.b64decode(value).decode())
    with platform(kind, "service/s3", 7070) as address:
        client = s3_client(address)
        yield client
        for bucket in (BUCKET, RIDES):
            for key in keys(client, shop, bucket):
                client.delete_object(Bucket=bucket, Key=key)


def test_R37_R1_the_cronjob_run_once_writes_predictions_and_summary_of_the_promoted_run(
    shop: Installation, runs: tuple[str, str], store: Any, tmp_path: Path
) -> None:
    """R37, R1 (batch), R33: in the same image; with the run that answers the web's requests."""
    shop.kubectl("create", "job", "now", f"--from=cronjob/{FULLNAME}-batch")
    shop.kubectl("wait", "job/now", "--for=condition=Complete", "--timeout=200s")

    beside = f"{shop.namespace}/{MONTH}/{runs[0]}"
    assert keys(store, shop) == {f"{beside}.parquet", f"{beside}.summary.json"}
    found = store.get_object(Bucket=BUCKET, Key=f"{beside}.summary.json")["Body"]
    summary = json.loads(found.read())
    store.download_file(BUCKET, f"{beside}.parquet", str(tmp_path / "scored"))
    table = pq.read_table(tmp_path / "scored")
    assert set(table["model_version"].to_pylist()) == {runs[0]}
    assert table.num_rows == summary["scored"] > 50_000
    [pod] = shop.get("pod", job_name="now")
    used = {container["image"] for container in pod["spec"]["containers"]}
    assert used == {shop.image}


def test_R36_E1_E7_a_backfill_outlives_a_deleted_pod_and_keeps_its_release_over_a_promotion(
    shop: Installation, runs: tuple[str, str], store: Any, tmp_path: Path
) -> None:
    """Row 5: what began before finishes on the old release, what begins afterwards has the new."""
    before, after = runs
    place = f"{RIDES}/{shop.namespace}"
    for month in range(1, 7):
        recipe = Recipe("green", 2020, month, rows=3_000)
        path = write_month(tmp_path / recipe.file_name, recipe)
        store.upload_file(str(path), RIDES, f"{shop.namespace}/{recipe.file_name}")
    months = ("backfill", "2020-01..2020-06", "--parallel=1", f"--input=s3://{place}")
    job = shop.slipway(*months, "--detach").strip()

    def pods(phase: str) -> list[Any]:
        found = shop.get("pod", job_name=job)
        return [pod for pod in found if pod["status"]["phase"] == phase]

    until(lambda: pods("Running"), 60, "the first month to be at work")
    killed = pods("Running")[0]["metadata"]["name"]
    shop.kubectl("delete", "pod", killed, "--wait=false")
    shop.want(after)
    shop.serves(after)
    assert shop.get("job", job)["status"].get("active"), "the backfill was too short for the story"
    shop.kubectl("wait", f"job/{job}", "--for=condition=Complete", "--timeout=200s")

    scored = {key for key in keys(store, shop) if "/year=2020/" in key}
    stems = {
        f"{shop.namespace}/taxi_type=green/year=2020/month={m:02}/{before}" for m in range(1, 7)
    }
    assert scored == {f"{stem}{end}" for stem in stems for end in (".parquet", ".summary.json")}
    assert killed not in {pod["metadata"]["name"] for pod in shop.get("pod", job_name=job)}
    shop.kubectl("create", "job", "later", f"--from=cronjob/{FULLNAME}-batch")
    shop.kubectl("wait", "job/later", "--for=condition=Complete", "--timeout=200s")
    assert f"{shop.namespace}/{MONTH}/{after}.parquet" in keys(store, shop)
    shop.want(before)
    shop.serves(before)


def keys(store: Any, shop: Installation, bucket: str = BUCKET) -> set[str]:
    """What the installation has written."""
    found = store.list_objects_v2(Bucket=bucket, Prefix=f"{shop.namespace}/")
    return {each["Key"] for each in found.get("Contents", ())}
