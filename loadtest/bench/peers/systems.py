"""How each system is started, asked and read: all with two processes that serve."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.bench.peers.driver import Target
from loadtest.bench.peers.environments import python_of
from loadtest.bench.peers.usage import descendants
from tests.router_process import routing, table
from tests.service_process import GUNICORN, HOST, SLIPWAY, bare_environment, free_port

PROGRAMS = Path(__file__).parent / "programs"
WORKERS = 2
# Seconds in which a system must give its first good answer, and those that it gets for its end.
PATIENCE, GOODBYE = 90.0, 5.0
# Seconds between two looks whether it answers yet.
LOOK = 0.01
# So many rides are asked one by one and compared with the native pipeline.
COMPARED = 200
VERSION = "0123456789abcdef0123456789abcdef"


class NotStarted(Exception):
    """A system does not answer, or not rightly; the text says what it told."""


@dataclass(frozen=True)
class Rides:
    """What every system is asked, and the native pipeline's answers."""

    folder: Path
    model: str
    features: Sequence[dict[str, Any]]
    rides: Sequence[dict[str, Any]]
    answers: Sequence[float]

    @property
    def as_dict(self) -> Path:
        """The model as the project logs it."""
        return self.folder / self.model

    @property
    def with_columns(self) -> Path:
        """The same pipeline for a server that hands it a DataFrame (programs/columns.py)."""
        return self.folder / f"{self.model}-columns"


@dataclass(frozen=True)
class Process:
    """A process to start; `environment` comes on top of the bare one."""

    command: Sequence[str | Path]
    environment: dict[str, str]
    folder: Path


@dataclass(frozen=True)
class Start:
    """What is started, and where it will answer."""

    processes: Sequence[Process]
    ports: Sequence[int]


@dataclass(frozen=True)
class System:
    """One row of the table. `lock` names its environment; empty is the project's own.

    `columns` says that it is asked MLflow's way, else by /predict as the course's service;
    `imports` are the modules that its serving process needs before it can load a model.
    """

    title: str
    lock: str
    launch: Callable[[Path, Rides, Path], Start]
    packages: tuple[str, ...]
    imports: str
    columns: bool = False
    constant: bool = False

    def python(self) -> Path:
        """Its interpreter. Raises NotMade."""
        return python_of(self.lock) if self.lock else Path(sys.executable)


class Running:
    """A system that runs."""

    def __init__(
        self, system: System, ports: Sequence[int], leaders: Sequence[int], target: Target
    ) -> None:
        self.system = system
        self.ports = ports
        self.leaders = leaders
        self.target = target
        # Seconds from the start of its processes until each address had given a good answer.
        self.first_answer = 0.0


def body_of(system: System, rides: Rides, number: int) -> bytes:
    """A request for one ride, as the system wants it."""
    if system.columns:
        row = rides.features[number]
        return json.dumps({"dataframe_split": {"columns": list(row), "data": [[*row.values()]]}}
                          ).encode()  # fmt: skip
    return json.dumps(rides.rides[number]).encode()


def ask(port: int, path: str, body: bytes) -> float:
    """The prediction for one ride. Raises OSError, NotStarted."""
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()
    if answer.status != 200:
        raise NotStarted(f"status {answer.status}: {text[:300].decode('utf-8', 'replace')}")
    document = json.loads(text)
    if "predictions" in document:
        return float(document["predictions"][0])
    return float(document["duration"])


def worst_difference(running: Running, rides: Rides) -> float:
    """The largest relative difference to the native pipeline. Raises OSError, NotStarted."""
    worst = 0.0
    for number in range(COMPARED):
        port = running.ports[number % len(running.ports)]
        found = ask(port, running.target.path, body_of(running.system, rides, number))
        native = rides.answers[number]
        worst = max(worst, abs(found - native) / max(abs(native), 1e-300))
    return worst


@contextlib.contextmanager
def running(name: str, rides: Rides, scratch: Path) -> Iterator[Running]:
    """A system that has given its first good answer; it is ended, by force if need be.

    `scratch` is what a pod keeps when its container starts again.
    Raises NotStarted, and NotMade when its environment cannot be had.
    """
    system = SYSTEMS[name]
    python = system.python()
    scratch.mkdir(parents=True, exist_ok=True)
    start = system.launch(python, rides, scratch)
    bodies = scratch / "bodies"
    path = "/invocations" if system.columns else "/predict"
    count = len(rides.rides)
    bodies.write_bytes(b"\n".join(body_of(system, rides, each) for each in range(count)) + b"\n")
    log = scratch / "log"
    began = time.monotonic()
    processes: list[subprocess.Popen[bytes]] = []
    try:
        with log.open("wb") as output:
            for each in start.processes:
                processes.append(_popen(each, python, scratch, output))  # noqa: PERF401
        leaders = [process.pid for process in processes]
        found = Running(system, start.ports, leaders, Target(start.ports, path, bodies))
        _first_answers(found, body_of(system, rides, 0), processes, log)
        found.first_answer = time.monotonic() - began
        yield found
    finally:
        end(processes)


def _popen(each: Process, python: Path, scratch: Path, output: Any) -> subprocess.Popen[bytes]:
    bare = bare_environment()
    if Path(sys.executable) != python:
        bare.pop("PYTHONPATH", None)
    return subprocess.Popen(
        [str(part) for part in each.command],
        cwd=each.folder,
        env={
            **bare,
            "PATH": f"{python.parent}{os.pathsep}{bare['PATH']}",
            "HOME": str(scratch),
            "TMPDIR": str(scratch),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "DO_NOT_TRACK": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **each.environment,
        },
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _first_answers(
    found: Running, body: bytes, processes: Sequence[subprocess.Popen[bytes]], log: Path
) -> None:
    deadline = time.monotonic() + PATIENCE
    waiting = list(found.ports)
    told = "nobody listens"
    while waiting:
        try:
            ask(waiting[0], found.target.path, body)
            waiting.pop(0)
            continue
        except (OSError, NotStarted, ValueError) as error:
            told = str(error)
        ended = [process.returncode for process in processes if process.poll() is not None]
        if ended or time.monotonic() > deadline:
            why = f"ended with {ended[0]}" if ended else f"no good answer in {PATIENCE:g} s"
            text = log.read_text(errors="replace").strip()[-800:]
            raise NotStarted(f"{why} ({told}); it told: {text}")
        time.sleep(LOOK)


def end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """End them, and whatever they started: asked first, then by force."""
    everything = descendants(process.pid for process in processes)
    for process in processes:
        if process.poll() is None:
            process.terminate()
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GOODBYE)
    for pid in everything | descendants(process.pid for process in processes):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for process in processes:
        process.wait(GOODBYE)


@contextlib.contextmanager
def routed(pods: Running) -> Iterator[Running]:
    """The product's router in front of Slipway's pods."""
    addresses = [f"{HOST}:{port}" for port in pods.ports]
    settings = {"SLIPWAY_ROUTER_POLL_SECONDS": "1"}
    try:
        with routing(table(), {"blue": addresses, "green": []}, settings=settings) as router:
            target = Target([router.port], pods.target.path, pods.target.bodies)
            yield Running(pods.system, [router.port], [*pods.leaders, router.process.pid], target)
    except AssertionError as error:
        raise NotStarted(f"the router: {error}") from error


def _ride(rides: Rides) -> dict[str, str]:
    return {"RIDE_MODEL": str(rides.as_dict), "RIDE_VERSION": VERSION}


def _slipway(_python: Path, rides: Rides, scratch: Path) -> Start:
    """Two pods: what the chart's containers run, with the environment that it gives them."""
    lock = scratch / "release.json"
    if not lock.exists():
        fetched = subprocess.run(
            [*SLIPWAY, "fetch", str(rides.as_dict)],
            env={**bare_environment(), "SLIPWAY_CACHE_DIR": str(scratch / "cache")},
            capture_output=True,
            check=True,
        )
        lock.write_bytes(fetched.stdout)
    digest = json.loads(lock.read_bytes())["digest"]
    processes, ports = [], []
    for number in range(WORKERS):
        port = free_port()
        temporary = scratch / f"tmp-{number}"
        temporary.mkdir(exist_ok=True)
        environment = pod_environment(number, port, lock, digest, scratch, temporary)
        processes.append(Process([*SLIPWAY, "serve"], environment, scratch))
        ports.append(port)
    return Start(processes, ports)


def pod_environment(
    number: int, port: int, lock: Path, digest: str, cache: Path, temporary: Path
) -> dict[str, str]:
    """What the chart's container is told, but for the addresses and places of this machine.

    The rest of the container's variables has the chart's values, which are the defaults; a test
    compares both lists of names. `cache` and `temporary` stand for the pod's volumes.
    """
    return {
        "SLIPWAY_HOST": HOST,
        "SLIPWAY_PORT": str(port),
        "SLIPWAY_ADMIN_PORT": str(free_port()),
        "SLIPWAY_RELEASE_FILE": str(lock),
        "SLIPWAY_EXPECTED_DIGEST": digest,
        "SLIPWAY_CACHE_DIR": str(cache / "cache"),
        "SLIPWAY_SCRATCH_DIR": str(temporary / "slipway"),
        "SLIPWAY_MAX_ARTIFACT_BYTES": "4294967296",
        "SLIPWAY_HTTP_TIMEOUT": "5",
        "SLIPWAY_ALLOW_PICKLE": "false",
        "SLIPWAY_ALLOW_UNSIGNED": "false",
        "SLIPWAY_ALLOW_VERSION_MISMATCH": "false",
        "SLIPWAY_SLOT": "blue",
        "SLIPWAY_POD": f"blue-{number}",
        "SLIPWAY_MODEL_NAME": "slipway",
        "SLIPWAY_THREADS": "4",
        "SLIPWAY_GRACEFUL_TIMEOUT": "20",
        "SLIPWAY_MAX_ROWS": "1000",
        "SLIPWAY_MAX_BODY_BYTES": "1048576",
        "SLIPWAY_LOG_LEVEL": "info",
        "HOME": str(temporary),
        "TMPDIR": str(temporary),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _floor(_python: Path, _rides: Rides, _scratch: Path) -> Start:
    """The shipped gunicorn configuration, worker class and all, around a constant."""
    ports = [free_port() for _ in range(WORKERS)]
    return Start(
        [
            Process(
                [*GUNICORN, "floor:application"],
                {"SLIPWAY_HOST": HOST, "SLIPWAY_PORT": str(port), "SLIPWAY_ADMIN_PORT": "-1"},
                PROGRAMS,
            )
            for port in ports
        ],
        ports,
    )


def _one(
    command: Callable[[Path, int, Rides, Path], Sequence[str | Path]], folder: Path | None = None
) -> Callable[[Path, Rides, Path], Start]:
    """A system of one address that makes its workers itself; it runs in `folder` or its scratch."""

    def launch(python: Path, rides: Rides, scratch: Path) -> Start:
        port = free_port()
        words = command(python, port, rides, scratch)
        return Start([Process(words, _ride(rides), folder or scratch)], [port])

    return launch


def _course(python: Path, port: int, _rides: Rides, _scratch: Path) -> Sequence[str | Path]:
    bind = f"{HOST}:{port}"
    return [python, "-m", "gunicorn", "--bind", bind, "--workers", str(WORKERS), "course:app"]


def _fastapi(python: Path, port: int, _rides: Rides, _scratch: Path) -> Sequence[str | Path]:
    options = ["--host", HOST, "--port", str(port), "--workers", str(WORKERS), "--no-access-log"]
    return [python, "-m", "uvicorn", *options, "fastapi_ride:app"]


def _bentoml(python: Path, port: int, _rides: Rides, _scratch: Path) -> Sequence[str | Path]:
    options = ["--host", HOST, "--port", str(port)]
    return [python.with_name("bentoml"), "serve", "bento_ride:RideDuration", *options]


def _mlflow(python: Path, port: int, rides: Rides, _scratch: Path) -> Sequence[str | Path]:
    serve: list[str | Path] = [python.with_name("mlflow"), "models", "serve"]
    options = ["--env-manager", "local", "--host", HOST, "--port", str(port)]
    options += ["--workers", str(WORKERS)]
    return [*serve, "--model-uri", rides.with_columns, *options]


def _mlserver(python: Path, port: int, rides: Rides, scratch: Path) -> Sequence[str | Path]:
    folder = scratch / "mlserver"
    folder.mkdir(exist_ok=True)
    settings = {
        "host": HOST,
        "http_port": port,
        "grpc_port": free_port(),
        "metrics_port": free_port(),
        "parallel_workers": WORKERS,
        "debug": False,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    model = {
        "name": "ride",
        "implementation": "mlserver_mlflow.MLflowRuntime",
        "parameters": {"uri": str(rides.with_columns)},
    }
    (folder / "model-settings.json").write_text(json.dumps(model))
    return [python.with_name("mlserver"), "start", folder]


_SKLEARN = ("scikit-learn", "numpy")
COURSE = "course"
SLIPWAY_NAME = "slipway"
FLOOR = "floor"
ROUTER = "router"
SYSTEMS: dict[str, System] = {
    COURSE: System(
        "the course's way: Flask, gunicorn sync, pyfunc",
        "mlflow",
        _one(_course, PROGRAMS),
        ("flask", "gunicorn", "mlflow", *_SKLEARN),
        "flask, mlflow.pyfunc, mlflow.sklearn",
    ),
    SLIPWAY_NAME: System(
        "Slipway, two pods",
        "",
        _slipway,
        ("gunicorn", "flask", "msgspec", *_SKLEARN),
        "slipway.web.wsgi",
    ),
    FLOOR: System(
        "floor: a constant, Slipway's worker",
        "",
        _floor,
        ("gunicorn",),
        "gunicorn.app.wsgiapp",
        constant=True,
    ),
    "fastapi": System(
        "FastAPI + uvicorn, the pipeline itself",
        "fastapi",
        _one(_fastapi, PROGRAMS),
        ("fastapi", "uvicorn", "pydantic", *_SKLEARN),
        "fastapi, uvicorn, skops.io",
    ),
    "mlflow": System(
        "`mlflow models serve`",
        "mlflow",
        _one(_mlflow),
        ("mlflow", "fastapi", "uvicorn", *_SKLEARN),
        "mlflow.pyfunc.scoring_server, skops.io",
        columns=True,
    ),
    "mlserver": System(
        "MLServer, MLflow runtime",
        "mlserver",
        _one(_mlserver),
        ("mlserver", "mlserver-mlflow", "mlflow", "uvloop", *_SKLEARN),
        "mlserver, mlserver_mlflow, skops.io",
        columns=True,
    ),
    "bentoml": System(
        "BentoML, the pipeline itself",
        "bentoml",
        _one(_bentoml, PROGRAMS),
        ("bentoml", *_SKLEARN),
        "bentoml, skops.io",
    ),
}
