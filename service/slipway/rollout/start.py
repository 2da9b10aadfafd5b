"""What a change of the desired version begins: a rollout, a return, or only a note. Pure."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from slipway.models.release import Release
from slipway.rollout.inputs import input_changes
from slipway.rollout.moves import Move, Note, cancel, named, other_slot, place, refusing
from slipway.rollout.policy import Policy
from slipway.rollout.readiness import live_replicas, restarts
from slipway.rollout.situation import Situation
from slipway.rollout.snapshot import Snapshot
from slipway.rollout.state import Accepted, Condition, Path, Placement, State

# Three locks, the history and the rest must fit into 64 KiB.
MAX_LOCK = 12 * 1024


def take_up(situation: Situation) -> Move | None:
    """Act on what the desired reference led to, if that is new."""
    release = _news(situation)
    if release is None:
        return None
    state, snapshot = situation.state, situation.snapshot
    desired = snapshot.desired
    written = state.desired is None or state.desired.mark != desired.mark
    accepted = replace(
        state,
        desired=Accepted(desired.reference, desired.mark, release.digest),
        refused=() if written and state.desired else state.refused,
    )
    if not snapshot.web:
        return _without_web(accepted, release)
    if state.base and release.digest == state.base.release.digest:
        return _already_there(accepted, release)
    if state.candidate and release.digest == state.candidate.release.digest:
        return Move(accepted)
    if problem := _unfit(accepted, release, situation.policy):
        return _turned_down(accepted, release, problem)
    back = state.warm is not None and state.warm.release.digest == release.digest
    policy = situation.policy or (state.policy if back else None)
    return _begin(situation.snapshot, accepted, release, policy) if policy else None


def _news(situation: Situation) -> Release | None:
    state, desired, found = (
        situation.state,
        situation.snapshot.desired,
        situation.snapshot.resolution,
    )
    if not desired.reference or desired.problem or found is None or found.mark != desired.mark:
        return None
    if found.release is None:
        return None
    known = state.desired
    if known and (known.mark, known.digest) == (desired.mark, found.release.digest):
        return None
    waits = waits_for_watch(situation, found.release)
    return None if waits else found.release


def waits_for_watch(situation: Situation, release: Release) -> bool:
    """Whether a third version has to wait: the warm one is the way back until the watch is over."""
    state = situation.state
    known = {p.release.digest for p in (state.base, state.warm) if p}
    return state.phase == "promoted" and state.warm is not None and release.digest not in known


def _without_web(state: State, release: Release) -> Move:
    stable = Placement(slot=None, release=release, role="stable")
    note = Note("Promoted", f"{named(release)} is promoted; nothing serves the web, so nothing "
                "was compared", release)  # fmt: skip
    previous = state.stable.release if state.stable else state.previous
    return Move(replace(cancel(state), stable=stable, spare=None, previous=previous), (note,))


def _already_there(state: State, release: Release) -> Move:
    if state.phase == "promoted":
        return Move(state)
    notes = [Note("AlreadyServing", f"{named(release)} is stable already", release)]
    if state.candidate:
        notes.insert(0, _superseded(state.candidate.release, release))
    return Move(cancel(state), tuple(notes))


def _superseded(old: Release, new: Release) -> Note:
    return Note("Superseded", f"{named(old)} gives way to {named(new)}", old)


def _unfit(state: State, release: Release, policy: Policy | None) -> Condition | None:
    """Why this release cannot even be tried."""
    if release.digest in state.refused:
        return Condition(
            "Refused",
            f"{named(release)} was stopped or left before; write the reference again, or `retry`",
        )
    if len(msgspec.json.encode(release)) > MAX_LOCK:
        return Condition(
            "InvalidConfig", f"the release lock of {named(release)} is over {MAX_LOCK} bytes"
        )
    warm = state.warm is not None and state.warm.release.digest == release.digest
    if state.base and policy and not policy.allow_input_change and not warm:
        changes = input_changes(state.base.release, release)
        if changes:
            return Condition("SchemaMismatch", f"the input of {named(release)}: {changes}"[:500])
    return None


def _turned_down(state: State, release: Release, problem: Condition) -> Move:
    notes = [Note(problem.reason, problem.message, release, warning=True)]
    if state.candidate:
        notes.insert(0, _superseded(state.candidate.release, release))
    # In the watch the phase stays: what was promoted is not concerned.
    stopped = state if state.phase == "promoted" else replace(cancel(state), phase="aborted")
    if problem.reason != "Refused":
        stopped = refusing(stopped, release.digest)
    return Move(replace(stopped, cause=problem), tuple(notes))


def _begin(snapshot: Snapshot, state: State, release: Release, policy: Policy) -> Move:
    back = state.warm is not None and state.warm.release.digest == release.digest
    path: Path = "direct" if back or state.base is None else "gated"
    slot = other_slot(state.base.slot) if state.base else None
    started = place(
        state,
        release,
        policy,
        path=path,
        replicas=live_replicas(snapshot, state),
        restarts=restarts(snapshot, slot, release.digest),
    )
    words = "comes back" if back else "is prepared"
    notes = [Note("ReturnToWarm" if back else "Started", f"{named(release)} {words}", release)]
    if state.candidate:
        notes.insert(0, _superseded(state.candidate.release, release))
    return Move(started, tuple(notes))
