"""What the pods of an installation have counted, those that are gone included.

A counter goes with its pod, so all pods are read all the time, and those that are leaving as often
as possible: who leaves goes on telling its figures until it has answered everything.
"""

from __future__ import annotations

import contextlib
import http.client
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


Key = tuple[str, str]


class PodCounters:
    """Requests that clients made while this is open, by component.

    A reader for each pod: the one that is gone must not keep the others waiting.
    """

    def __init__(self, place: Installation) -> None:
        self._place = place
        self._before: dict[Key, float] = {}
        self._last: dict[Key, float] = {}
        # What is there now, and whether it is leaving.
        self._there: dict[Key, bool] = {}
        self._stop = threading.Event()
        self._finder = threading.Thread(target=self._find_for_ever, daemon=True)

    def __enter__(self) -> PodCounters:
        self._find()
        self._read_all()
        self._before = dict(self._last)
        self._finder.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._finder.join(30)

    def total(self, component: str) -> int:
        """Over all pods that have been there."""
        assert self._finder.is_alive(), "nobody looked for new pods"
        self._read_all()
        grown = {key: value - self._before.get(key, 0.0) for key, value in self._last.items()}
        return round(sum(value for key, value in grown.items() if key[0] == component))

    def pods(self, component: str) -> int:
        """How many there have been."""
        return sum(key[0] == component for key in self._last)

    def _find_for_ever(self) -> None:
        followed: set[Key] = set()
        while not self._stop.wait(0.1):
            self._find()
            for key in set(self._there) - followed:
                threading.Thread(target=self._follow, args=(key,), daemon=True).start()
                followed.add(key)

    def _find(self) -> None:
        self._there = {
            (component, name): "deletionTimestamp" in pod["metadata"]
            for component in COUNTERS
            for name, pod in self._place.pods(component).items()
        }

    def _follow(self, key: Key) -> None:
        while key in self._there and not self._stop.is_set():
            self._read(key)
            due = time.monotonic() + EVERY
            while not self._stop.wait(0.1) and time.monotonic() < due and not self._there.get(key):
                pass

    def _read_all(self) -> None:
        for key in self._there:
            self._read(key)

    def _read(self, key: Key) -> None:
        component, name = key
        port, counter = COUNTERS[component]
        path = f"{self._place.core}/pods/{name}:{port}/proxy/metrics"
        # One that does not answer yet, or any more, is asked again.
        with contextlib.suppress(OSError, http.client.HTTPException):
            found = _sum(self._place.server.text(path), counter)
            self._last[key] = max(found, self._last.get(key, 0.0))


def _sum(text: str, counter: str) -> float:
    """Of the samples that count a client's request: once each, whatever came of it."""
    samples: list[Any] = [
        sample
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == counter and sample.labels["source"] == "live"
    ]
    return float(sum(sample.value for sample in samples))
