"""An abstract place in which the shipped `decide` is searched through, state by state.

Everything that can go differently is a move: a person writes a reference or a request, a router
loads a table late, pods get ready or not, a gate says anything, the controller dies after any
write, the state is lost. Epochs are renumbered and clocks capped, so that the places are finitely
many; nothing else is simplified about the decision.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import msgspec
from msgspec.structs import replace
from tests.unit.rollout.scene import START, release, verdicts

from slipway.cluster.protocol import SLOTS, Pod, SlotName, Workload
from slipway.models.release import Release
from slipway.rollout import decide as decide_module
from slipway.rollout.decide import Decision
from slipway.rollout.measures import Counts, Window
from slipway.rollout.policy import Policy, Ready, Watch
from slipway.rollout.snapshot import (
    Desired,
    Memory,
    Request,
    Resolution,
    RouterView,
    SlotView,
    Snapshot,
    Verb,
)
from slipway.rollout.state import Clock, State
from slipway.rollout.verdict import Outcome

RELEASES = {name: release(name) for name in ("a", "b", "c")}
BY_DIGEST = {found.digest: found for found in RELEASES.values()}
POLICY = Policy(
    steps=(50.0,),
    tick=1.0,
    least_intervals=1,
    ready=Ready(deadline=0.5, flaps=1),
    watch=Watch(seconds=1.0),
    keep_warm=1.0,
    keep_failed=1.0,
)
TOP = 100
# Every wait above is over after one counted second, so more of them make no difference.
MOST_SECONDS = 1.0
OUTCOMES = (Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN)
VERBS: tuple[Verb, ...] = ("abort", "rollback", "retry", "promote", "pause", "resume")


class Slot(msgspec.Struct, frozen=True):
    """A slot: the digest in its document, in its template; whether it has pods, and ready ones."""

    document: str = ""
    template: str = ""
    sized: bool = False
    ready: bool = False

    def serves(self, digest: str) -> bool:
        """Whether a ready pod of this release is there."""
        return self.sized and self.ready and self.template == digest


class Table(msgspec.Struct, frozen=True):
    """A routing table; `json` without its epoch."""

    epoch: int
    json: str

    @property
    def content(self) -> dict[str, Any]:
        """The table as a dict."""
        return _content(self.json)

    def whole(self) -> dict[str, Any]:
        """The document as `observe` reads it."""
        return {**self.content, "epoch": self.epoch}

    def weight(self, slot: str) -> int:
        """The slot's weight."""
        return int(self.content["slots"].get(slot, {}).get("weight", 0))

    def touches(self, slot: str) -> bool:
        """Whether requests go to the slot, live or mirrored."""
        shadow = self.content["shadow"]
        return self.weight(slot) > 0 or (shadow is not None and shadow["slot"] == slot)


@cache
def _content(json: str) -> dict[str, Any]:
    return cast("dict[str, Any]", msgspec.json.decode(json))


def table_of(routing: dict[str, Any]) -> Table:
    """Split a document into epoch and the rest."""
    return Table(
        routing["epoch"],
        msgspec.json.encode({**routing, "epoch": 0}, order="sorted").decode(),
    )


class Process(msgspec.Struct, frozen=True):
    """The controller's memory, and what it measures: epoch, candidate's and control's digest."""

    memory: Memory
    measuring: tuple[int, str, str] | None


class World(msgspec.Struct, frozen=True):
    """One place. `state` has no history, condition or cause: no decision reads them."""

    desired: str
    state: State | None
    routing: Table | None
    loaded: Table | None
    slots: tuple[Slot, Slot]
    process: Process | None

    def slot(self, name: SlotName) -> Slot:
        """A slot by name."""
        return self.slots[SLOTS.index(name)]

    def with_slot(self, name: SlotName, slot: Slot) -> World:
        """With another slot."""
        at = SLOTS.index(name)
        slots = (slot, self.slots[1]) if at == 0 else (self.slots[0], slot)
        return replace(self, slots=slots)


@dataclass(frozen=True)
class Step:
    """One move and where it leads. A tick has its decision, and what was said and asked in it.

    `cost` counts disturbances: a person writes or asks, pods stop being ready, the controller dies,
    the router does not answer (`heard` is False).
    """

    name: str
    after: World
    decision: Decision | None = None
    outcome: Outcome | None = None
    request: Verb | None = None
    cost: int = 0
    heard: bool = True


def start() -> World:
    """A serves in blue, and all is quiet."""
    world = World("a", None, None, None, (Slot(), Slot()), None)
    for _ in range(12):
        world = quiet(followed(world), Outcome.PASS).after
    return followed(world)


def moves(world: World, budget: int) -> Iterator[Step]:
    """Everything that can happen next, with as many disturbances as are left."""
    yield from ticks(world, budget)
    yield from _disturbances(world) if budget else ()
    if world.routing and world.loaded != world.routing:
        yield Step("router loads", loads(world))
    for name in SLOTS:
        slot = world.slot(name)
        if slot.sized and not slot.ready:
            ready = replace(slot, ready=True)
            yield Step(f"{name} gets ready", world.with_slot(name, ready))


def _disturbances(world: World) -> Iterator[Step]:
    for name in RELEASES:
        if name != world.desired:
            yield Step(f"want {name}", replace(world, desired=name), cost=1)
    for slot_name in SLOTS:
        slot = world.slot(slot_name)
        if slot.ready:
            lost = replace(slot, ready=False)
            yield Step(f"{slot_name} not ready", world.with_slot(slot_name, lost), cost=1)
    if world.process:
        yield Step("controller dies", replace(world, process=None), cost=1)
    if world.state:
        yield Step("state lost", canonical(replace(world, state=None)), cost=1)


def loads(world: World) -> World:
    """The router takes the table that is written."""
    return replace(world, loaded=world.routing)


def ticks(world: World, budget: int) -> Iterator[Step]:
    """The controller's tick with each verdict and request that can be, cut after each write.

    A request that was not recorded because the controller died is one that is asked again.
    """
    outcomes = OUTCOMES if world.process and world.process.measuring else OUTCOMES[:1]
    for outcome in outcomes:
        for request in (None, *VERBS) if budget else (None,):
            asked = 1 if request else 0
            decision = decided(world, outcome, request)
            worlds = applied(world, decision)
            name = f"tick {outcome} {request or ''}"
            for count, after in enumerate(worlds[1:], 1) if budget > asked else ():
                cut = canonical(replace(after, process=None))
                died = f"{name} dies after {count}"
                yield Step(died, cut, decision, outcome, request, asked + 1)
            whole = ended(worlds[-1], decision)
            yield Step(name, whole, decision, outcome, request, asked)
        if budget:
            decision = decided(world, outcome, heard=False)
            whole = ended(applied(world, decision)[-1], decision)
            yield Step(f"tick {outcome} unheard", whole, decision, outcome, cost=1, heard=False)


def decided(
    world: World, outcome: Outcome, request: Verb | None = None, *, heard: bool = True
) -> Decision:
    """What the shipped function says about this place."""
    return decide_module.decide(snapshot(world, outcome, request, heard=heard), POLICY)


def ended(world: World, decision: Decision) -> World:
    """The process lives on with its memory; a request that was answered is out of the way."""
    measure = decision.measure
    measuring = None
    if measure:
        measuring = (
            measure.epoch,
            measure.candidate.release.digest,
            measure.control.release.digest,
        )
    process = Process(decision.memory, measuring)
    return canonical(replace(world, process=process))


def applied(world: World, decision: Decision) -> list[World]:
    """The places after no write, after the first, and so on."""
    worlds = [world]
    if decision.state is not None and decision.write:
        world = replace(world, state=bare(decision.state))
        worlds.append(world)
    if decision.routing is not None:
        world = replace(world, routing=table_of(decision.routing))
        worlds.append(world)
    for fill in decision.fills:
        slot = world.slot(fill.slot)
        if fill.filling:
            # The document is written before the template.
            slot = replace(slot, document=fill.filling.digest)
            worlds.append(world.with_slot(fill.slot, slot))
            slot = replace(slot, template=fill.filling.digest, ready=False)
        if fill.replicas is not None:
            sized = fill.replicas > 0
            slot = replace(slot, sized=sized, ready=slot.ready and sized)
        world = world.with_slot(fill.slot, slot)
        worlds.append(world)
    return worlds


def bare(state: State) -> State:
    """Without what is only told."""
    return replace(state, history=(), condition=None, cause=None, edges=())


def quiet(world: World, outcome: Outcome) -> Step:
    """A tick while nobody does anything, in a place that has followed the tick before."""
    decision = decided(world, outcome)
    return Step("quiet", ended(applied(world, decision)[-1], decision), decision, outcome)


def followed(world: World) -> World:
    """Pods get ready and routers load."""
    for name in SLOTS:
        slot = world.slot(name)
        if slot.sized and not slot.ready:
            world = world.with_slot(name, replace(slot, ready=True))
    return canonical(loads(world)) if world.routing else world


def snapshot(
    world: World, outcome: Outcome, request: Verb | None = None, *, heard: bool = True
) -> Snapshot:
    """The place as `observe` would see it."""
    wanted = RELEASES[world.desired]
    desired = Desired(wanted.reference, world.desired)
    measuring = world.process.measuring if world.process else None
    window = None
    if measuring:
        counts = Counts(10, 0, 10, 0)
        window = Window(*measuring, seconds=60.0, looks=100, counts=counts)
    return Snapshot(
        now=START,
        elapsed=1.0,
        stored=world.state,
        memory=world.process.memory if world.process else None,
        desired=desired,
        resolution=Resolution(world.desired, release=wanted),
        slots={name: _view(world.slot(name)) for name in SLOTS},
        routers=(RouterView("router", _loaded(world) if heard else None),),
        routing=world.routing.whole() if world.routing else None,
        request=Request("now", request) if request else None,
        window=window,
        verdicts=_said(outcome),
    )


def _loaded(world: World) -> int:
    return world.loaded.epoch if world.loaded else 0


@cache
def _said(outcome: Outcome) -> tuple[Any, ...]:
    return verdicts(outcome, "errors", gates=("errors",))


@cache
def _view(slot: Slot) -> SlotView:
    found: Release | None = BY_DIGEST.get(slot.document)
    pods = (Pod("pod", "", "", slot.template, slot.ready),) if slot.sized else ()
    return SlotView(found, Workload(len(pods), slot.template, pods=pods))


def canonical(world: World) -> World:
    """Epochs by rank, clocks capped, what no rule reads left out: no decision can tell."""
    epochs = {t.epoch for t in (world.routing, world.loaded) if t}
    if world.state:
        epochs.add(world.state.epoch)
    measuring = world.process.measuring if world.process else None
    if measuring:
        epochs.add(measuring[0])
    rank = {e: TOP - n for n, e in enumerate(sorted(epochs, reverse=True))}
    state = world.state
    if state:
        state = replace(
            state,
            epoch=rank[state.epoch],
            answered=None,
            clock=_capped(state.clock, state),
            refused=tuple(sorted(state.refused)),
        )
    process = world.process
    if process:
        memory = replace(
            process.memory,
            clock=_capped(process.memory.clock, state),
            unready=min(process.memory.unready, MOST_SECONDS),
            flaps=min(process.memory.flaps, 1),
        )
        process = Process(memory, (rank[measuring[0]], *measuring[1:]) if measuring else None)
    return replace(
        world,
        state=state,
        process=process,
        routing=_ranked(world.routing, rank),
        loaded=_ranked(world.loaded, rank),
    )


def _capped(clock: Clock, state: State | None) -> Clock:
    """A clock that nothing waits for stands at 0."""
    waits = state is not None and state.phase in ("preparing", "promoted")
    kept = state is not None and state.spare is not None and not state.candidate
    return Clock(
        min(clock.phase, MOST_SECONDS) if waits else 0.0,
        min(clock.spare, MOST_SECONDS) if kept else 0.0,
    )


def _ranked(table: Table | None, rank: dict[int, int]) -> Table | None:
    return Table(rank[table.epoch], table.json) if table else None


def key(world: World) -> tuple[object, ...]:
    """A hashable name of the place."""
    state = world.state
    told: tuple[object, ...] = ()
    if state:
        told = (
            state.phase, state.epoch, _placed(state.stable), _placed(state.spare), state.weight,
            state.step, state.path, state.paused, state.waiting,
            state.desired and (state.desired.mark, state.desired.digest), state.refused,
            state.previous and state.previous.digest, state.clock.phase, state.clock.spare,
        )  # fmt: skip
    return (
        world.desired, told, world.routing, world.loaded, world.slots, world.process,
    )  # fmt: skip


def _placed(placement: Any) -> tuple[object, ...]:
    if placement is None:
        return ()
    return placement.slot, placement.release.digest, placement.role, placement.replicas
