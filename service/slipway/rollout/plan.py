"""What follows from a state: the routing table, the slots' fillings and sizes, the window. Pure.

All of it is derived anew in each tick, so a crash after any write is made good by the next tick.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipway.cluster.protocol import SLOTS, Filling, SlotName
from slipway.models.reference import is_moving, parse_reference
from slipway.models.release import Release
from slipway.rollout.policy import WHOLE, of_whole
from slipway.rollout.snapshot import Desired, Snapshot
from slipway.rollout.state import Placement, State

ROUTING_SCHEMA = 1
_TABLED = ("shadow", "canary")


@dataclass(frozen=True)
class Fill:
    """One slot's change; None leaves the filling or the size as it is."""

    slot: SlotName
    filling: Filling | None = None
    replicas: int | None = None


@dataclass(frozen=True)
class Measure:
    """What to measure now, and how; when any of it changes, the counts begin anew."""

    epoch: int
    candidate: Placement
    control: Placement
    # Each request is answered by both sides: shadow, and the watch after promotion.
    mirrored: bool
    interval: float
    settle: float
    key_cap: int
    edges: tuple[float, ...]
    # Answers that differ by more are counted, for people.
    tolerance: float = math.inf


def watched(state: State) -> tuple[Placement, Placement] | None:
    """The promoted release and the warm one that is still its control, None if none is."""
    if state.phase != "promoted" or state.path != "gated" or state.policy.watch.seconds <= 0:
        return None
    return (state.base, state.warm) if state.base and state.warm else None


def routing_of(state: State) -> dict[str, Any]:
    """The routing table as the plain JSON of the contract; its weights add up to 10,000 or 0."""
    slots: dict[str, dict[str, Any]] = {}
    candidate = state.candidate if state.phase in _TABLED else None
    weight = state.weight if candidate else 0
    if state.base:
        slots[str(state.base.slot)] = _row(state.base, WHOLE - weight)
        for other in (candidate, state.warm):
            if other:
                slots[str(other.slot)] = _row(other, weight)
    policy = state.policy
    return {
        "schema": ROUTING_SCHEMA,
        "epoch": state.epoch,
        "waiting": state.waiting,
        "slots": slots,
        "shadow": _shadow(state),
        "sample": of_whole(policy.sample),
        "timeouts": {"candidate": policy.timeouts.candidate, "total": policy.timeouts.total},
        "force_role": policy.force_role,
    }


def _row(placement: Placement, weight: int) -> dict[str, Any]:
    return {"role": placement.role, "digest": placement.release.digest, "weight": weight}


def _shadow(state: State) -> dict[str, Any] | None:
    if state.base and state.phase == "shadow" and state.candidate:
        return {"slot": state.candidate.slot, "share": of_whole(state.policy.shadow.share)}
    sides = watched(state)
    if sides:
        return {"slot": sides[1].slot, "share": of_whole(state.policy.watch.share)}
    return None


def filling_of(release: Release) -> Filling:
    """What a slot's document and template say for this release."""
    return Filling(
        lock=release.to_json().decode(),
        run_id=release.run_id or "",
        uri=release.uri,
        digest=release.digest,
    )


def fills_of(state: State, snapshot: Snapshot, acked: bool) -> tuple[Fill, ...]:
    """The slots that are not as the state wants them, and may be touched now.

    A slot is changed only while it has no weight and no mirror in a table that every serving
    router has loaded (`acked`): only a candidate that is being prepared, and an empty slot.
    """
    if not snapshot.web:
        return ()
    found = [_restored(state, snapshot)]
    if acked:
        held = {p.slot: p for p in (state.base, state.spare) if p}
        for slot in SLOTS:
            placement = held.get(slot)
            if placement is None:
                found.append(_emptied(slot, snapshot))
            elif placement.role == "candidate" and state.phase == "preparing":
                found.append(_prepared(slot, placement, snapshot))
    return tuple(fill for fill in found if fill)


def _prepared(slot: SlotName, candidate: Placement, snapshot: Snapshot) -> Fill | None:
    view = snapshot.slots.get(slot)
    if view is None or view.workload is None:
        return None
    digest = candidate.release.digest
    written = view.release is not None and view.release.digest == digest
    filling = None if written and view.workload.digest == digest else filling_of(candidate.release)
    size = candidate.replicas if view.workload.replicas != candidate.replicas else None
    return Fill(slot, filling, size) if filling or size is not None else None


def _emptied(slot: SlotName, snapshot: Snapshot) -> Fill | None:
    view = snapshot.slots.get(slot)
    idle = view is None or view.workload is None or view.workload.replicas == 0
    return None if idle else Fill(slot, None, 0)


def _restored(state: State, snapshot: Snapshot) -> Fill | None:
    """Stable's slot made anew, as after a new install: no pod of it is there to be disturbed."""
    if state.base is None or state.base.slot is None:
        return None
    view = snapshot.slots.get(state.base.slot)
    digest = state.base.release.digest
    if view is None or view.workload is None or view.workload.digest == digest:
        return None
    if any(pod.digest == digest for pod in view.workload.pods):
        return None
    size = state.policy.replicas if view.workload.replicas == 0 else None
    return Fill(state.base.slot, filling_of(state.base.release), size)


def acked_by_all(epoch: int, snapshot: Snapshot) -> bool:
    """Whether every router that is in the Service has loaded exactly this table."""
    return all(router.loaded_epoch == epoch for router in snapshot.routers)


def behind(epoch: int, snapshot: Snapshot) -> tuple[str, ...]:
    """The routers that say that they have loaded another table; one that is silent says nothing.

    Silence holds every rise and every filling (see acked_by_all). It does not end a measurement:
    what a router counted comes with the table that it counted for, and an interval in which that
    could not be had is dropped for both sides and counted as dropped (GATES 6).
    """
    return tuple(r.name for r in snapshot.routers if r.loaded_epoch not in (None, epoch))


def seen_epoch(snapshot: Snapshot) -> int:
    """The highest epoch in the routing document and in the routers."""
    written = (snapshot.routing or {}).get("epoch")
    loaded = [router.loaded_epoch or 0 for router in snapshot.routers]
    return max([written if isinstance(written, int) else 0, *loaded])


def measure_of(state: State) -> Measure | None:
    """What to measure in this state, None if there is nothing to compare."""
    sides = watched(state)
    if state.phase in _TABLED and state.candidate and state.base:
        sides = state.candidate, state.base
    if sides is None:
        return None
    gates = state.policy.gates
    return Measure(
        epoch=state.epoch,
        candidate=sides[0],
        control=sides[1],
        mirrored=state.phase != "canary",
        interval=state.policy.interval,
        settle=gates.latency.settle,
        key_cap=gates.key_cap,
        edges=state.edges or tuple(sides[1].release.buckets),
        tolerance=gates.tolerance,
    )


def wants_resolution(state: State | None, desired: Desired) -> bool:
    """Whether the desired reference is to be resolved: it is new, or it may move."""
    if not desired.reference or desired.problem:
        return False
    accepted = state.desired if state else None
    return (
        accepted is None
        or accepted.mark != desired.mark
        or is_moving(parse_reference(desired.reference))
    )


def same_table(one: Mapping[str, Any], other: Mapping[str, Any] | None) -> bool:
    """Whether two tables say the same, but for their epoch."""
    return other is not None and {**one, "epoch": 0} == {**other, "epoch": 0}
