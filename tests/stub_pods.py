"""Starts tests/stub_pod.py as processes that play the pods of a slot."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.service_process import HOST, get

from slipway.cluster.protocol import SlotName


class StubPod:
    """A running tests/stub_pod.py."""

    def __init__(self, slot: SlotName) -> None:
        self.slot = slot
        script = str(Path(__file__).with_name("stub_pod.py"))
        self.process = subprocess.Popen(
            [sys.executable, script, slot, "0"],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())
        self.address = f"{HOST}:{self.port}"

    def turn(self, mode: str, value: float = 0) -> None:
        """From now on it answers like this (see stub_pod.py)."""
        body = json.dumps({"mode": mode, "value": value}).encode()
        url = f"http://{self.address}/stub"
        urllib.request.urlopen(urllib.request.Request(url, body), timeout=10).close()

    def seen(self) -> dict[str, int]:
        """Requests by X-Slipway-Source."""
        return dict(self._told()["seen"])

    def last(self) -> dict[str, str]:
        """The last request's line, body length and headers."""
        return dict(self._told()["last"])

    def kill(self, number: int = signal.SIGKILL) -> None:
        """End it."""
        self.process.send_signal(number)
        self.process.wait(10)

    def close(self) -> None:
        """End it if it still runs."""
        if self.process.poll() is None:
            self.kill()
        if self.process.stdout:
            self.process.stdout.close()

    def _told(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(get(f"http://{self.address}/stub")[1])
        return told


@contextlib.contextmanager
def stub_pods(*slots: SlotName) -> Iterator[list[StubPod]]:
    """A stub pod for each name given."""
    with contextlib.ExitStack() as stack:
        pods = [StubPod(slot) for slot in slots]
        for pod in pods:
            stack.callback(pod.close)
        yield pods
