"""What the controller answers on its own port: /status, /metrics, /livez, /readyz. Read-only."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST

from slipway.metrics import ControllerMetrics
from slipway.rollout.loop import Loop
from slipway.rollout.status import ControllerStatus, status_of
from slipway.status_server import Answer, Answers, document

# Seconds without a turn after which the loop is taken for dead: longer than any turn's requests.
STUCK = 120.0


def answers(
    loop: Loop,
    metrics: ControllerMetrics,
    pod: str,
    monotonic: Callable[[], float] = time.monotonic,
) -> Answers:
    """Path -> what answers it."""

    def status(_query: str) -> Answer:
        report = loop.report
        seen = status_of(report.seen.snapshot, report.decision) if report.seen else None
        return document(200, ControllerStatus(pod, report.leads, report.error, seen))

    def expose(_query: str) -> Answer:
        return 200, CONTENT_TYPE_LATEST, metrics.expose()

    def livez(_query: str) -> Answer:
        alive = monotonic() - loop.report.turned < STUCK
        return document(200 if alive else 503, {"alive": alive})

    def readyz(_query: str) -> Answer:
        # A controller that waits for the lease is ready too: it looks after it.
        report = loop.report
        ready = not report.error and monotonic() - report.turned < STUCK
        return document(200 if ready else 503, {"ready": ready, "why": report.error})

    return {"/status": status, "/metrics": expose, "/livez": livez, "/readyz": readyz}
