"""Runs an MLflow tracking server on this machine, for the demo and for tests.

The whole of mlflow lives in an environment of its own (`.venv-mlflow`, made by `make env`); this
starts it as a process on 127.0.0.1 and takes it down again with everything it started.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

from slipway.errors import InvalidConfig, Unavailable

PYTHON = Path(__file__).parents[3] / ".venv-mlflow" / "bin" / "python"
START_SECONDS = 90.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.05
# Without these the server starts seven helper processes and reports its use to its makers.
QUIET = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "PYTHONDONTWRITEBYTECODE": "1",
}


@contextlib.contextmanager
def tracking_server(
    root: Path,
    environment: Mapping[str, str],
    *,
    proxied: bool = False,
    s3: str | None = None,
) -> Iterator[str]:
    """The address of a server that keeps its database below `root`; gone at the end.

    Artefacts lie in `root/artifacts`, or below the URI `s3`; clients write and read them
    themselves, or with `proxied` through the server. Raises InvalidConfig where the server's
    environment is missing, Unavailable when it does not answer in START_SECONDS.
    """
    if not PYTHON.exists():
        raise InvalidConfig("the MLflow server's environment is missing; `make env` sets it up")
    root.mkdir(parents=True, exist_ok=True)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    log = root / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            _command(root, port, proxied=proxied, s3=s3),
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=root,
            env={**environment, **QUIET},
            start_new_session=True,
        )
    try:
        if not answers(f"{address}/health", process, START_SECONDS):
            told = log.read_text(errors="replace")[-2000:]
            raise Unavailable(f"the MLflow server did not start; it said:\n{told}")
        yield address
    finally:
        end(process)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def answers(url: str, process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait until the URL answers 200; False when the process ends or the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        with (
            contextlib.suppress(urllib.error.URLError, OSError),
            urllib.request.urlopen(url, timeout=2) as answer,  # noqa: S310 - 127.0.0.1
        ):
            if answer.status == 200:
                return True
        time.sleep(POLL_SECONDS)
    return False


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process with its whole group, gently first, and wait until its leader is gone."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)


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
