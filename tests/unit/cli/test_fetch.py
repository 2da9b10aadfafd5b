"""`slipway fetch`: prints the lock, fills the cache, loads nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path


def fetch(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "slipway", "fetch", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=os.environ | environment,
    )


def test_the_lock_is_printed_and_can_be_gone_by(ride_model: Path, tmp_path: Path) -> None:
    first = fetch(str(ride_model))
    assert first.returncode == 0, first.stderr
    lock = tmp_path / "release.json"
    lock.write_text(first.stdout)
    second = fetch("--release-file", str(lock))
    assert second.stdout == first.stdout
    assert json.loads(second.stdout)["uri"] == str(ride_model)


def test_nothing_that_deserialises_is_even_imported(ride_model: Path) -> None:
    """The step that touches the network must not be able to run a model's code."""
    program = (
        "import sys; from slipway.cli.verbs import app\n"
        "try:\n    app(['fetch', sys.argv[1]])\n"
        "except SystemExit as end:\n    assert not end.code\n"
        "print(sorted({'skops', 'sklearn', 'joblib', 'cloudpickle'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, str(ride_model)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ran.stdout.splitlines()[-1] == "[]"


def test_no_reference_is_a_usage_error_unless_it_may_be_missing() -> None:
    refused = fetch()
    assert refused.returncode == 2
    assert "MODEL_RUN_ID" in refused.stderr
    assert fetch("--if-any").returncode == 0


def test_B1_hostile_run_ids_end_at_once_with_a_sentence() -> None:
    for run_id in ("../../etc", "a b", "x" * 10_240, "line\nbreak"):
        ended = fetch(MODEL_RUN_ID=run_id)
        assert ended.returncode == 2, run_id
        assert ended.stderr.startswith("slipway: InvalidConfig: ")
        assert len(ended.stderr.strip().splitlines()) == 1


def test_a_model_that_is_named_wins_over_the_lock_of_the_environment(
    ride_model: Path, tmp_path: Path
) -> None:
    lock = tmp_path / "release.json"
    other = tmp_path / "other"
    shutil.copytree(ride_model, other)
    lock.write_text(fetch(str(other)).stdout)
    named = fetch(str(ride_model), SLIPWAY_RELEASE_FILE=str(lock))
    assert json.loads(named.stdout)["uri"] == str(ride_model)
    assert json.loads(fetch(SLIPWAY_RELEASE_FILE=str(lock)).stdout)["uri"] == str(other)
