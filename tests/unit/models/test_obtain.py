"""The whole way: which reference is in force, what is remembered, what is verified."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.artifacts import RIDE, edit_mlmodel, ride_pipeline, save_ride_model

from slipway.errors import DigestMismatch, InvalidConfig
from slipway.models.obtain import Loaded, fetch, obtain, release_of
from slipway.models.release import Release
from slipway.settings import ModelSettings, read_settings
from slipway.usecases.rides import Ride


def settings_for(**given: Any) -> ModelSettings:
    return read_settings(ModelSettings, **given)


def lock_of(folder: Path) -> Release:
    release = release_of(settings_for(location=str(folder)))
    assert release is not None
    return release


def loaded(settings: ModelSettings) -> Loaded:
    found = obtain(settings)
    assert found is not None
    return found


def test_without_a_reference_there_is_no_model() -> None:
    assert obtain(settings_for()) is None


def test_R46_a_local_folder_wins_over_the_run_id(ride_model: Path) -> None:
    found = loaded(settings_for(location=str(ride_model), run_id="0" * 32))
    assert found.release.uri == str(ride_model)


def test_the_lock_file_wins_over_every_reference(ride_model: Path, tmp_path: Path) -> None:
    lock = tmp_path / "release.json"
    release = lock_of(ride_model)
    lock.write_bytes(release.to_json())
    settings = settings_for(release_file=lock, uri="models:/another/1")
    assert loaded(settings).release == release


def test_a_lock_file_that_is_not_there_counts_as_none(tmp_path: Path) -> None:
    assert obtain(settings_for(release_file=tmp_path / "none.json")) is None


def test_a_lock_of_another_digest_than_the_pod_expects_is_refused(ride_model: Path) -> None:
    with pytest.raises(DigestMismatch, match="expects"):
        obtain(settings_for(location=str(ride_model), expected_digest="sha256:" + "0" * 64))
    with pytest.raises(DigestMismatch, match="none"):
        obtain(settings_for(expected_digest="sha256:" + "0" * 64))
    expected = lock_of(ride_model).digest
    assert obtain(settings_for(location=str(ride_model), expected_digest=expected))


def test_a_lock_cannot_lead_outside_of_the_allowed_places(ride_model: Path, tmp_path: Path) -> None:
    lock = tmp_path / "release.json"
    lock.write_bytes(lock_of(ride_model).to_json())
    settings = settings_for(release_file=lock, artifact_prefixes=("s3://ours/",))
    with pytest.raises(InvalidConfig, match="SLIPWAY_ARTIFACT_PREFIXES"):
        obtain(settings)


def test_R19_both_layouts_of_a_model_folder_load(ride_model: Path, tmp_path: Path) -> None:
    """MLflow 2 wrote a run id and no model id into the MLmodel file; MLflow 3 both."""
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        shutil.copytree(ride_model, folder)
    edit_mlmodel(old, {"run_id": "a" * 32})
    edit_mlmodel(new, {"run_id": "b" * 32, "model_id": "m-" + "c" * 32})
    assert (lock_of(old).run_id, lock_of(old).model_id) == ("a" * 32, None)
    assert (lock_of(new).run_id, lock_of(new).model_id) == ("b" * 32, "m-" + "c" * 32)
    assert loaded(settings_for(location=str(old))).scorer.score([Ride(**RIDE)]).shape == (1,)


def test_R13_another_reference_gives_another_version_and_another_prediction(
    ride_model: Path, tmp_path: Path
) -> None:
    other = save_ride_model(tmp_path / "other", pipeline=ride_pipeline(scale=2.0))
    first, second = (loaded(settings_for(location=str(path))) for path in (ride_model, other))
    assert first.release.version != second.release.version
    ride = [Ride(**RIDE)]
    assert first.scorer.score(ride)[0] != second.scorer.score(ride)[0]


def test_a_folder_of_ones_own_is_verified_where_it_lies(ride_model: Path, tmp_path: Path) -> None:
    settings = settings_for(location=str(ride_model), cache_dir=tmp_path / "cache")
    assert fetch(settings, lock_of(ride_model)).path == ride_model
    assert not (tmp_path / "cache" / "models").exists()


def test_a_use_case_that_there_is_not_is_refused(ride_model: Path) -> None:
    with pytest.raises(InvalidConfig, match="rides or tabular"):
        obtain(settings_for(location=str(ride_model), use_case="flights"))


def test_the_lock_tells_what_is_needed_to_compare_releases(ride_model: Path) -> None:
    document = json.loads(lock_of(ride_model).to_json())
    assert [field["name"] for field in document["inputs"]] == [
        "PULocationID",
        "DOLocationID",
        "trip_distance",
    ]
    assert document["buckets"] == [5.0, 10.0, 20.0, 40.0]
    assert document["flavor"] == "sklearn"
    assert document["serialization"] == "skops"
