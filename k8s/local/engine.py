"""Finds a Docker engine that answers; where there is none and we are root, starts one.

An engine that we start keeps its log, its pid and the runtime in `engine/` of the cache; an
engine that was there before is used as it is and never stopped.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from k8s.local.bounded_runc import held_back
from k8s.local.cache import Cache
from k8s.local.commands import ask
from k8s.local.context import Context
from k8s.local.debian import ensure_packages, which
from k8s.local.errors import SetupFailed

START_SECONDS = 60.0
STOP_SECONDS = 30.0
RUNTIME = "slipway-bounded"
CONTAINERD_PID = Path("/var/run/docker/containerd/containerd.pid")
DEBIAN_CLIENT = Path("/usr/bin/docker")

NO_DOCKER = (
    "Install Docker (docs.docker.com/engine/install) and start it; `docker info` must answer.\n"
    "On Debian, make up installs it by itself when it runs as root."
)


@dataclass(frozen=True)
class OwnEngine:
    """The files of an engine that was started here."""

    folder: Path

    @classmethod
    def of(cls, cache: Cache) -> OwnEngine:
        """Its place in the cache."""
        return cls(cache.root / "engine")

    @property
    def pid_file(self) -> Path:
        """dockerd writes it and removes it."""
        return self.folder / "dockerd.pid"

    @property
    def log(self) -> Path:
        """What dockerd says, of all its starts."""
        return self.folder / "dockerd.log"

    @property
    def runtime(self) -> Path:
        """bounded_runc.py, as a program."""
        return self.folder / "bounded-runc"

    def pid(self) -> int | None:
        """Of our dockerd if it runs; a number left behind may by now be any other process."""
        return _pid_of(self.pid_file, "dockerd")


def server_version() -> str | None:
    """The version of the engine that answers, or None."""
    return ask(["docker", "version", "--format", "{{.Server.Version}}"])


def ensure_engine(ctx: Context) -> None:
    """A Docker engine answers afterwards; raises SetupFailed."""
    with ctx.progress.stage("Docker engine") as stage:
        version = server_version()
        if version:
            stage.outcome = version
            return
        _refuse_what_we_cannot_start()
        ensure_packages(ctx, {"dockerd": "docker.io"})
        if not _started_by_the_system(ctx):
            start(ctx)
        stage.outcome = f"{server_version()}, started"


def start(ctx: Context) -> None:
    """Start dockerd in the background and wait until it answers; raises SetupFailed."""
    own = OwnEngine.of(ctx.cache)
    own.folder.mkdir(parents=True, exist_ok=True)
    if own.pid() is None:
        own.pid_file.unlink(missing_ok=True)
    if _pid_of(CONTAINERD_PID, "containerd") is None:
        CONTAINERD_PID.unlink(missing_ok=True)
    command = [which("dockerd") or "dockerd", "--pidfile", os.fspath(own.pid_file)]
    command += _runtime_options(own)
    with own.log.open("ab") as log:
        place = log.tell()
        daemon = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # It outlives us, and a Ctrl-C on us is none on it.
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and daemon.poll() is None:
        if server_version():
            return
        time.sleep(0.25)
    _copy_end(own.log, place, ctx.progress.log)
    raise SetupFailed("dockerd does not answer", f"Its log: {own.log}")


def stop(ctx: Context) -> str | None:
    """End the engine if it is ours; says what was done, or None where there is nothing of ours.

    It goes on while containers run in it that are none of ours.
    """
    own = OwnEngine.of(ctx.cache)
    pid = own.pid()
    if pid is None:
        own.pid_file.unlink(missing_ok=True)
        return None
    running = (ask(["docker", "ps", "--format", "{{.Names}}"]) or "").split()
    if running:
        return f"left running: {len(running)} other containers"
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while own.pid() is not None:
        if time.monotonic() > deadline:
            raise SetupFailed(f"dockerd (process {pid}) does not end", f"Its log: {own.log}")
        time.sleep(0.1)
    return "stopped"


@dataclass(frozen=True)
class Builder:
    """The docker client that builds with BuildKit, and the variables that it needs for that."""

    docker: str
    environment: dict[str, str]


def builder() -> Builder:
    """Which client to build images with.

    A client from 23 on leaves building to its plugin buildx, and without it falls back to the
    classic builder, which refuses `RUN --mount`; Debian's 20.10 has BuildKit inside.
    """
    if ask(["docker", "buildx", "version"]) or not DEBIAN_CLIENT.exists():
        return Builder("docker", {})
    version = ask([DEBIAN_CLIENT, "version", "--format", "{{.Client.Version}}"]) or ""
    if version.startswith("20."):
        return Builder(os.fspath(DEBIAN_CLIENT), {"DOCKER_BUILDKIT": "1"})
    return Builder("docker", {})


def _refuse_what_we_cannot_start() -> None:
    host = os.environ.get("DOCKER_HOST")
    if host:
        advice = "Start that engine, or unset DOCKER_HOST to use this machine's own."
        raise SetupFailed("the Docker engine that DOCKER_HOST names does not answer", advice)
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        raise SetupFailed("no Docker engine answers on this machine", NO_DOCKER)


def _started_by_the_system(ctx: Context) -> bool:
    """Where systemd runs, the engine is its business; installing it has usually started it."""
    if server_version():
        return True
    if not Path("/run/systemd/system").is_dir():
        return False
    ctx.runner.run(["systemctl", "start", "docker"])
    return server_version() is not None


def _runtime_options(own: OwnEngine) -> list[str]:
    """On a machine that holds a capability back: our runtime in front of runc."""
    status = Path("/proc/self/status").read_text()
    if not held_back(status):
        return []
    # -I -S: nothing but the standard library is read, so that a container starts without delay.
    interpreter = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    source = Path(__file__).with_name("bounded_runc.py").read_text()
    new = own.runtime.with_suffix(".new")
    new.write_text(f"#!{interpreter} -IS\n{source}")
    new.chmod(0o755)
    new.replace(own.runtime)
    return ["--add-runtime", f"{RUNTIME}={own.runtime}", "--default-runtime", RUNTIME]


def _pid_of(file: Path, name: str) -> int | None:
    """The number in a pid file, if a process of that name has it.

    By its command line: a process that ended and that nobody has waited for has none.
    """
    with contextlib.suppress(OSError, ValueError):
        pid = int(file.read_text())
        program = Path(f"/proc/{pid}/cmdline").read_text().split("\0")[0]
        if Path(program).name == name:
            return pid
    return None


def _copy_end(source: Path, start_at: int, target: Path) -> None:
    with source.open("rb") as log, target.open("ab") as out:
        log.seek(start_at)
        out.write(log.read())
