"""A Cluster that changes nothing unless this process leads.

A lease is good until some time on this process's own clock, counted from *before* the request
that renewed it. Whoever is paused or cut off past that moment is stopped here, before the write,
and not by being told.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from slipway.cluster.protocol import (
    Cluster,
    Document,
    DocumentName,
    Event,
    Filling,
    Part,
    SlotName,
    Workload,
)
from slipway.errors import Conflict

# Others wait for the whole of it; the rest is for requests that are under way.
USABLE = 2 / 3


class LedCluster:
    """The same cluster for `holder`, whose lease lasts `seconds`; times by `monotonic`."""

    def __init__(
        self,
        cluster: Cluster,
        holder: str,
        seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._holder = holder
        self._seconds = seconds
        self._monotonic = monotonic
        self._until = float("-inf")

    @property
    def leads(self) -> bool:
        """Whether writing is allowed at this moment."""
        return self._monotonic() < self._until

    def lead(self) -> bool:
        """Take or renew the lease; raises Unavailable, which takes nothing away before its time."""
        asked = self._monotonic()
        held = self._cluster.hold_lease(self._holder, self._seconds)
        self._until = asked + self._seconds * USABLE if held else float("-inf")
        return held

    def give_back(self) -> None:
        """Let the next one lead at once."""
        if self.leads:
            self._until = float("-inf")
            self._cluster.hold_lease(self._holder, 0.0)

    def read(self, name: DocumentName) -> Document | None:
        """As the cluster's."""
        return self._cluster.read(name)

    def write(self, document: Document) -> Document:
        """As the cluster's; raises Conflict without leadership."""
        self._check()
        return self._cluster.write(document)

    def fill(self, slot: SlotName, filling: Filling | None, replicas: int | None) -> None:
        """As the cluster's; raises Conflict without leadership."""
        self._check()
        self._cluster.fill(slot, filling, replicas)

    def workload(self, part: Part) -> Workload | None:
        """As the cluster's."""
        return self._cluster.workload(part)

    def hold_lease(self, holder: str, seconds: float) -> bool:
        """As the cluster's."""
        return self._cluster.hold_lease(holder, seconds)

    def record(self, event: Event) -> None:
        """As the cluster's, but silent without leadership."""
        if self.leads:
            self._cluster.record(event)

    def _check(self) -> None:
        if not self.leads:
            raise Conflict("the lease was lost, so nothing is written; whoever has it goes on")
