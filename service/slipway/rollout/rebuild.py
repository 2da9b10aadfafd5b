"""The state as it was stored, or rebuilt from what the slots and the routing table show. Pure.

A slot that gets traffic stays stable; what is lost is the history and a candidate.
"""

from __future__ import annotations

from dataclasses import dataclass

from slipway.cluster.protocol import SLOTS, SlotName
from slipway.models.release import Release
from slipway.rollout.moves import Note, named, other_slot
from slipway.rollout.plan import seen_epoch
from slipway.rollout.policy import Policy
from slipway.rollout.snapshot import Newer, Problem, Snapshot
from slipway.rollout.state import Answered, Placement, State


@dataclass(frozen=True)
class Recalled:
    """The state to go on from. `problem` forbids to act, `rebuilt` says that nothing was stored."""

    state: State
    notes: tuple[Note, ...] = ()
    rebuilt: bool = False
    problem: Problem | None = None


def recall(snapshot: Snapshot, policy: Policy | None) -> Recalled:
    """The stored state; where there is none that can be read, one made from what is seen."""
    stored = snapshot.stored
    if isinstance(stored, State):
        return Recalled(stored)
    if isinstance(stored, Newer):
        message = (
            f"the stored state has the newer schema {stored.schema}; nothing is done until this "
            "controller is updated"
        )
        return Recalled(State(), problem=Problem("NewerState", message))
    return _rebuilt(snapshot, policy or Policy())


def _rebuilt(snapshot: Snapshot, policy: Policy) -> Recalled:
    table = _Table(snapshot)
    slot = table.stable()
    if slot is not None and table.release(slot) is None:
        message = (
            f"the state is lost and the document of slot {slot}, which has the traffic, does not "
            "say what it runs; nothing is done until one of them is restored"
        )
        return Recalled(State(), problem=Problem("InvalidConfig", message))
    if slot is None:
        slot = _readiest(snapshot) if snapshot.routing is None else None
    stable = _placed(slot, snapshot, "stable")
    spare = None
    if slot is not None and table.role(other_slot(slot)) == "warm":
        spare = _placed(other_slot(slot), snapshot, "warm")
    request = snapshot.request
    state = State(
        epoch=seen_epoch(snapshot),
        stable=stable,
        spare=spare,
        policy=policy,
        # Whether it was done is not known any more, and doing it twice is worse than asking twice.
        answered=_unknown(request.id) if request else None,
    )
    known = isinstance(snapshot.stored, Problem) or stable is not None
    told = f"{named(stable.release)} in slot {slot} is stable" if stable else "nothing is serving"
    why = "unreadable" if isinstance(snapshot.stored, Problem) else "gone"
    note = Note("Rebuilt", f"the state was {why} and is rebuilt: {told}; the history is lost",
                stable.release if stable else None, warning=True)  # fmt: skip
    return Recalled(state, (note,) if known else (), rebuilt=True)


def _unknown(request: str) -> Answered:
    return Answered(request, "", accepted=False, message="the state was rebuilt; ask again")


class _Table:
    """The routing document, read with suspicion."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        slots = (snapshot.routing or {}).get("slots")
        self._slots = slots if isinstance(slots, dict) else {}

    def _member(self, slot: str, name: str) -> object:
        row = self._slots.get(slot)
        return row.get(name) if isinstance(row, dict) else None

    def role(self, slot: str) -> object:
        """The role that the table names."""
        return self._member(slot, "role")

    def stable(self) -> SlotName | None:
        """The slot that the table calls stable, else the one with the larger weight.

        A late step gives the candidate more weight than stable, and it is a candidate still.
        """
        weights = {slot: self._weight(slot) for slot in SLOTS}
        called = [s for s in SLOTS if self.role(s) == "stable" and weights[s] > 0]
        heaviest = max(SLOTS, key=weights.__getitem__)
        return called[0] if called else heaviest if weights[heaviest] > 0 else None

    def _weight(self, slot: str) -> float:
        weight = self._member(slot, "weight")
        return weight if isinstance(weight, int | float) and weight > 0 else 0.0

    def release(self, slot: SlotName) -> Release | None:
        """What the slot's document names, if it is what the table sends traffic to."""
        view = self._snapshot.slots.get(slot)
        release = view.release if view else None
        return release if release and release.digest == self._member(slot, "digest") else None


def _placed(slot: SlotName | None, snapshot: Snapshot, role: str) -> Placement | None:
    view = snapshot.slots.get(slot) if slot else None
    if view is None or view.release is None:
        return None
    return Placement(slot=slot, release=view.release, role="stable" if role == "stable" else "warm")


def _readiest(snapshot: Snapshot) -> SlotName | None:
    """The filled slot with the most ready pods, for a place without a routing table."""

    def ready(slot: SlotName) -> int:
        view = snapshot.slots.get(slot)
        if view is None or view.release is None or view.workload is None:
            return 0
        digest = view.release.digest
        return sum(pod.ready and pod.digest == digest for pod in view.workload.pods)

    best = max(SLOTS, key=ready)
    return best if ready(best) else None
