"""The controller and the verbs as processes, by the rights of a namespace's editor."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.cluster_worlds import FULLNAME, KubeWorld
from tests.service_process import HOST, SLIPWAY, ServiceProcess, bare_environment, free_port

from slipway.models.resolve import resolver_for
from slipway.settings import ResolveSettings, read_settings


def two_models(ride_model: Path, folder: Path) -> list[str]:
    """Two folders with models of different bytes."""
    for name in ("first", "second"):
        shutil.copytree(ride_model, folder / name)
        (folder / name / "note.txt").write_text(name)
    return [str(folder / "first"), str(folder / "second")]


def digest_of(folder: str) -> str:
    return resolver_for(read_settings(ResolveSettings)).resolve(folder).digest


class Slipway:
    """The verbs and the controller, as somebody with a namespace's `edit` role runs them."""

    def __init__(self, world: KubeWorld, folder: Path) -> None:
        self._world = world
        self._folder = folder
        self.number = 0

    @property
    def options(self) -> list[str]:
        kubeconfig = self._world.server.kubeconfig("somebody", self._world.namespace)
        return ["--kubeconfig", str(kubeconfig), "--name", FULLNAME]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A verb."""
        return subprocess.run(
            [*SLIPWAY, *arguments, *self.options],
            env=bare_environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @contextlib.contextmanager
    def controlling(self, *command: str, **environment: str) -> Iterator[ServiceProcess]:
        """A controller for the length of a block."""
        self.number += 1
        port = str(free_port())
        surroundings = {
            **bare_environment(),
            "SLIPWAY_CONTROLLER_HOST": HOST,
            "SLIPWAY_CONTROLLER_PORT": port,
            "SLIPWAY_LEASE_SECONDS": "3",
            "SLIPWAY_API_TIMEOUT": "1",
            "SLIPWAY_PORT": port,
            "SLIPWAY_ADMIN_PORT": port,
            **environment,
        }
        program = command or SLIPWAY
        process = ServiceProcess(
            [*program, "controller", *self.options], surroundings, self._folder / str(self.number)
        )
        try:
            process.wait_ready()
            yield process
        finally:
            if process.process.poll() is None:
                process.process.kill()
            process.process.wait(10)
