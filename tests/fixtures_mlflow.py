"""A real MLflow server for tests: its own environment, its own folder, its own process group."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".venv-mlflow" / "bin" / "python"
START_SECONDS = 90.0
STOP_SECONDS = 15.0
# Without these the server starts seven helper processes and reports its use to its makers.
SURROUNDINGS = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "PYTHONDONTWRITEBYTECODE": "1",
}


@contextlib.contextmanager
def mlflow_server(root: Path, *, proxied: bool = False, s3: str | None = None) -> Iterator[str]:
    """The address of a server that keeps everything below `root`; gone at the end.

    Artefacts lie in `root/artifacts`, or below the URI `s3`; clients write and read them
    themselves, or with `proxied` through the server. The server inherits AWS_* variables.
    Skips the test where the server's environment is missing.
    """
    if not PYTHON.exists():
        pytest.skip("the MLflow server's environment is missing; `make env` sets it up")
    root.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    address = f"http://127.0.0.1:{port}"
    log = root / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            _command(root, port, proxied=proxied, s3=s3),
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=root,
            env={**os.environ, **SURROUNDINGS},
            start_new_session=True,
        )
    try:
        _wait_until_healthy(process, address, log)
        yield address
    finally:
        _end(process)


def _command(root: Path, port: int, *, proxied: bool, s3: str | None) -> list[str]:
    artifacts = s3 or str(root / "artifacts")
    served = (
        ["--serve-artifacts", "--artifacts-destination", artifacts]
        if proxied
        else ["--no-serve-artifacts", "--default-artifact-root", artifacts]
    )
    return [
        *(str(PYTHON), "-m", "mlflow", "server"),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{root}/mlflow.db"),
        *served,
    ]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_until_healthy(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(urllib.error.URLError, OSError):
            with urllib.request.urlopen(f"{address}/health", timeout=2) as answer:  # noqa: S310
                if answer.status == 200:
                    return
        time.sleep(0.05)
    pytest.fail(f"the MLflow server did not start:\n{log.read_text(errors='replace')[-4000:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the whole process group, and wait until its leader is gone."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
