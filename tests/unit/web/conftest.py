"""Reads the service's log as it is written: lines of JSON on standard output."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from slipway import logs

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def log_lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """The lines written since the last look; fails when one of them is no JSON."""
    handlers, level = list(logging.root.handlers), logging.root.level
    logs.configure("debug")
    yield lambda: [json.loads(line) for line in capsys.readouterr().out.split("\n") if line]
    structlog.reset_defaults()
    logging.root.handlers, logging.root.level = handlers, level
