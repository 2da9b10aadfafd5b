"""From the masters' access logs to metrics, and from their error logs to the agent's own log."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from slipway.logs import cut
from slipway.metrics import RouterMetrics
from slipway.router.access_log import Counted, read_front_line, read_route_line
from slipway.router.nginx_conf import Layout
from slipway.router.nginx_process import NginxMaster
from slipway.router.pairs import Pairs
from slipway.router.table import Table
from slipway.router.tail import Tail

# Of nginx's own lines, passed on in a second; a pod that is down makes one a request.
MAX_PASSED_ON = 5
MAX_LINE = 500
# Releases whose counts are kept, those of the table in force among them.
MAX_RELEASES = 8

_READERS: dict[str, Callable[[str], Counted | None]] = {
    "front": read_front_line,
    "route": read_route_line,
}

log = structlog.get_logger(__name__)


class Counting:
    """Reads what both masters log. `collect` may be called from any thread."""

    def __init__(
        self,
        masters: tuple[NginxMaster, ...],
        layout: Layout,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.metrics = RouterMetrics()
        self._clock = clock
        self._pairs = Pairs()
        self._releases: list[str] = []
        self._quiet_until = 0.0
        self._unsaid = 0
        self._lock = threading.Lock()
        self._access = {
            master.name: Tail(Path(layout.access_log(master.name)), master.reopen_logs)
            for master in masters
        }
        self._errors = {
            master.name: Tail(Path(layout.error_log(master.name)), master.reopen_logs)
            for master in masters
        }

    def collect(self) -> None:
        """Count what was logged since the last time."""
        with self._lock:
            self._collect()

    def expose(self) -> bytes:
        """The metrics as of now: all of them after the same line, so that they fit together."""
        with self._lock:
            self._collect()
            return self.metrics.expose()

    def _collect(self) -> None:
        for name, tail in self._access.items():
            for line in tail.lines():
                self._count(_READERS[name](line))
        for name, tail in self._errors.items():
            self._pass_on(name, tail.lines())

    def loaded(self, table: Table) -> None:
        """Note the table in force; what its predecessors' predecessors counted is dropped."""
        self.metrics.loaded(table.epoch)
        now = [entry.release for entry in table.slots.values()]
        recent = list(dict.fromkeys(now + self._releases))
        self._releases, old = recent[:MAX_RELEASES], recent[MAX_RELEASES:]
        for release in old:
            self.metrics.forget(release)

    def close(self) -> None:
        """Let go of the files."""
        for tail in (*self._access.values(), *self._errors.values()):
            tail.close()

    def _count(self, counted: Counted | None) -> None:
        if counted is None:
            return
        for answer in counted.answers:
            self.metrics.answered(
                answer.slot, answer.release, answer.code, answer.source, answer.seconds
            )
        if counted.fallback:
            self.metrics.fell_back(*counted.fallback)
        if counted.dropped:
            self.metrics.dropped()
        elif counted.pair:
            self._count_pair(counted)

    def _count_pair(self, counted: Counted) -> None:
        for answer in counted.answers:
            pair = self._pairs.add(counted.pair, answer)
            if pair:
                self.metrics.paired(*pair)

    def _pass_on(self, name: str, lines: list[str]) -> None:
        now = self._clock()
        if now < self._quiet_until:
            self._unsaid += len(lines)
            return
        if self._unsaid:
            log.warning("nginx said more", lines=self._unsaid)
        for line in lines[:MAX_PASSED_ON]:
            log.warning("nginx", master=name, line=cut(line, MAX_LINE))
        self._unsaid = len(lines[MAX_PASSED_ON:])
        if lines:
            self._quiet_until = now + 1.0
