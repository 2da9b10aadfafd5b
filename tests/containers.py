"""Runs the product's image as a user does, with the docker command; ends what it started."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

from k8s.local.images import product
from tests.service_process import HOST, free_port, get
from tests.waiting import until

ROOT = Path(__file__).parent.parent
# As a pod with Pod Security `restricted` and the chart's scratch volume runs it.
RESTRICTED = (
    *("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"),
    *("--security-opt", "no-new-privileges"),
)
ANY_PORT = ("--publish", f"{HOST}::9696")


def version() -> str:
    """This checkout's."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def image_name() -> str:
    """The image under test: TEST_IMAGE, or what `make up` builds of this checkout."""
    return os.environ.get("TEST_IMAGE") or product().name


def why_not() -> str | None:
    """A sentence that says what is missing to run the image; None when nothing is."""
    if shutil.which("docker") is None:
        return "no docker command is installed, so the image cannot be run"
    if docker("version", check=False).returncode:
        return "no Docker engine answers, so the image cannot be run"
    if docker("image", "inspect", image_name(), check=False).returncode:
        return f"the Docker engine has no image {image_name()}; `make up` builds it"
    return None


def docker(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """What `docker ARGUMENTS` said; fails with its words unless `check` is off."""
    ran = subprocess.run(
        ["docker", *arguments],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert not check or ran.returncode == 0, ran.stdout + ran.stderr
    return ran


def run_once(
    *command: str, options: tuple[str, ...] = (), image: str = "", program: str = ""
) -> subprocess.CompletedProcess[str]:
    """A command of the image (or another `program` in it), to its end, unprivileged."""
    entry = ("--entrypoint", program) if program else ()
    arguments = ("run", "--rm", *RESTRICTED, *entry, *options, image or image_name(), *command)
    return docker(*arguments, check=False)


class AtATerminal:
    """`docker run -it --rm -p PORT:INSIDE …` at a terminal, on a free port of this machine."""

    def __init__(self, inside: int, *rest: str) -> None:
        self.port = free_port()
        self._terminal, self._other_end = pty.openpty()
        published = f"{HOST}:{self.port}:{inside}"
        self._process = subprocess.Popen(
            ["docker", "run", "-it", "--rm", "-p", published, *rest],
            stdin=self._other_end,
            stdout=self._other_end,
            stderr=self._other_end,
        )

    @property
    def url(self) -> str:
        """Where it answers."""
        assert self._process.poll() is None
        return f"http://{HOST}:{self.port}"

    def ctrl_c(self, seconds: int = 20) -> int:
        """Type it; the exit code."""
        os.write(self._terminal, b"\x03")
        return self._process.wait(seconds)

    def close(self) -> None:
        """Leave nothing of it."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)
            holder = docker("ps", "-q", "--filter", f"publish={self.port}").stdout.split()
            docker("rm", "--force", *holder)
        os.close(self._other_end)
        os.close(self._terminal)


class Container:
    """A container that serves."""

    def __init__(self, identity: str) -> None:
        self.identity = identity
        address = docker("port", identity, "9696").stdout.splitlines()[0]
        self.url = f"http://{HOST}:{address.rsplit(':', 1)[1]}"

    def inside(self, *command: str) -> str:
        """What a command in the running container says."""
        return docker("exec", self.identity, *command).stdout

    def log(self) -> str:
        """All that it has said."""
        logs = docker("logs", self.identity)
        return logs.stdout + logs.stderr

    def stop(self, seconds: int = 20) -> int:
        """SIGTERM, and the exit code; 137 when it had to be killed."""
        docker("stop", "--time", str(seconds), self.identity)
        return int(docker("inspect", "--format", "{{.State.ExitCode}}", self.identity).stdout)

    def wait_ready(self, seconds: float = 60) -> None:
        """Until /readyz says so; fails at once when the container has ended."""

        def look() -> bool:
            state = docker("inspect", "--format", "{{.State.Running}}", self.identity)
            assert state.stdout.strip() == "true", self.log()
            with contextlib.suppress(OSError):
                return get(f"{self.url}/readyz")[0] == 200
            return False

        until(look, seconds, "the container to be ready")


@contextlib.contextmanager
def container(*options: str, image: str = "") -> Iterator[Container]:
    """The image's own command, ready, for the length of a test."""
    arguments = ("run", "--detach", *RESTRICTED, *ANY_PORT, *options, image or image_name())
    identity = docker(*arguments).stdout.strip()
    try:
        running = Container(identity)
        running.wait_ready()
        yield running
    finally:
        docker("rm", "--force", identity)
