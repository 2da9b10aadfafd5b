"""Measures what the last decision asked for: asks routers and pods, a Measurement does the rest."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

import structlog

from slipway.cluster.protocol import Pod, SlotName
from slipway.rollout.measurement import Measurement, Side
from slipway.rollout.measures import Window
from slipway.rollout.plan import Measure
from slipway.rollout.snapshot import SlotView
from slipway.rollout.state import Placement

# Address (host:port) and path.
Place = tuple[str, str]

log = structlog.get_logger(__name__)


class Scrapes(Protocol):
    """What `clients.scrape.Scraper` does."""

    def get_each(self, places: Collection[Place]) -> Mapping[Place, bytes]:
        """The bodies by address and path, of those that answered in time."""


class Measuring:
    """Keeps the measurement of the present measure, and none of any other."""

    def __init__(self, scraper: Scrapes, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._scraper = scraper
        self._monotonic = monotonic
        self._measurement: Measurement | None = None
        self._told: Sequence[str] = ()

    def look(
        self,
        measure: Measure | None,
        routers: Sequence[Pod],
        slots: Mapping[SlotName, SlotView],
    ) -> Window | None:
        """Ask once; the window so far. `routers` are those in the Service."""
        if measure is None:
            self._measurement = None
            return None
        if self._measurement is None or self._measurement.measure != measure:
            self._measurement = Measurement(measure)
        measurement = self._measurement
        sides: dict[Side, list[Pod]] = {
            "candidate": _pods(measure.candidate, slots),
            "control": _pods(measure.control, slots),
        }
        pods = [pod for side in sides.values() for pod in side]
        samples = {
            pod.name: (pod.admin, f"/sample?after={measurement.cursor(pod.name)}") for pod in pods
        }
        # In a canary the latency that counts is what a client sees: the router's.
        counted = [*routers, *pods] if measure.mirrored else routers
        counters = {pod.name: (pod.admin, "/metrics") for pod in counted}
        # All at once: whoever is silent costs one time-out.
        bodies = self._scraper.get_each([*samples.values(), *counters.values()])

        def by_side(places: Mapping[str, Place]) -> Mapping[Side, Mapping[str, bytes | None]]:
            return {
                side: {pod.name: bodies.get(places[pod.name]) for pod in of}
                for side, of in sides.items()
            }

        measurement.look(
            self._monotonic(),
            {router.name: bodies.get(counters[router.name]) for router in routers},
            by_side(samples),
            by_side(counters) if measure.mirrored else {},
        )
        self._tell(measurement.lacking)
        return measurement.window

    def _tell(self, lacking: Sequence[str]) -> None:
        if lacking and lacking != self._told:
            log.warning("a look counts for neither side", without=lacking)
        self._told = lacking


def _pods(side: Placement, slots: Mapping[SlotName, SlotView]) -> list[Pod]:
    """Those that may be asked by the router: ready, and with the side's release."""
    view = slots.get(side.slot) if side.slot else None
    if view is None or view.workload is None:
        return []
    digest = side.release.digest
    return [pod for pod in view.workload.pods if pod.ready and pod.digest == digest]
