"""Programs of Kubernetes that `make up` leaves behind, for tests that start them by themselves."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

# Read before a test takes the settings of the person away.
CACHE = Path(os.environ.get("SLIPWAY_CACHE") or "~/.cache/slipway").expanduser()
_PLACES = (os.environ.get("PATH", ""), os.environ.get("KUBEBUILDER_ASSETS", ""), str(CACHE / "bin"))


def program(name: str) -> str:
    """Its path, from where such programs usually are; skips the test where it is not."""
    found = shutil.which(name, path=os.pathsep.join(filter(None, _PLACES)))
    if found is None:
        pytest.skip(f"{name} is not there; `make up` builds it")
    return found
