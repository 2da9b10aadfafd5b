"""Model versions for the stories of a module that share an installation."""

from __future__ import annotations

import pytest
from tests.artifacts import Versions


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Versions:
    return Versions(tmp_path_factory.mktemp("models"))
