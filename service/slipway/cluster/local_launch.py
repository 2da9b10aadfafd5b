"""The commands of an installation on one machine: the shipped ones, with settings of their own."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from slipway.cluster.local_files import LocalFolder
from slipway.cluster.local_pod import Launch
from slipway.errors import InvalidConfig

HOST = "127.0.0.1"
PROGRAM = (sys.executable, "-m", "slipway")
# What could name a model in our own surroundings: slots go by their release lock alone.
_NAMING = ("MODEL_RUN_ID", "MODEL_URI", "MODEL_LOCATION", "MODEL_FILE")
# Seconds after which another controller takes over from a killed one; it ticks every 2 s.
LEASE_SECONDS = "6"
ROUTER_POLL_SECONDS = "0.3"


@dataclass(frozen=True)
class Launcher:
    """How each part is started; `environment` is what all of them have from us."""

    files: LocalFolder
    port: int
    router_dir: Path
    environment: Mapping[str, str] = field(repr=False)

    def slot(self, slot: str, name: str, digest: str) -> Launch:
        """A pod of a slot; its release lock is in the pod's folder."""
        port, admin = free_ports(2)
        pod = self.files.pod(name)
        return self._launch(
            ["serve", "--host", HOST, "--port", str(port), "--admin-port", str(admin)],
            (port, admin),
            SLIPWAY_SLOT=slot,
            SLIPWAY_POD=name,
            SLIPWAY_RELEASE_FILE=str(pod / "release.json"),
            SLIPWAY_EXPECTED_DIGEST=digest,
            SLIPWAY_TERMINATION_LOG=str(pod / "last-words"),
        )

    def router(self) -> Launch:
        """The agent with its two nginx masters."""
        (admin,) = free_ports(1)
        return self._launch(
            [
                *("router", "--local", str(self.files.root), "--dir", str(self.router_dir)),
                *("--host", HOST, "--port", str(self.port), "--admin-port", str(admin)),
            ],
            (self.port, admin),
            SLIPWAY_ROUTER_POLL_SECONDS=ROUTER_POLL_SECONDS,
        )

    def controller(self) -> Launch:
        """The controller."""
        (admin,) = free_ports(1)
        return self._launch(
            ["controller", "--local", str(self.files.root), "--port", str(admin)],
            (admin, admin),
            SLIPWAY_CONTROLLER_HOST=HOST,
            SLIPWAY_LEASE_SECONDS=LEASE_SECONDS,
        )

    def _launch(self, arguments: list[str], ports: tuple[int, int], **settings: str) -> Launch:
        inherited = {k: v for k, v in self.environment.items() if k not in _NAMING}
        # A thread for each core in each process would be too many for one machine.
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        address, admin = (f"{HOST}:{port}" for port in ports)
        environment = threads | inherited | settings
        return Launch([*PROGRAM, *arguments], environment, address, admin)


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on at this moment."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind((HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def check_port(port: int) -> None:
    """Raises InvalidConfig if somebody listens on it."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise InvalidConfig(
                f"--port: cannot listen on port {port}: {error.strerror}; name another one"
            ) from error
