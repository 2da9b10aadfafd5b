"""A real MLflow server for tests."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from slipway.examples.tracking_server import tracking_server


@contextlib.contextmanager
def mlflow_server(root: Path, *, proxied: bool = False, s3: str | None = None) -> Iterator[str]:
    """The address of a server below `root`; it inherits this process's AWS_* variables."""
    with tracking_server(root, os.environ, proxied=proxied, s3=s3) as address:
        yield address
