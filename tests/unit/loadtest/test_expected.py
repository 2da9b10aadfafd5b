"""The native models' predictions, for comparison."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from loadtest.rides import ride_pool
from tests.service_process import ROOT


def ask(*references: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "loadtest.expected", *references]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_prediction_for_each_ride_by_the_models_version(ride_model: Path) -> None:
    asked = ask(str(ride_model))
    assert asked.returncode == 0, asked.stderr
    [(version, predictions)] = json.loads(asked.stdout).items()
    assert version
    assert len(predictions) == len(ride_pool())
    assert len(set(predictions)) > 10


def test_a_reference_that_cannot_be_had_is_a_sentence(tmp_path: Path) -> None:
    asked = ask(str(tmp_path / "nothing"))
    assert asked.returncode == 2
    assert "Traceback" not in asked.stderr
    assert "nothing" in asked.stderr
