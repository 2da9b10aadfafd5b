"""Brings `route` to what is wanted: render, test, swap, reload, and only then call it loaded."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog

from slipway.router.nginx_conf import Layout, Limits, Rendered
from slipway.router.route_conf import render_route
from slipway.router.saved import save
from slipway.router.wanted import EMPTY, Wanted

# Seconds between two reloads at the least: changes in between are loaded together.
RELOAD_EVERY = 1.0
# Seconds until a configuration that was refused is tried again: the reason may have gone.
RETRY_AFTER = 10.0

log = structlog.get_logger(__name__)


class RouteMaster(Protocol):
    """What is needed of the nginx master."""

    def test(self, text: str) -> str:
        """Empty if nginx takes the configuration, else why not."""

    def install(self) -> None:
        """Put what was tested in force."""

    def reload(self, expected: str) -> bool:
        """Load it; False if nginx does not say in time that it has."""


class Loader:
    """What is loaded, and why what is wanted is not, where it is not."""

    def __init__(
        self,
        master: RouteMaster,
        layout: Layout,
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.loaded = EMPTY
        self.rejected = ""
        self._master = master
        self._layout = layout
        self._limits = limits
        self._clock = clock
        self._not_before = 0.0
        self._refused: tuple[str, float] = ("", 0.0)

    def prepare(self, first: Wanted) -> Rendered:
        """Put a configuration in force for the master to be started with.

        It is that of `first`, or the empty one if nginx does not take that.
        """
        for wanted in (first, EMPTY):
            rendered = self._rendered(wanted)
            self.rejected = self._master.test(rendered.text) or wanted.refused
            if self.rejected == wanted.refused:
                break
            log.error("nginx refuses a configuration", why=self.rejected, **_told(wanted))
        self._master.install()
        self.loaded = wanted
        return rendered

    def follow(self, wanted: Wanted) -> None:
        """Load what is wanted, if that is something else than what is loaded and it is time."""
        if (wanted.table, wanted.pods) == (self.loaded.table, self.loaded.pods):
            self.loaded, self.rejected = wanted, wanted.refused
            return
        now = self._clock()
        if now < self._not_before:
            return
        rendered = self._rendered(wanted)
        refused, until = self._refused
        if rendered.said == refused and now < until:
            return
        self._not_before = now + RELOAD_EVERY
        why = self._load(rendered)
        if why:
            self._refused = (rendered.said, now + RETRY_AFTER)
            log.error("a routing table is not followed", why=why, **_told(wanted))
        else:
            self.loaded = wanted
            save(Path(self._layout.saved), wanted)
            log.info("loaded", **_told(wanted))
        self.rejected = why or wanted.refused

    def _rendered(self, wanted: Wanted) -> Rendered:
        return render_route(wanted.table, wanted.pods, self._layout, self._limits)

    def _load(self, rendered: Rendered) -> str:
        """Empty if it is loaded now, else why not."""
        why = self._master.test(rendered.text)
        if why:
            return why
        self._master.install()
        taken = self._master.reload(rendered.said)
        return "" if taken else "nginx did not take the configuration in time"


def _told(wanted: Wanted) -> dict[str, object]:
    return {
        "epoch": wanted.table.epoch,
        "weights": {slot: entry.weight for slot, entry in wanted.table.slots.items()},
        "pods": {slot: len(pods) for slot, pods in wanted.pods.items()},
    }
