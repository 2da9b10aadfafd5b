"""A folder for nginx that is not pytest's: the path of a socket must be short."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.router.agent import layout_of
from slipway.router.nginx_conf import Layout


@pytest.fixture
def layout() -> Iterator[Layout]:
    folder = tempfile.mkdtemp(prefix="slipway-", dir="/tmp")
    yield layout_of(Path(folder) / "n")
    shutil.rmtree(folder)
