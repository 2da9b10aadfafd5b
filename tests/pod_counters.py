"""What the pods of an installation have counted, those that are gone included.

A counter goes with its pod, so all pods are read all the time, and those that are leaving as often
as possible: who leaves goes on telling its figures until it has answered everything.
"""

from __future__ import annotations

import contextlib
import threading
import time
from types import TracebackType
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from tests.kind_installation import Installation

# Component -> its admin port, and the counter of clients' requests.
COUNTERS = {
    "slot": (9697, "slipway_requests_total"),
    "router": (9698, "slipway_router_requests_total"),
}
# Seconds between two looks at a pod that stays.
EVERY = 1.0


class PodCounters:
    """Requests that clients made while this is open, by component."""

    def __init__(self, place: Installation) -> None:
        self._place = place
        self._before: dict[tuple[str, str], float] = {}
        self._last: dict[tuple[str, str], float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> PodCounters:
        self._read_all(leaving_only=False)
        self._before = dict(self._last)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(30)

    def total(self, component: str) -> int:
        """Over all pods that have been there."""
        self._read_all(leaving_only=False)
        return round(
            sum(
                value - self._before.get(key, 0.0)
                for key, value in self._last.items()
                if key[0] == component
            )
        )

    def pods(self, component: str) -> int:
        """How many there have been."""
        return sum(key[0] == component for key in self._last)

    def _run(self) -> None:
        due = 0.0
        while not self._stop.wait(0.05):
            # A list or a pod that does not answer now is asked again at once.
            with contextlib.suppress(OSError):
                self._read_all(leaving_only=time.monotonic() < due)
                due = due if time.monotonic() < due else time.monotonic() + EVERY

    def _read_all(self, *, leaving_only: bool) -> None:
        for component, (port, counter) in COUNTERS.items():
            for name, pod in self._place.pods(component).items():
                if leaving_only and "deletionTimestamp" not in pod["metadata"]:
                    continue
                path = f"{self._place.core}/pods/{name}:{port}/proxy/metrics"
                with contextlib.suppress(OSError):
                    text = self._place.server.text(path)
                    self._last[component, name] = _sum(text, counter)


def _sum(text: str, counter: str) -> float:
    """Of the samples that count a client's request: once each, whatever came of it."""
    samples: list[Any] = [
        sample
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == counter and sample.labels["source"] == "live"
    ]
    return float(sum(sample.value for sample in samples))
