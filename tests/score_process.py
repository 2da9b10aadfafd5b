"""Runs `slipway score` as a person or a CronJob does, and waits for its end."""

from __future__ import annotations

import os
import subprocess
from typing import Any

from tests.service_process import SLIPWAY


def score(*arguments: Any, **environment: Any) -> subprocess.CompletedProcess[str]:
    """What it printed and its exit code; the environment is added to our own."""
    return subprocess.run(
        [*SLIPWAY, "score", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env=os.environ | {name: str(value) for name, value in environment.items()},
    )
