"""Given an installation with a model, when its CronJob is run once, then the month is scored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from tests.cluster_worlds import FULLNAME
from tests.kind_installation import Installation, keys_below, platform_store
from tests.kind_server import KindServer

pytestmark = [pytest.mark.platform, pytest.mark.kind, pytest.mark.timeout(300)]

BUCKET = "predictions"
MONTH = "taxi_type=green/year=2021/month=03"


@pytest.fixture
def store(kind: KindServer, shop: Installation) -> Iterator[Any]:
    """The store of `make up`, without what this installation wrote afterwards."""
    with platform_store(kind) as client:
        yield client
        for key in keys_below(client, BUCKET, f"{shop.namespace}/"):
            client.delete_object(Bucket=BUCKET, Key=key)


def test_R37_R1_the_cronjob_run_once_writes_predictions_and_summary_of_the_promoted_run(
    shop: Installation, runs: tuple[str, str], store: Any, tmp_path: Path
) -> None:
    """R37, R1 (batch), R33: in the same image; with the run that answers the web's requests."""
    shop.kubectl("create", "job", "now", f"--from=cronjob/{FULLNAME}-batch")
    shop.kubectl("wait", "job/now", "--for=condition=Complete", "--timeout=200s")

    beside = f"{shop.namespace}/{MONTH}/{runs[0]}"
    assert keys_below(store, BUCKET, f"{shop.namespace}/") == {
        f"{beside}.parquet",
        f"{beside}.summary.json",
    }
    found = store.get_object(Bucket=BUCKET, Key=f"{beside}.summary.json")["Body"]
    summary = json.loads(found.read())
    store.download_file(BUCKET, f"{beside}.parquet", str(tmp_path / "scored"))
    table = pq.read_table(tmp_path / "scored")
    assert set(table["model_version"].to_pylist()) == {runs[0]}
    assert table.num_rows == summary["scored"] > 50_000
    [pod] = shop.get("pod", job_name="now")
    used = {container["image"] for container in pod["spec"]["containers"]}
    assert used == {shop.image}
