"""How each phase goes on by itself: UNKNOWN holds, FAIL ends it, PASS moves on. Pure."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from slipway.rollout.gates import expected_seconds
from slipway.rollout.moves import (
    Move,
    Note,
    Said,
    abort,
    cancel,
    named,
    promote,
    return_to_warm,
    to_shadow,
    to_step,
)
from slipway.rollout.plan import watched
from slipway.rollout.readiness import serving, why_not_ready
from slipway.rollout.reasons import reason_of_pod
from slipway.rollout.situation import Situation
from slipway.rollout.state import Condition, Phase, Placement
from slipway.rollout.verdict import Outcome


def lost_traffic(situation: Situation) -> Move | None:
    """No pod of a release that has traffic is ready, while the other side has some: leave it.

    Where the other side has none either, the place is at fault and nothing is gained by moving.
    """
    state, snapshot = situation.state, situation.snapshot
    told = Said(situation.judged)
    if state.candidate and state.weight:
        if serving(snapshot, state.candidate) or not serving(snapshot, state.base):
            return None
        cause = _not_ready(situation, state.candidate, "none of its pods is ready any more")
        return abort(state, state.candidate, cause, told)
    sides = watched(state)
    if sides and serving(snapshot, sides[1]) and not serving(snapshot, sides[0]):
        cause = _not_ready(situation, sides[0], "none of its pods is ready any more")
        return return_to_warm(state, sides, cause, told, failed=True)
    return None


def go_on(situation: Situation) -> Move | None:
    """The present phase's own next move, None while it holds."""
    rule = _RULES.get(situation.state.phase)
    return rule(situation) if rule else None


def _idle(situation: Situation) -> Move | None:
    if not situation.pending:
        return None
    note = Note("Resolving", f"resolving {situation.snapshot.desired.reference}")
    return Move(replace(situation.state, phase="resolving", cause=None), (note,))


def _resolving(situation: Situation) -> Move | None:
    # What it led to was taken up before this rule: so it led nowhere, or nothing is wanted.
    if situation.pending:
        return None
    desired, found = situation.snapshot.desired, situation.snapshot.resolution
    problem = desired.problem or (found.dead_end if found else None)
    note = Note("AlreadyServing", "nothing new is wanted")
    if problem:
        note = Note(problem.reason, problem.message, warning=True)
    return Move(replace(situation.state, phase="idle"), (note,))


def _preparing(situation: Situation) -> Move | None:
    state, candidate = situation.state, situation.state.candidate
    if candidate is None or situation.ready is None:
        return Move(cancel(state))
    outcome = situation.ready.outcome
    if outcome is Outcome.PASS:
        return _first_step(situation, candidate) if _may_advance(situation) else None
    # Without a stable there is nothing to go back to; it may still come up.
    if state.base is None:
        return None
    if outcome is Outcome.FAIL:
        cause = _not_ready(situation, candidate, situation.ready.sentence)
        return abort(state, candidate, cause, Said(situation.judged))
    return _late(situation, candidate, situation.memory.clock.phase)


def _first_step(situation: Situation, candidate: Placement) -> Move:
    state, told = situation.state, Said(situation.judged)
    if state.base is None or state.path == "direct":
        return promote(state, candidate, told)
    if state.policy.shadow.enabled:
        return to_shadow(state, candidate, situation.judged)
    if state.policy.steps:
        return to_step(state, candidate, 0, told)
    return promote(state, candidate, told)


def _measured(situation: Situation) -> Move | None:
    """Shadow and canary steps."""
    state, candidate = situation.state, situation.state.candidate
    if candidate is None or state.base is None:
        return Move(cancel(state))
    if situation.frozen:
        return None
    if situation.failing:
        cause = _failed(situation, candidate)
        return abort(state, candidate, cause, Said(situation.judged))
    return (
        _late(situation, candidate, situation.memory.unready)
        or _advance(situation, candidate)
        or _out_of_time(situation, candidate)
    )


def _advance(situation: Situation, candidate: Placement) -> Move | None:
    state, window = situation.state, situation.snapshot.window
    long = window is not None and window.looks >= state.policy.least_intervals
    if not (situation.passing and _may_advance(situation) and state.policy.auto and long):
        return None
    return next_step(situation, candidate, Said(situation.judged))


def next_step(
    situation: Situation, candidate: Placement, told: Said, *, full: bool = False
) -> Move:
    """The next canary step, or all traffic after the last one."""
    state, window = situation.state, situation.snapshot.window
    step = state.step + 1 if state.phase == "canary" else 0
    if state.phase == "shadow" and window and window.epoch == state.epoch and window.quantiles:
        # Stable's quantiles of the shadow are the canary's edges, whoever restarts meanwhile.
        state = replace(state, edges=window.quantiles)
    if full or step >= len(state.policy.steps):
        return promote(state, candidate, told)
    return to_step(state, candidate, step, told)


def _promoted(situation: Situation) -> Move | None:
    state, sides = situation.state, watched(situation.state)
    if sides is None:
        return finish_watch(situation) if situation.acked else None
    if situation.frozen:
        return None
    if situation.failing and serving(situation.snapshot, sides[1]):
        cause = _failed(situation, sides[0])
        return return_to_warm(state, sides, cause, Said(situation.judged), failed=True)
    over = situation.memory.clock.phase >= state.policy.watch.seconds
    return finish_watch(situation) if over and situation.acked and not state.paused else None


def finish_watch(situation: Situation, *, actor: str = "") -> Move:
    """The rollout is over."""
    state = situation.state
    sides = watched(state)
    message = f"the watch over {named(sides[0].release)} is over" if sides else "rolled out"
    note = Note("WatchEnded", message, state.base.release if state.base else None, actor=actor,
                verdicts=situation.verdicts)  # fmt: skip
    return Move(replace(state, phase="idle", paused=False), (note,))


def release_spare(situation: Situation) -> Move | None:
    """A warm or failed release has been kept for long enough: its slot holds nothing then."""
    state, kept = situation.state, situation.memory.clock.spare
    if state.phase == "promoted" or state.spare is None:
        return None
    release = state.spare.release
    if state.warm and kept >= state.policy.keep_warm:
        note = Note("WarmReleased", f"{named(release)} is no longer kept warm", release)
    elif state.spare.role == "failed" and kept >= state.policy.keep_failed:
        note = Note("FailedReleased", f"the pods of {named(release)} are no longer kept", release)
    else:
        return None
    return Move(replace(state, spare=None), (note,))


def _may_advance(situation: Situation) -> bool:
    return situation.acked and not situation.state.paused and not situation.pending


def _not_ready(situation: Situation, placement: Placement, message: str) -> Condition:
    why = why_not_ready(situation.snapshot, placement)
    told = f"{named(placement.release)} is not ready: {message}"
    if why and why not in message:
        told = f"{told} ({why})"
    return Condition(reason_of_pod(why), told[:500])


def _failed(situation: Situation, placement: Placement) -> Condition:
    first = situation.failing[0]
    if first.gate == "ready":
        return _not_ready(situation, placement, first.sentence)
    told = "; ".join(f"{v.gate}: {v.sentence}" for v in situation.failing)
    return Condition("GateFailed", told[:500])


def _late(situation: Situation, candidate: Placement, seconds: float) -> Move | None:
    """Not ready for longer than the policy allows; time in which it was paused does not count."""
    limit = situation.state.policy.ready.deadline
    if seconds <= limit or situation.state.paused:
        return None
    cause = _not_ready(situation, candidate, f"not within {limit:g} s")
    return abort(situation.state, candidate, cause, Said(situation.judged))


def _out_of_time(situation: Situation, candidate: Placement) -> Move | None:
    state = situation.state
    policy, window = state.policy, situation.snapshot.window
    if policy.on_deadline != "abort" or state.paused or situation.passing:
        return None
    expected = expected_seconds(situation.verdicts, window) or 0.0
    limit = max(policy.deadline, policy.deadline_factor * expected)
    if situation.memory.clock.phase <= limit:
        return None
    message = f"no verdict on {named(candidate.release)} within {limit:.0f} s"
    cause = Condition("InsufficientData", message)
    return abort(state, candidate, cause, Said(situation.judged), refuse=False)


_RULES: dict[Phase, Callable[[Situation], Move | None]] = {
    "idle": _idle,
    "aborted": _idle,
    "resolving": _resolving,
    "preparing": _preparing,
    "shadow": _measured,
    "canary": _measured,
    "promoted": _promoted,
}
