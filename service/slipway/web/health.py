"""What /livez and /readyz say. Ready means "as its slot should be", which may be idle."""

from __future__ import annotations

import threading
import time
from typing import Any


class Health:
    """The state of one process. It is made when the model, if one is named, is loaded and warm.

    A model may hang. A thread that has been at one request for `stuck_seconds` is lost, and a
    process whose `threads` are all lost is not alive any more: only a new one helps.
    """

    def __init__(self, *, idle: bool, threads: int = 1, stuck_seconds: float = 60.0) -> None:
        self._idle = idle
        self._draining = threading.Event()
        self._threads = threads
        self._stuck_seconds = stuck_seconds
        # Thread -> when it began with its request, by the monotonic clock.
        self._since: dict[int, float] = {}

    def begin(self) -> None:
        """This thread has a request to answer."""
        self._since[threading.get_ident()] = time.monotonic()

    def end(self) -> None:
        """This thread has answered."""
        del self._since[threading.get_ident()]

    def drain(self) -> None:
        """From now on not ready: the process was asked to stop and finishes what it has."""
        self._draining.set()

    def live(self) -> tuple[int, dict[str, Any]]:
        """Status and document of /livez."""
        before = time.monotonic() - self._stuck_seconds
        # A copy: the threads go on meanwhile.
        stuck = sum(since < before for since in list(self._since.values()))
        if stuck >= self._threads:
            return 503, {"live": False, "stuck": stuck}
        return 200, {"live": True}

    def ready(self) -> tuple[int, dict[str, Any]]:
        """Status and document of /readyz."""
        if self._draining.is_set():
            return 503, {"ready": False, "draining": True}
        return 200, {"ready": True, "idle": True} if self._idle else {"ready": True}

    def model_ready(self) -> tuple[int, dict[str, Any]]:
        """Status and document of /v2/models/{name}/ready: ready, and not idle."""
        ready = not (self._idle or self._draining.is_set())
        return 200 if ready else 503, {"ready": ready}
