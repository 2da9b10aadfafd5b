"""`slipway consume` as a process of its own, on the stand-in for Kinesis."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.kinesis_stand_in import CREDENTIALS, StandIn
from tests.service_process import HOST, SLIPWAY, bare_environment, free_port, get
from tests.waiting import until

QUICK = {
    "SLIPWAY_SILENT_SECONDS": "2",
    "SLIPWAY_POLL_SECONDS": "0.05",
    "SLIPWAY_FOLLOW_SECONDS": "0.2",
    "SLIPWAY_BATCH_RECORDS": "100",
    "SLIPWAY_CONSUME_HOST": HOST,
}


class ConsumerProcess:
    """A running consumer."""

    def __init__(self, kinesis: StandIn, folder: Path, settings: Mapping[str, str]) -> None:
        self.port = free_port()
        self.log = folder / f"{settings['SLIPWAY_APPLICATION']}-{self.port}.log"
        environment = {
            **bare_environment(),
            **CREDENTIALS,
            **QUICK,
            "AWS_EC2_METADATA_DISABLED": "true",
            "KINESIS_ENDPOINT_URL": kinesis.url,
            "SLIPWAY_CONSUME_PORT": str(self.port),
            "SLIPWAY_CACHE_DIR": str(folder / "cache"),
            "SLIPWAY_SCRATCH_DIR": str(folder / "scratch"),
            **settings,
        }
        local = settings.get("LOCAL")
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [*SLIPWAY, "consume", *(["--local", local] if local else [])],
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def told(self) -> str:
        """Its log."""
        return self.log.read_text()

    def answer(self, path: str) -> tuple[int, bytes]:
        """What its port answers, 0 where nobody listens."""
        try:
            return get(f"http://{HOST}:{self.port}{path}")
        except OSError:
            return 0, b""

    def status(self) -> dict[str, Any]:
        """Its own view."""
        found: dict[str, Any] = json.loads(self.answer("/status")[1])
        return found

    def wait_ready(self, seconds: float = 40) -> None:
        """Until it reads."""

        def look() -> bool:
            assert self.process.poll() is None, self.told()
            return self.answer("/readyz")[0] == 200

        until(look, seconds, "the consumer to be ready")

    def stop(self, number: int = signal.SIGTERM, seconds: float = 20) -> int:
        """Send it a signal; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


class Consumers:
    """Starts consumers and sees to it that none is left."""

    def __init__(self, kinesis: StandIn, folder: Path) -> None:
        self.kinesis = kinesis
        self.folder = folder
        self.started: list[ConsumerProcess] = []

    def start(self, application: str, **settings: str) -> ConsumerProcess:
        """A consumer of an application: to `APPLICATION_out`, and to `APPLICATION_dead`."""
        given = {
            "SLIPWAY_APPLICATION": application,
            "PREDICTIONS_STREAM_NAME": f"{application}_out",
            "SLIPWAY_DEAD_LETTERS": f"{application}_dead",
            **settings,
        }
        self.started.append(ConsumerProcess(self.kinesis, self.folder, given))
        return self.started[-1]

    def told(self) -> str:
        """All logs, for a failing assertion."""
        return "\n".join(f"--- {each.log.name}\n{each.told()[-3000:]}" for each in self.started)


@contextlib.contextmanager
def consumers(kinesis: StandIn) -> Iterator[Consumers]:
    """Consumers for the length of a test."""
    with tempfile.TemporaryDirectory(prefix="slipway-") as folder:
        found = Consumers(kinesis, Path(folder))
        try:
            yield found
        finally:
            for each in found.started:
                if each.process.poll() is None:
                    os.killpg(each.process.pid, signal.SIGKILL)
                    each.process.wait(10)
