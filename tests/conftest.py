"""Fixtures that many tests share: model folders, empty surroundings, servers."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest
from hypothesis import settings
from tests.artifacts import save_ride_model

ROOT = Path(__file__).parent.parent
# How long an example takes says how busy the machine is.
settings.register_profile("slipway", deadline=None)
settings.load_profile("slipway")

REAL_RIDES = ROOT.parent / "shared" / "data"


_numbers = itertools.count()


@pytest.fixture(autouse=True)
def _no_settings_from_outside(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Tests see no model, server, store or credential of the person who runs them.

    Nor a compiled model of an earlier run, or of another test.
    """
    for name in list(os.environ):
        if name.startswith(("SLIPWAY_", "MODEL_", "MLFLOW_", "AWS_")) and name != "AWS_CA_BUNDLE":
            monkeypatch.delenv(name)
    scratch = tmp_path_factory.getbasetemp() / "scratch" / str(next(_numbers))
    monkeypatch.setenv("SLIPWAY_SCRATCH_DIR", str(scratch))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="session")
def ride_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A skops model folder of the ride pipeline; not to be changed."""
    return save_ride_model(tmp_path_factory.mktemp("ride-model") / "model")


@pytest.fixture(scope="session")
def real_rides() -> Path:
    """The folder of real rides beside the project."""
    if not REAL_RIDES.is_dir():
        pytest.skip("the real rides are not beside the project")
    return REAL_RIDES
