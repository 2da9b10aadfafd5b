"""The docs say what the code does: schemas, settings, names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LinearRegression
from tests.artifacts import save_table_model
from tests.controller_place import ControllerPlace
from tests.documents import ROOT, SCHEMAS, TABLE, schemas, settings_table

from slipway import metrics
from slipway.batch.job import Job, run
from slipway.batch.shards import Shard, Table
from slipway.clients.tables import Store
from slipway.examples.synthetic import Recipe, write_month
from slipway.models.obtain import obtain
from slipway.rollout.admin import answers
from slipway.router.table import table_of
from slipway.settings import ModelSettings, read_settings
from slipway.web.sample import SampleRing


@pytest.mark.parametrize("name", sorted(schemas()))
def test_the_schemas_are_those_of_the_code(name: str) -> None:
    """If this fails after an intended change: python -m tests.documents"""
    # Through JSON, as the tuples of Python become the arrays that a schema knows.
    assert json.loads((SCHEMAS / name).read_text()) == json.loads(json.dumps(schemas()[name]))


def test_the_readme_lists_every_setting() -> None:
    """If this fails after an intended change: python -m tests.documents"""
    found = TABLE.search((ROOT / "README.md").read_text())
    assert found
    assert found.group() == settings_table()


def test_real_documents_fit_their_schemas(ride_model: Path, tmp_path: Path) -> None:
    loaded = obtain(read_settings(ModelSettings, location=str(ride_model)))
    assert loaded is not None
    recipe = Recipe("green", 2021, 3, rows=100)
    write_month(tmp_path / recipe.file_name, recipe)
    job = Job(Shard("green", 2021, 3), str(tmp_path), str(tmp_path))
    ring = SampleRing("pod", loaded.release.digest, 10_000)
    ring.add("pair", "key", [1.5], "live")
    page = ring.after()
    digest = loaded.release.digest
    routing = table_of(1, ("blue", digest), ("green", digest), weight=500, shadow=10_000)
    documents = {
        "release.json": json.loads(loaded.release.to_json()),
        "routing.json": json.loads(routing.to_json()),
        "summary.json": run(job, loaded, Store()).summary,
        "table_summary.json": table_summary(tmp_path),
        "sample.json": {
            name: getattr(page, name) for name in ("pod", "digest", "next", "lost", "rows")
        },
    }
    place = ControllerPlace("preset: manual")
    for number in (1, 2):
        place.want(f"models:/ride/{number}")
        place.rest()
    place.ask("promote", force=True, actor="somebody")
    place.rest()
    documents |= {
        "request.json": json.loads(place.store.documents["control"].data["request.json"]),
        "state.json": json.loads(place.store.documents["state"].data["state.json"]),
        "status.json": json.loads(answers(place.loop, place.metrics, "pod")["/status"]("")[2]),
    }
    assert set(documents) == set(schemas())
    for name, document in documents.items():
        jsonschema.validate(json.loads(json.dumps(document)), schemas()[name])


def table_summary(folder: Path) -> dict[str, Any]:
    """Of a table with a row that cannot be scored."""
    model = save_table_model(folder / "model", LinearRegression(), [1.0, 2.0], {"x": [1.0, 2.0]})
    loaded = obtain(read_settings(ModelSettings, location=str(model)))
    assert loaded is not None
    pq.write_table(pa.table({"ex": [1.0, None]}), folder / "meters_w1.parquet")
    job = Job(Table("meters", "w1"), str(folder), str(folder), columns={"x": "ex"})
    return run(job, loaded, Store()).summary


def test_the_contract_names_every_metric() -> None:
    contract = (ROOT / "docs" / "contract.md").read_text()
    for name in (
        metrics.REQUESTS,
        metrics.SECONDS,
        metrics.PREDICTION,
        metrics.RELEASE_INFO,
        metrics.IN_FLIGHT,
        metrics.ROUTER_REQUESTS,
        metrics.ROUTER_SECONDS,
        metrics.ROUTER_FALLBACKS,
        metrics.ROUTER_PAIRS,
        metrics.ROUTER_SHADOW_DROPPED,
        metrics.ROUTER_LOADED_EPOCH,
        metrics.ROLLOUT_WEIGHT,
        metrics.ROLLOUT_PHASE,
        metrics.DECISIONS,
        metrics.STREAM_RECORDS,
        metrics.STREAM_BAD,
        metrics.STREAM_RETRIES,
        metrics.STREAM_BEHIND,
        metrics.STREAM_AGE,
        metrics.STREAM_SHARDS,
        metrics.STREAM_INFO,
    ):
        assert name in contract


def test_metric_names_are_spelt_in_one_module_only() -> None:
    pod = "requests|request_seconds|prediction|release_info|in_flight"
    spelt = re.compile(f'"slipway_({pod}|router_|rollout_|gate_|decisions|stream_)')
    homes = [
        path.name
        for path in (ROOT / "service").rglob("*.py")
        if spelt.search(path.read_text()) and path.name != "demo.py"
    ]
    assert homes == ["metrics.py"]


def test_the_lock_files_are_hashed_and_hold_no_address() -> None:
    """R9, R42: every line of the locks is pinned, hashed and free of addresses."""
    for group in (
        "requirements",
        "requirements-dev",
        "requirements-mlflow",
        "requirements-clients",
    ):
        lock = f"{group}.lock"
        text = (ROOT / lock).read_text()
        assert "://" not in text
        pinned = [line for line in text.splitlines() if re.match(r"^[a-zA-Z0-9]", line)]
        assert len(pinned) > 20
        for line in pinned:
            assert "==" in line, line
        assert text.count("--hash=sha256:") >= len(pinned)
    assert re.search(r"^scikit-learn==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)


def test_nothing_for_tests_is_in_the_images_lock() -> None:
    """R9: what only tests need stays out of production."""
    text = (ROOT / "requirements.lock").read_text()
    for name in ("pytest", "locust", "moto", "hypothesis", "schemathesis", "ruff", "mypy"):
        assert not re.search(rf"^{name}==", text, re.MULTILINE), name
