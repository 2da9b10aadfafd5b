"""Starts the real service as a process of its own, on free ports of 127.0.0.1."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.waiting import until

ROOT = Path(__file__).parent.parent
HOST = "127.0.0.1"
PORTS = range(12_000, 30_000)
SLIPWAY = (sys.executable, "-m", "slipway")
GUNICORN = (sys.executable, "-m", "gunicorn", "--config", "python:slipway.web.gunicorn_conf")


class ServiceProcess:
    """A running `slipway serve`, or gunicorn with its configuration."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.port = int(environment["SLIPWAY_PORT"])
        self.admin_port = int(environment["SLIPWAY_ADMIN_PORT"])
        self.url = f"http://{HOST}:{self.port}"
        self.admin_url = f"http://{HOST}:{self.admin_port}"
        self.log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=dict(environment),
                stdout=output,
                stderr=subprocess.STDOUT,
                # A signal to the test run must not reach it, nor one to it the test run.
                start_new_session=True,
            )
        self.pid = self.process.pid

    def lines(self) -> list[dict[str, Any]]:
        """The log; fails if a line of it is no JSON."""
        return [json.loads(line) for line in self.log.read_text().split("\n") if line]

    def requests(self) -> list[dict[str, Any]]:
        """The lines that tell of requests."""
        return [line for line in self.lines() if line["event"] == "request"]

    def errors(self) -> list[dict[str, Any]]:
        """The lines of level `error` and above."""
        return [line for line in self.lines() if line["level"] in ("error", "critical")]

    def is_ready(self) -> bool:
        """Whether /readyz on the admin port says so."""
        try:
            return get(f"{self.admin_url}/readyz")[0] == 200
        except OSError:
            return False

    def wait_ready(self, seconds: float = 30) -> None:
        """Until it is ready; fails at once when the process has ended."""

        def look() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            return self.is_ready()

        until(look, seconds, "the service to be ready")

    def stop(self, number: int = signal.SIGTERM, seconds: float = 30) -> int:
        """Send a signal, wait for the end, return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


@contextlib.contextmanager
def serving(
    model: Path | str | None = None,
    *,
    command: Sequence[str] = (*SLIPWAY, "serve"),
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    ready: bool = True,
) -> Iterator[ServiceProcess]:
    """A service for the length of a test; it is ended, if need be by force."""
    folder = tempfile.TemporaryDirectory()
    surroundings = {
        **bare_environment(),
        "SLIPWAY_SCRATCH_DIR": f"{folder.name}/scratch",
        "SLIPWAY_HOST": HOST,
        "SLIPWAY_PORT": str(free_port()),
        "SLIPWAY_ADMIN_PORT": str(free_port()),
        **(environment or {}),
    }
    named = [] if model is None else [str(model)]
    with folder as made:
        service = ServiceProcess([*command, *named, *arguments], surroundings, Path(made) / "log")
        try:
            if ready:
                service.wait_ready()
            yield service
        finally:
            if service.process.poll() is None:
                service.process.terminate()
                try:
                    service.process.wait(10)
                except subprocess.TimeoutExpired:
                    os.killpg(service.pid, signal.SIGKILL)
                    service.process.wait(10)


def stub(kind: str, *digest: str, face: str = "application") -> tuple[str, ...]:
    """The command that serves one of the models of tests/stub_service.py by a function there."""
    given = ", ".join(map(repr, (kind, *digest)))
    return (*GUNICORN, f"tests.stub_service:{face}({given})")


def bare_environment() -> dict[str, str]:
    """What a process needs to run at all, and nothing that could name a model."""
    kept = ("PATH", "PYTHONPATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")
    # Numeric libraries would start a thread for each core in each process.
    return {name: os.environ[name] for name in kept if name in os.environ} | {
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def free_port() -> int:
    """A port that nobody listens on, and that no other call of any test process gives out soon.

    The server comes to listen seconds later. So it is none of those that the kernel gives to
    connections and to port 0, and all test processes of this user take them in turn.
    """
    with (Path(tempfile.gettempdir()) / f"slipway-test-port.{os.getuid()}").open("a+") as last:
        fcntl.flock(last, fcntl.LOCK_EX)
        last.seek(0)
        port = int(last.read() or PORTS[0])
        while not _is_free(port := PORTS[(port + 1 - PORTS[0]) % len(PORTS)]):
            pass
        last.truncate(0)
        last.write(str(port))
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def get(url: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    """Status and body of a GET."""
    return _send(urllib.request.Request(url, headers=dict(headers or {})))  # noqa: S310


def post(
    url: str, document: Any, headers: Mapping[str, str] | None = None, seconds: float = 30
) -> tuple[int, Any, dict[str, str]]:
    """Status, document and headers of the answer to a document of JSON."""
    request = urllib.request.Request(  # noqa: S310
        url,
        data=json.dumps(document).encode(),
        headers={"Content-Type": "application/json", **(headers or {})},
    )
    try:
        with urllib.request.urlopen(request, timeout=seconds) as answer:  # noqa: S310
            return answer.status, json.load(answer), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error), dict(error.headers)


def _send(request: urllib.request.Request) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
