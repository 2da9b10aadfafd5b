"""A process that stands for a pod: started, watched, replaced when it ends, told to leave.

A process that ends by itself is started again, later each time, as a kubelet does it.
"""

from __future__ import annotations

import dataclasses
import http.client
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from slipway.cluster.local_process import Identity, Process
from slipway.cluster.protocol import Pod

# Seconds between two looks at /readyz, for one of them, and how many in vain take a pod out: a busy
# machine is no reason to do that.
PROBE_EVERY, PROBE_SECONDS, PROBE_FAILURES = 0.5, 2.0, 5
# Seconds before a process that has ended is started again: doubled each time, up to a most.
FIRST_DELAY, MOST_DELAY = 0.5, 30.0
# Seconds of life after which an end counts as the first again.
STEADY = 60.0
# Seconds from "not ready" to SIGTERM: routers have seen it by then.
LEAVE_SECONDS = 2.0
MAX_WORDS = 400

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Launch:
    """How to start a process once, and where it will answer, as host:port."""

    command: Sequence[str]
    environment: Mapping[str, str]
    address: str
    admin: str


class Kept(msgspec.Struct, frozen=True):
    """What is written down of a pod, so that another supervisor finds its process."""

    part: str
    pod: Pod
    process: Identity | None = None


class LocalPod:
    """One pod. `launch` is asked anew at each start; times are of a monotonic clock.

    `outlived` says that what the process has started serves on without it: it counts as ready then,
    and as one that does not answer, so that nobody takes its silence for consent.
    """

    def __init__(
        self,
        part: str,
        pod: Pod,
        launch: Callable[[], Launch],
        files: tuple[Path, Path],
        *,
        outlived: bool = False,
    ) -> None:
        self.part = part
        self.pod = pod
        self.process: Process | None = None
        self.leaves: float | None = None
        self._launch = launch
        self._log, self._last_words = files
        self._outlived = outlived
        self._asked = False
        self._not_before = 0.0
        self._began = 0.0
        self._ends = 0
        self._probed = 0.0
        self._missed = 0

    @property
    def kept(self) -> Kept:
        """For the record."""
        return Kept(self.part, self.pod, self.process.identity if self.process else None)

    def adopt(self, process: Process, now: float) -> None:
        """Take over a process that runs."""
        self.process, self._began = process, now

    def step(self, now: float) -> None:
        """Start it, look after it, or go on ending it."""
        if self.process is not None and not self.process.is_alive():
            self._ended(now, self.process.exit_code)
        elif self.process is None:
            if self.leaves is None and now >= self._not_before:
                self._start(now)
        elif self.leaves is None and now >= self._probed + PROBE_EVERY:
            self._probe(now)

    def leave(self, now: float, reason: str = "is being deleted") -> None:
        """Take no new work; `step` and `finish` end it."""
        if self.leaves is None:
            self.leaves = now
            self._set(ready=False, why=reason)

    @property
    def gone(self) -> bool:
        """Whether it was told to leave and has."""
        return self.leaves is not None and self.process is None

    def finish(self, now: float, after: float, grace: float) -> None:
        """SIGTERM once it has been leaving for `after` seconds, SIGKILL after `grace` more."""
        if self.process is None or self.leaves is None:
            return
        left = now - self.leaves
        if left >= after + grace:
            log.warning("killing what does not end", pod=self.pod.name)
            self.process.kill()
        elif left >= after and not self._asked:
            self._asked = True
            self.process.terminate()

    def _start(self, now: float) -> None:
        again = self._ends > 0
        self._last_words.unlink(missing_ok=True)
        launch = self._launch()
        try:
            self.process = Process.start(launch.command, launch.environment, self._log)
        except OSError as error:
            self._failed(now, f"it cannot be started: {error.strerror}")
            return
        self._began, self._missed = now, 0
        restarts = self.pod.restarts + again
        self._set(address=launch.address, admin=launch.admin, restarts=restarts)
        if not again:
            self._set(why="it is starting")

    def _ended(self, now: float, code: int | None) -> None:
        self.process = None
        if self.leaves is None:
            told = "it ended" if code is None else f"exit code {code}"
            words = self._words()
            self._failed(now, f"{words} ({told})" if words else told)

    def _failed(self, now: float, why: str) -> None:
        self._ends = 1 if now - self._began >= STEADY else self._ends + 1
        delay = min(FIRST_DELAY * 2 ** (self._ends - 1), MOST_DELAY)
        self._not_before = now + delay
        ready = self._outlived and self.pod.ready
        self._set(ready=ready, why=f"{why}, it is started again")
        log.warning("a process has ended", pod=self.pod.name, why=why, again_in=delay)

    def _probe(self, now: float) -> None:
        self._probed = now
        status = answer_of(self.pod.admin, "/readyz")
        if status == 200:
            self._missed = 0
            self._set(ready=True, why="")
            return
        # What says that it is not ready is believed at once, what says nothing after a while.
        self._missed += 1
        if status or (self._missed >= PROBE_FAILURES and not self._outlived):
            said = f"its /readyz says {status}" if status else "its /readyz does not answer"
            self._set(ready=False, why=said if self.pod.ready or not self.pod.why else self.pod.why)

    def _words(self) -> str:
        try:
            return " ".join(self._last_words.read_text(errors="replace").split())[:MAX_WORDS]
        except OSError:
            return ""

    def _set(self, **members: object) -> None:
        self.pod = dataclasses.replace(self.pod, **members)  # type: ignore[arg-type]


def answer_of(admin: str, path: str) -> int:
    """The status of a GET, 0 if there was no answer in time."""
    connection = http.client.HTTPConnection(admin, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
