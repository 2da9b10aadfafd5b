"""The controller's loop: observe, decide, apply, wait; only while it leads, and for ever.

A tick that fails has changed nothing that the next one does not see, so the answer to every error
is the next tick.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from slipway.cluster.leader import LedCluster
from slipway.errors import SlipwayError
from slipway.metrics import GATE_FIGURES, ControllerMetrics
from slipway.rollout.apply import apply
from slipway.rollout.decide import Decision, decide
from slipway.rollout.observe import Observer, Seen
from slipway.rollout.policy import PRESETS
from slipway.rollout.snapshot import Memory
from slipway.rollout.state import State

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Report:
    """How the last turn went, for whoever asks. `turned` is in seconds of the monotonic clock."""

    turned: float
    leads: bool = False
    seen: Seen | None = None
    decision: Decision | None = None
    error: str = ""


class Loop:
    """One controller. `report` may be read from other threads.

    `decided` hears of each decision once it is applied.
    """

    def __init__(
        self,
        cluster: LedCluster,
        observer: Observer,
        metrics: ControllerMetrics,
        monotonic: Callable[[], float] = time.monotonic,
        decided: Callable[[Seen, Decision], None] = lambda _seen, _decision: None,
    ) -> None:
        self._cluster = cluster
        self._observer = observer
        self._metrics = metrics
        self._monotonic = monotonic
        self._decided = decided
        self._memory: Memory | None = None
        self._ticked = 0.0
        self.report = Report(monotonic())

    def run(self, stop: threading.Event) -> None:
        """Turn until `stop` is set, then let the next controller lead."""
        while True:
            self.turn()
            if stop.wait(self._pause()):
                break
        try:
            self._cluster.give_back()
        except SlipwayError as error:
            log.warning("the lease was not given back; it expires", why=error.message)

    def turn(self) -> None:
        """One tick, whatever becomes of it."""
        before = self.report.error
        try:
            self._tick()
        except SlipwayError as error:
            self._failed(f"{error.reason}: {error.message}")
            if self.report.error != before:
                log.warning("a tick failed", why=self.report.error)
        except Exception as error:
            self._failed(f"{type(error).__name__}: see the controller's log")
            log.exception("a tick failed in an unexpected way")

    def _tick(self) -> None:
        kept = self._memory if self._cluster.leads else None
        if not self._cluster.lead():
            self._memory = None
            self._metrics.hide()
            self.report = Report(self._monotonic())
            return
        now = self._monotonic()
        last = self.report.decision
        measure = last.measure if kept and last else None
        seen = self._observer.look(kept, now - self._ticked if kept else 0.0, measure)
        decision = decide(seen.snapshot, seen.policy)
        self._memory, self._ticked = decision.memory, now
        self.report = Report(now, True, seen, decision)
        apply(decision, seen, self._cluster)
        self._count(seen, decision)
        self._decided(seen, decision)

    def _failed(self, error: str) -> None:
        told = self.report
        leads = self._cluster.leads
        self.report = Report(self._monotonic(), leads, told.seen, told.decision, error)

    def _pause(self) -> float:
        state = self.report.decision.state if self.report.decision else None
        return state.policy.tick if state else PRESETS["careful"].tick

    def _count(self, seen: Seen, decision: Decision) -> None:
        state, before = decision.state, seen.snapshot.stored
        if state is None:
            return
        known = before.answered if isinstance(before, State) else None
        verb = state.answered.verb if state.answered and state.answered != known else ""
        for note in decision.notes:
            self._metrics.decided(verb, note.reason)
        self._metrics.show(
            state.phase,
            state.weight,
            {v.gate: {f: getattr(v, f) for f in GATE_FIGURES} for v in decision.verdicts},
        )
