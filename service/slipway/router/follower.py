"""Looks at the routing document and the slots' pods, again and again, on a thread of its own.

It polls: two readers a namespace and three small reads a second cost the API server nothing, a
poll cannot miss or repeat an event, and a second is well inside of the five that a rollback has.
While the cluster does not answer, the last view holds.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from slipway.cluster.protocol import SLOTS, Cluster, Pod, SlotName
from slipway.errors import SlipwayError

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class View:
    """What was seen at once: `routing.json`, None if there is no such document, and all pods."""

    routing: str | None = None
    pods: Mapping[SlotName, tuple[Pod, ...]] = field(default_factory=dict)


class Follower:
    """Keeps `view` as new as the cluster lets it; None until the cluster has answered once."""

    def __init__(self, cluster: Cluster, seconds: float) -> None:
        self.view: View | None = None
        self._cluster = cluster
        self._seconds = seconds
        self._trouble = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; a look that hangs is not waited for."""
        self._stop.set()

    def look(self) -> None:
        """Look once."""
        try:
            self.view = self._seen()
            self._tell("")
        except SlipwayError as error:
            self._tell(error.message)
        # The edge of the thread: whatever is wrong with one look, there is a next one.
        except Exception as error:  # noqa: BLE001
            self._tell(type(error).__name__, error)

    def _tell(self, trouble: str, error: Exception | None = None) -> None:
        """Log what is new: it is looked at every second."""
        if trouble == self._trouble:
            return
        self._trouble = trouble
        if trouble:
            log.warning("the cluster does not answer", why=trouble, exc_info=error)
        else:
            log.warning("the cluster answers again")

    def _run(self) -> None:
        while not self._stop.is_set():
            self.look()
            self._stop.wait(self._seconds)

    def _seen(self) -> View:
        document = self._cluster.read("routing")
        pods: dict[SlotName, tuple[Pod, ...]] = {}
        for slot in SLOTS:
            workload = self._cluster.workload(slot)
            pods[slot] = workload.pods if workload else ()
        return View(document.data.get("routing.json") if document else None, pods)
