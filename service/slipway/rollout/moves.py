"""The moves of a rollout: each takes a state and gives the next one with a note. Pure.

No move looks at the world; whether it may be made now is asked before it.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from slipway.cluster.protocol import SlotName
from slipway.models.release import Release
from slipway.rollout.policy import Policy
from slipway.rollout.reasons import Reason
from slipway.rollout.state import Condition, Path, Placement, State
from slipway.rollout.verdict import Verdict

MAX_REFUSED = 50


@dataclass(frozen=True)
class Note:
    """What happened, for history and events. `release` is what it happened to."""

    reason: Reason
    message: str
    release: Release | None = None
    warning: bool = False
    actor: str = ""
    verdicts: tuple[Verdict, ...] = ()


@dataclass(frozen=True)
class Said:
    """What goes into a move's note besides: who asked and why, and what the gates said."""

    verdicts: tuple[Verdict, ...] = ()
    actor: str = ""
    why: str = ""


NOTHING = Said()


@dataclass(frozen=True)
class Move:
    """The next state and what to tell."""

    state: State
    notes: tuple[Note, ...] = ()


def other_slot(slot: SlotName | None) -> SlotName:
    """The slot that is not this one."""
    return "green" if slot == "blue" else "blue"


def named(release: Release) -> str:
    """A release as people know it."""
    return f"{release.version} ({release.label})"


def place(
    state: State, release: Release, policy: Policy, *, path: Path, replicas: int, restarts: int
) -> State:
    """A candidate for the slot that is not stable's; whatever was there loses its claim."""
    kept = state.spare.slot if state.spare and state.base is None else None
    slot = other_slot(state.base.slot) if state.base else kept or "blue"
    candidate = Placement(
        slot=slot, release=release, role="candidate", replicas=replicas, restarts=restarts
    )
    return replace(
        state,
        phase="preparing",
        spare=candidate,
        weight=0,
        step=0,
        path=path,
        paused=False,
        policy=policy,
        edges=(),
        cause=None,
    )


def to_shadow(state: State, candidate: Placement, verdicts: tuple[Verdict, ...]) -> Move:
    """Mirror requests to the candidate."""
    release = candidate.release
    note = Note("ShadowStarted", f"{named(release)} is ready and gets copies of the requests",
                release, verdicts=verdicts)  # fmt: skip
    return Move(replace(state, phase="shadow"), (note,))


def to_step(state: State, candidate: Placement, step: int, told: Said = NOTHING) -> Move:
    """Give the candidate the weight of a canary step."""
    weight = state.policy.weights[step]
    message = f"{named(candidate.release)} gets {weight / 100:g} % of the traffic{told.why}"
    note = Note("StepStarted", message, candidate.release, actor=told.actor,
                verdicts=told.verdicts)  # fmt: skip
    return Move(replace(state, phase="canary", step=step, weight=weight), (note,))


def promote(state: State, candidate: Placement, told: Said = NOTHING) -> Move:
    """All traffic to the candidate: the roles move in one write, and the old stable stays warm."""
    new, old = candidate, state.base
    message = f"{named(new.release)} is stable and gets all traffic{told.why}"
    note = Note("Promoted", message, new.release, actor=told.actor, verdicts=told.verdicts)
    promoted = replace(
        state,
        phase="promoted",
        stable=replace(new, role="stable"),
        spare=replace(old, role="warm") if old else None,
        weight=0,
        step=0,
        previous=old.release if old else state.previous,
    )
    return Move(promoted, (note,))


def abort(
    state: State,
    candidate: Placement,
    cause: Condition,
    told: Said = NOTHING,
    *,
    refuse: bool = True,
) -> Move:
    """No traffic to the candidate; its pods are kept a while for a look."""
    failed = replace(candidate, role="failed")
    note = Note(cause.reason, cause.message, failed.release, warning=True, actor=told.actor,
                verdicts=told.verdicts)  # fmt: skip
    aborted = replace(
        state, phase="aborted", spare=failed, weight=0, step=0, paused=False, cause=cause
    )
    if refuse:
        aborted = refusing(aborted, failed.release.digest)
    return Move(aborted, (note,))


def return_to_warm(
    state: State,
    sides: tuple[Placement, Placement],
    cause: Condition,
    told: Said = NOTHING,
    *,
    failed: bool,
) -> Move:
    """All traffic back to the old stable; `sides` are what it leaves, refused now, and the warm.

    Failed: a rollout ends by it.
    """
    left, back = sides
    why = Note(cause.reason, cause.message, left.release, warning=True, actor=told.actor,
               verdicts=told.verdicts)  # fmt: skip
    what = Note("ReturnToWarm", f"all traffic is back at {named(back.release)}", back.release,
                actor=told.actor)  # fmt: skip
    returned = replace(
        state,
        phase="aborted" if failed else "idle",
        stable=replace(back, role="stable"),
        spare=replace(left, role="failed" if failed else "warm"),
        weight=0,
        step=0,
        paused=False,
        cause=cause if failed else None,
        previous=left.release,
    )
    returned = replace(
        returned, refused=tuple(d for d in returned.refused if d != back.release.digest)
    )
    return Move(refusing(returned, left.release.digest), (why, what))


def cancel(state: State) -> State:
    """No candidate any more, and none is blamed."""
    return replace(
        state,
        phase="idle",
        spare=None if state.candidate else state.spare,
        weight=0,
        step=0,
        paused=False,
        cause=None,
    )


def refusing(state: State, digest: str) -> State:
    """Remember not to try this digest again."""
    others = tuple(d for d in state.refused if d != digest)
    return replace(state, refused=(*others, digest)[-MAX_REFUSED:])
