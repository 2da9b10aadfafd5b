"""What /livez and /readyz say. Ready means "as its slot should be", which may be idle."""

from __future__ import annotations

import threading
from typing import Any


class Health:
    """The state of one process. It is made when the model, if one is named, is loaded and warm."""

    def __init__(self, *, idle: bool) -> None:
        self._idle = idle
        self._draining = threading.Event()

    def drain(self) -> None:
        """From now on not ready: the process was asked to stop and finishes what it has."""
        self._draining.set()

    def live(self) -> tuple[int, dict[str, Any]]:
        """Status and document of /livez."""
        return 200, {"live": True}

    def ready(self) -> tuple[int, dict[str, Any]]:
        """Status and document of /readyz."""
        if self._draining.is_set():
            return 503, {"ready": False, "draining": True}
        return 200, {"ready": True, "idle": True} if self._idle else {"ready": True}
