"""A small place that obeys decisions, to tell a rollout tick by tick. No cluster, no fake of one.

`Scene` holds the facts; `tick` makes a snapshot of them, decides, and lets the facts follow as an
obedient place would: documents are written, pods come up, routers load. A test changes the facts
between ticks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from slipway.cluster.protocol import SLOTS, Document, Pod, SlotName, Workload
from slipway.models.release import Release
from slipway.rollout.decide import Decision, decide
from slipway.rollout.measures import Counts, Window
from slipway.rollout.plan import routing_of
from slipway.rollout.policy import PRESETS, Policy
from slipway.rollout.snapshot import (
    Desired,
    Memory,
    Problem,
    Request,
    Resolution,
    RouterView,
    SlotView,
    Snapshot,
    Verb,
)
from slipway.rollout.state import State
from slipway.rollout.state_document import KEY, read_state, state_data
from slipway.rollout.verdict import GateName, Outcome, Verdict
from slipway.usecases.protocol import InputField

START = datetime(2026, 11, 23, 10, tzinfo=UTC)
INPUTS = [InputField("PULocationID", "zone"), InputField("trip_distance", "number")]


def release(name: str, **changes: Any) -> Release:
    """A release whose digest and run id follow from one letter or two."""
    mark = name.encode().hex()
    values: dict[str, Any] = {
        "reference": f"models:/ride/{name}",
        "uri": f"s3://bucket/{name}",
        "digest": "sha256:" + mark.ljust(64, "0"),
        "size": 1,
        "flavor": "sklearn",
        "serialization": "skops",
        "use_case": "rides",
        "resolved_at": "2026-11-23T10:00:00Z",
        "run_id": mark.ljust(32, "0"),
        "inputs": INPUTS,
    }
    return Release(**{**values, **changes})


def verdicts(
    outcome: Outcome, *names: GateName, gates: tuple[GateName, ...] = ("errors", "latency")
) -> tuple[Verdict, ...]:
    """PASS of all gates but the named ones, which say `outcome`."""
    return tuple(
        Verdict(gate=g, outcome=outcome if g in names else Outcome.PASS, sentence=f"{g} measured")
        for g in gates
    )


PASS = verdicts(Outcome.PASS)
FAIL = verdicts(Outcome.FAIL, "errors")
UNKNOWN = verdicts(Outcome.UNKNOWN, "errors")


@dataclass
class Slot:
    """A slot's document and Deployment. `broken` pods never get ready."""

    release: Release | None = None
    replicas: int = 0
    digest: str = ""
    ready: int = 0
    restarts: int = 0
    settled: bool = True
    failed: bool = False
    why: str = ""

    def view(self) -> SlotView:
        """As `observe` would see it."""
        pods = tuple(
            Pod(
                name=f"pod-{n}",
                address="",
                admin="",
                digest=self.digest,
                ready=n < self.ready,
                restarts=self.restarts if n == 0 else 0,
                why="" if n < self.ready else self.why,
            )
            for n in range(self.replicas)
        )
        workload = Workload(self.replicas, self.digest, self.settled, self.failed, self.why, pods)
        return SlotView(self.release, workload)


@dataclass
class Scene:
    """The facts. `broken` names digests whose pods do not get ready, with what they say."""

    policy: Policy | None = field(default_factory=lambda: PRESETS["fast"])
    desired: Desired = field(default_factory=Desired)
    found: Resolution | None = None
    slots: dict[SlotName, Slot] = field(default_factory=lambda: {s: Slot() for s in SLOTS})
    loaded: dict[str, int] = field(default_factory=lambda: {"router-0": 0})
    stuck: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    rejected: str = ""
    routing: dict[str, Any] | None = None
    state: dict[str, str] | None = None
    request: Request | None = None
    outcome: tuple[Verdict, ...] = UNKNOWN
    looks: int = 100
    broken: dict[str, str] = field(default_factory=dict)
    memory: Memory | None = None
    now: datetime = START
    web: bool = True
    events: list[str] = field(default_factory=list)
    last: Decision | None = None
    problem: str = ""

    @property
    def stored(self) -> State:
        """The stored state, which must be a sound one."""
        found = read_state(Document("state", self.state or {}))
        assert isinstance(found, State), found
        return found

    def want(self, found: Release | Problem | None, mark: str = "") -> None:
        """Write a reference, and say what it leads to."""
        name = found.reference if isinstance(found, Release) else "models:/ride/99"
        self.desired = Desired(name, mark or f"mark of {name}")
        if isinstance(found, Release):
            self.found = Resolution(self.desired.mark, release=found)
        else:
            self.found = Resolution(self.desired.mark, problem=found) if found else None

    def ask(self, verb: Verb, **changes: Any) -> str:
        """Write a control request and let it be answered; gives the answer's sentence."""
        self.request = Request(id=f"{verb}-{self.now.isoformat()}", verb=verb, **changes)
        self.tick()
        answered = self.stored.answered
        assert answered
        assert answered.id == self.request.id
        return answered.message

    def snapshot(self, elapsed: float = 2.0) -> Snapshot:
        """What `observe` would see now."""
        document = Document("state", self.state) if self.state is not None else None
        return Snapshot(
            now=self.now,
            elapsed=elapsed,
            stored=read_state(document),
            memory=self.memory,
            desired=self.desired,
            resolution=self.found,
            slots={name: slot.view() for name, slot in self.slots.items()},
            routers=tuple(
                RouterView(
                    n, None if n in self.silent else e, self.rejected if n in self.stuck else ""
                )
                for n, e in self.loaded.items()
            ),
            routing=self.routing,
            request=self.request,
            window=self._window(),
            policy_problem=self.problem,
            web=self.web,
            verdicts=self.outcome,
        )

    def _window(self) -> Window | None:
        measure = self.last.measure if self.last else None
        if measure is None:
            return None
        return Window(
            epoch=measure.epoch,
            candidate=measure.candidate.release.digest,
            control=measure.control.release.digest,
            seconds=60.0,
            looks=self.looks,
            counts=Counts(600, 0, 600, 0),
        )

    def tick(self, times: int = 1, elapsed: float = 2.0) -> Decision:
        """Decide and obey."""
        for _ in range(times):
            decision = decide(self.snapshot(elapsed), self.policy)
            self.obey(decision)
            self.now += timedelta(seconds=elapsed)
        assert self.last
        return self.last

    def obey(self, decision: Decision) -> None:
        """Write what is to be written; pods and routers follow before the next tick."""
        self.last, self.memory = decision, decision.memory
        self.events += [event.reason for event in decision.events]
        if decision.state and decision.write:
            self.state = state_data(decision.state)
        if decision.routing:
            self.routing = decision.routing
        for fill in decision.fills:
            slot = self.slots[fill.slot]
            if fill.filling:
                slot.digest, slot.ready = fill.filling.digest, 0
                slot.release = self._known(fill.filling.digest)
            if fill.replicas is not None:
                slot.replicas = fill.replicas
        for slot in self.slots.values():
            broken = slot.digest in self.broken
            slot.ready = 0 if broken else slot.replicas
            slot.why = self.broken.get(slot.digest, "")
        if self.routing:
            for router in self.loaded.keys() - self.stuck:
                self.loaded[router] = self.routing["epoch"]

    def _known(self, digest: str) -> Release:
        state = self.stored
        known = [p.release for p in (state.stable, state.spare) if p]
        return next(r for r in known if r.digest == digest)

    def settle(self, *, most: int = 60) -> None:
        """Tick until nothing is written any more, three times in a row: the place follows late."""
        quiet = 0
        for _ in range(most):
            decision = self.tick()
            busy = decision.write or decision.routing or decision.fills
            quiet = 0 if busy else quiet + 1
            if quiet == 3:
                return
        raise AssertionError("it does not come to rest")

    def serving(self) -> dict[str, int]:
        """Run id -> weight in the routing table."""
        assert self.routing
        return {
            row["digest"]: row["weight"] for row in self.routing["slots"].values() if row["weight"]
        }

    def last_table(self) -> dict[str, Any]:
        """The table that follows from the stored state."""
        return routing_of(self.stored)

    def last_state(self) -> State:
        """The state of the last decision."""
        assert self.last
        assert self.last.state
        return self.last.state

    def phase(self) -> str:
        """The stored phase; a method, as it changes between two looks."""
        return self.stored.phase

    def reasons(self) -> list[str]:
        """The history's reasons."""
        return [entry.reason for entry in self.stored.history]


def serving(policy: str = "fast", first: str = "a") -> Scene:
    """A scene at rest in which one release serves."""
    scene = Scene(policy=PRESETS[policy])
    scene.want(release(first))
    scene.settle()
    assert KEY in (scene.state or {})
    assert scene.serving() == {release(first).digest: 10_000}
    return scene
