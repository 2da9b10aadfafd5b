"""Makes a backfill's Job and looks at it until it has ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from slipway.batch.indexed_job import INDEX, Json
from slipway.batch.plan import Ended, indexes
from slipway.batch.shards import Shard
from slipway.cluster.kube_api import KubeApi
from slipway.errors import AccessDenied, NotInstalled, TimedOut, Unavailable

LOOK_SECONDS = 2.0
# The API server may be away for a while: the Job goes on without us.
PATIENCE_SECONDS = 120.0
UNKNOWN_CODE = 1

Report = Callable[["Progress"], None]


@dataclass(frozen=True)
class Progress:
    """What a Job's status says: which of the months are there, failed, and how many run."""

    done: frozenset[int] = frozenset()
    failed: frozenset[int] = frozenset()
    active: int = 0
    ended: bool = False
    why: str = ""


def progress_of(job: Json) -> Progress:
    """Read a Job's status; pure."""
    status = job.get("status") or {}
    final = [
        condition
        for condition in status.get("conditions") or ()
        if condition["type"] in ("Complete", "Failed") and condition["status"] == "True"
    ]
    return Progress(
        done=frozenset(indexes(status.get("completedIndexes") or "")),
        failed=frozenset(indexes(status.get("failedIndexes") or "")),
        active=int(status.get("active") or 0),
        ended=bool(final),
        why=str(final[0].get("message") or "") if final else "",
    )


@dataclass
class Follower:
    """One Job and its months; `monotonic` and `sleep` are the clock's."""

    api: KubeApi
    name: str
    shards: Sequence[Shard]
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _answered: float = field(init=False, default=0.0)

    def wait(self, seconds: float, report: Report) -> list[Ended]:
        """How all months ended; raises TimedOut, or NotInstalled if the Job is removed."""
        began = self._answered = self.monotonic()
        seen = Progress()
        while True:
            found = self._look(seen)
            if found != seen:
                report(found)
            if found.ended:
                return self._outcome(found)
            if self.monotonic() - began > seconds:
                raise TimedOut(
                    f"after {seconds:.0f} s {len(found.done)} of {len(self.shards)} months are "
                    f"there; the Job {self.name} goes on"
                )
            seen = found
            self.sleep(LOOK_SECONDS)

    def _look(self, seen: Progress) -> Progress:
        try:
            job = self.api.get("jobs", self.name)
        except AccessDenied:
            raise
        except Unavailable:
            if self.monotonic() - self._answered > PATIENCE_SECONDS:
                raise
            return seen
        self._answered = self.monotonic()
        if job is None:
            raise NotInstalled(f"the Job {self.name} was removed while it ran")
        return progress_of(job)

    def _outcome(self, found: Progress) -> list[Ended]:
        complete = found.done >= set(range(len(self.shards)))
        reasons = {} if complete else self._reasons()
        ended = []
        for index, shard in enumerate(self.shards):
            if index in found.done:
                ended.append(Ended(shard, 0))
            else:
                code, said = reasons.get(index, (UNKNOWN_CODE, found.why or "it was not run"))
                ended.append(Ended(shard, code, said))
        return ended

    def _reasons(self) -> dict[int, tuple[int, str]]:
        """Index -> exit code and last words of its last failed pod."""
        found: dict[int, tuple[int, str]] = {}
        pods = self.api.select("pods", f"batch.kubernetes.io/job-name={self.name}")
        for pod in sorted(pods, key=lambda pod: pod["metadata"]["creationTimestamp"]):
            annotations = pod["metadata"].get("annotations") or {}
            ending = _ending(pod)
            if INDEX in annotations and ending:
                found[int(annotations[INDEX])] = ending
        return found


def _ending(pod: Json) -> tuple[int, str] | None:
    status = pod.get("status") or {}
    containers: list[Any] = [
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ]
    for container in containers:
        ended = (container.get("state") or {}).get("terminated") or {}
        if code := int(ended.get("exitCode") or 0):
            lines = str(ended.get("message") or ended.get("reason") or "").strip().splitlines()
            return code, lines[-1] if lines else f"exit code {code}"
    return None
