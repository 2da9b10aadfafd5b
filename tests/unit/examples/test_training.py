"""What needs a server is in tests/contract/test_train.py."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.errors import InvalidConfig
from slipway.examples.training import Plan, run, silent


def test_the_server_is_asked_before_anything_else_is_done() -> None:
    steps = []

    @contextlib.contextmanager
    def note(doing: str) -> Iterator[list[str]]:
        steps.append(doing)
        yield []

    with pytest.raises(InvalidConfig, match="tracking server"):
        run(Plan("ride-duration", data=(Path("missing.parquet"),)), "", step=note)
    assert steps == ["asking the tracking server"]


def test_a_silent_step_takes_what_is_said() -> None:
    with silent("training") as said:
        said.append("well")
