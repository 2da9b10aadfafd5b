"""Fakes: what the client Protocols promise, in memory, with faults that a test asks for."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from slipway.cluster.lease import Record, Watcher
from slipway.cluster.protocol import (
    Document,
    DocumentName,
    Event,
    Filling,
    Part,
    Pod,
    SlotName,
    Workload,
)
from slipway.errors import Conflict, SlipwayError, Unavailable


class Killed(BaseException):
    """The process ends here; nothing catches it."""


@dataclass
class FakeClock:
    """A monotonic clock and a wall clock that a test moves."""

    seconds: float = 1000.0
    wall: datetime = datetime(2026, 11, 24, 12, tzinfo=UTC)

    def monotonic(self) -> float:
        """Seconds that only go forward."""
        return self.seconds

    def now(self) -> datetime:
        """The time of day."""
        return self.wall

    def advance(self, seconds: float) -> None:
        """Let time go by."""
        self.seconds += seconds
        self.wall += timedelta(seconds=seconds)


@dataclass
class Fault:
    """What one of the next calls of a method does in place of what it should.

    `after` lets the call take effect first, as a time-out after the write does.
    """

    method: str
    error: BaseException
    after: bool = False
    times: int = 1


@dataclass
class FakeStore:
    """What all who use one cluster share: its objects, and what happened to them."""

    documents: dict[DocumentName, Document] = field(default_factory=dict)
    workloads: dict[Part, Workload] = field(default_factory=dict)
    lease: Record = field(default_factory=Record)
    events: list[Event] = field(default_factory=list)
    # Every change in its order: ("write", "state"), ("fill", "blue", digest, replicas), ...
    effects: list[tuple[object, ...]] = field(default_factory=list)
    versions: itertools.count[int] = field(default_factory=lambda: itertools.count(1))


class FakeCluster:
    """The Cluster in memory. `store` is shared by those that a test gives it to."""

    def __init__(self, store: FakeStore | None = None, clock: FakeClock | None = None) -> None:
        self.store = store or FakeStore()
        self.clock = clock or FakeClock()
        self.faults: list[Fault] = []
        self.stale: dict[DocumentName, Document | None] = {}
        # Called after each effect; a test may raise Killed there.
        self.after_effect: Callable[[], None] = lambda: None
        self._watcher = Watcher()

    def fail(
        self,
        method: str,
        error: BaseException | None = None,
        *,
        after: bool = False,
        times: int = 1,
    ) -> None:
        """Let the next calls of a method raise (by default Unavailable)."""
        error = error or Unavailable("the cluster does not answer")
        self.faults.append(Fault(method, error, after, times))

    def read(self, name: DocumentName) -> Document | None:
        """The document; an old one while a test has put one into `stale`."""
        with self._faulty("read"):
            if name in self.stale:
                return self.stale[name]
            return self.store.documents.get(name)

    def write(self, document: Document) -> Document:
        """Replace it if its version is the present one."""
        with self._faulty("write"):
            return self._write(document)

    def _write(self, document: Document) -> Document:
        known = self.store.documents.get(document.name)
        if document.version != (known.version if known else ""):
            raise Conflict(f"{document.name} was changed by somebody else meanwhile")
        if known and (dict(known.data), dict(known.annotations)) == (
            dict(document.data),
            dict(document.annotations),
        ):
            return known
        version = str(next(self.store.versions))
        written = dataclasses.replace(document, version=version)
        self.store.documents[document.name] = written
        self._happened("write", document.name)
        return written

    def fill(self, slot: SlotName, filling: Filling | None, replicas: int | None) -> None:
        """The document, then the Deployment; new pods are not ready before `settle`."""
        with self._faulty("fill"):
            if filling is not None:
                known = self.store.documents.get(slot) or Document(slot)
                data = {
                    "MODEL_RUN_ID": filling.run_id,
                    "MODEL_URI": filling.uri,
                    "MODEL_DIGEST": filling.digest,
                    "release.json": filling.lock,
                }
                self._write(dataclasses.replace(known, data=data))
            workload = self.store.workloads.get(slot)
            if workload is None:
                raise Unavailable(f"there is no Deployment {slot}; is the chart installed?")
            digest = workload.digest if filling is None else filling.digest
            size = workload.replicas if replicas is None else replicas
            if (digest, size) != (workload.digest, workload.replicas):
                self.store.workloads[slot] = dataclasses.replace(
                    workload, digest=digest, replicas=size, settled=False
                )
                self._happened("fill", slot, digest, size)

    def workload(self, part: Part) -> Workload | None:
        """The Deployment and its pods."""
        with self._faulty("workload"):
            return self.store.workloads.get(part)

    def hold_lease(self, holder: str, seconds: float) -> bool:
        """As the protocol says, by the fake clock."""
        with self._faulty("hold_lease"):
            wanted = self._watcher.wanted(self.store.lease, holder, seconds, self.clock.monotonic())
            if wanted is None:
                return False
            version = str(next(self.store.versions))
            self.store.lease = dataclasses.replace(wanted, version=version)
            return bool(wanted.holder)

    def record(self, event: Event) -> None:
        """Keep it; a fault is swallowed, as the protocol promises."""
        try:
            with self._faulty("record"):
                self.store.events.append(event)
        except SlipwayError:
            return

    def install(self, *parts: Part) -> None:
        """What the chart makes: Deployments without a release; routers run at once."""
        for part in parts or ("blue", "green", "router"):
            self.store.workloads[part] = Workload(replicas=1 if part == "router" else 0)
        self.settle()

    def settle(self) -> None:
        """What Kubernetes does: the pods that each Deployment asks for run, and are ready."""
        for part, workload in self.store.workloads.items():
            kept = {pod.name: pod for pod in workload.pods}
            wanted = [pod_of(part, workload.digest, k) for k in range(workload.replicas)]
            pods = tuple(kept.get(pod.name, pod) for pod in wanted)
            self.store.workloads[part] = dataclasses.replace(
                workload, settled=True, failed=False, why="", pods=pods
            )

    def edit(self, name: DocumentName, data: dict[str, str], **annotations: str) -> None:
        """What a person does with kubectl; annotations by their names without `slipway.io/`."""
        known = self.store.documents.get(name)
        told = {f"slipway.io/{key.replace('_', '-')}": text for key, text in annotations.items()}
        self.store.documents[name] = Document(
            name, data, told, version=str(next(self.store.versions))
        )
        assert known is None or known.version != self.store.documents[name].version

    def _happened(self, *effect: object) -> None:
        self.store.effects.append(effect)
        self.after_effect()

    @contextlib.contextmanager
    def _faulty(self, method: str) -> Iterator[None]:
        found = next((fault for fault in self.faults if fault.method == method), None)
        if found:
            found.times -= 1
            if not found.times:
                self.faults.remove(found)
            if not found.after:
                raise found.error
        yield
        if found:
            raise found.error


def pod_of(part: Part, digest: str, number: int, *, ready: bool = True, **members: object) -> Pod:
    """A pod with an address of its own; its name changes with what it runs."""
    third, host = {"blue": 1, "green": 2, "router": 3}[part], number + 1
    pod = Pod(
        name=f"{part}-{digest.removeprefix('sha256:')[:8]}-{number}",
        address=f"10.0.{third}.{host}:9696",
        admin=f"10.0.{third}.{host}:{9698 if part == 'router' else 9697}",
        digest=digest,
        ready=ready,
    )
    return dataclasses.replace(pod, **members)  # type: ignore[arg-type]
