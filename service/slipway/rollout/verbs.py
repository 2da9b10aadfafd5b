"""The verbs of the control document: each is done once, or refused with a sentence. Pure."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from slipway.rollout.gates import missing
from slipway.rollout.moves import (
    Move,
    Note,
    Said,
    abort,
    named,
    other_slot,
    place,
    return_to_warm,
)
from slipway.rollout.phases import finish_watch, next_step
from slipway.rollout.readiness import live_replicas, restarts, serving
from slipway.rollout.reasons import Reason
from slipway.rollout.situation import Situation
from slipway.rollout.snapshot import BadRequest, Request
from slipway.rollout.state import Answered, Condition, Placement, State
from slipway.rollout.verdict import Outcome


class _Refusal(Exception):
    """The verb cannot be done now; the message says why and what can be done."""


def answer_request(situation: Situation) -> Move | None:
    """Do the control document's verb if it is a new one; its id is recorded in the same state."""
    request, state = situation.snapshot.request, situation.state
    if request is None or (state.answered and state.answered.id == request.id):
        return None
    if isinstance(request, BadRequest):
        return _refused(situation, request.id, "", request.message, "")
    try:
        _check_expectation(situation, request)
        move = VERBS[request.verb](situation, request)
    except _Refusal as refusal:
        return _refused(situation, request.id, request.verb, str(refusal), request.actor)
    told = move.notes[0].message if move.notes else ""
    done = Answered(request.id, request.verb, accepted=True, message=told)
    return Move(replace(move.state, answered=done), move.notes)


def _refused(situation: Situation, key: str, verb: str, message: str, actor: str) -> Move:
    done = Answered(key, verb, accepted=False, message=message)
    note = Note("RequestRefused", f"{verb or 'request'} refused: {message}", warning=True,
                actor=actor)  # fmt: skip
    return Move(replace(situation.state, answered=done), (note,))


def _check_expectation(situation: Situation, request: Request) -> None:
    state = situation.state
    if request.phase and request.phase != state.phase:
        raise _Refusal(
            f"you saw the phase {request.phase}, it is {state.phase} now; look at the status again"
        )
    digest = state.subject.release.digest if state.subject else ""
    if request.digest and request.digest != digest:
        raise _Refusal("it is about another release by now; look at the status again")


def _said(request: Request, what: str) -> str:
    by = f" by {request.actor}" if request.actor else ""
    why = f": {request.reason}" if request.reason else ""
    return f"{what}{by}{why}"


def _pause(situation: Situation, request: Request) -> Move:
    state = situation.state
    if state.paused:
        raise _Refusal("it is paused already")
    if state.phase not in ("preparing", "shadow", "canary", "promoted"):
        raise _Refusal("nothing is rolling out")
    note = Note("Paused", _said(request, "paused"), actor=request.actor)
    return Move(replace(state, paused=True), (note,))


def _resume(situation: Situation, request: Request) -> Move:
    if not situation.state.paused:
        raise _Refusal("it is not paused")
    note = Note("Resumed", _said(request, "resumed"), actor=request.actor)
    return Move(replace(situation.state, paused=False), (note,))


def _abort(situation: Situation, request: Request) -> Move:
    state = situation.state
    if state.candidate:
        return _stop(situation, state.candidate, request, "Aborted")
    if state.phase == "promoted" and state.base and state.warm:
        if not serving(situation.snapshot, state.warm):
            raise _Refusal("no pod of the warm version is ready; `rollback` brings it up first")
        return _back(state, (state.base, state.warm), request, "Aborted")
    raise _Refusal("nothing is rolling out; `rollback` goes back to the version before")


def _stop(situation: Situation, candidate: Placement, request: Request, reason: Reason) -> Move:
    cause = Condition(reason, _said(request, f"{named(candidate.release)} stopped"))
    told = Said(situation.judged, request.actor)
    return abort(situation.state, candidate, cause, told)


def _back(
    state: State, sides: tuple[Placement, Placement], request: Request, reason: Reason
) -> Move:
    cause = Condition(reason, _said(request, f"{named(sides[0].release)} left"))
    return return_to_warm(state, sides, cause, Said(actor=request.actor), failed=False)


def _rollback(situation: Situation, request: Request) -> Move:
    state, snapshot = situation.state, situation.snapshot
    if state.candidate:
        return _stop(situation, state.candidate, request, "RolledBack")
    if state.base is None:
        raise _Refusal("nothing is serving yet")
    if state.warm and serving(snapshot, state.warm):
        return _back(state, (state.base, state.warm), request, "RolledBack")
    target = state.warm.release if state.warm else state.previous
    if target is None or target.digest == state.base.release.digest:
        raise _Refusal("there is no version before this one")
    left = state.base.release.digest
    kept = tuple(d for d in state.refused if d not in (target.digest, left))
    slot = other_slot(state.base.slot)
    placed = place(
        replace(state, refused=(*kept, left)),
        target,
        state.policy,
        path="direct",
        replicas=live_replicas(snapshot, state),
        restarts=restarts(snapshot, slot, target.digest),
    )
    note = Note("RolledBack", _said(request, f"rolling back to {named(target)}"), target,
                actor=request.actor)  # fmt: skip
    return Move(placed, (note,))


def _retry(situation: Situation, request: Request) -> Move:
    state = situation.state
    if state.candidate or state.phase in ("promoted", "resolving"):
        raise _Refusal("a rollout is running; `abort` it first")
    if not situation.snapshot.desired.reference:
        raise _Refusal("no model is named; name one with `set-model`")
    note = Note("Retried", _said(request, "the desired version is tried again"),
                actor=request.actor)  # fmt: skip
    again = replace(state, phase="idle", desired=None, refused=(), cause=None)
    return Move(again, (note,))


def _promote(situation: Situation, request: Request) -> Move:
    state = situation.state
    if state.phase not in ("shadow", "canary", "promoted"):
        raise _Refusal(
            "the candidate is not ready yet" if state.candidate else "nothing is rolling out"
        )
    if not situation.acked:
        raise _Refusal("a router has not loaded the present table yet; try again in some seconds")
    if situation.failing:
        raise _Refusal(f"{situation.failing[0].gate} says FAIL: {situation.failing[0].sentence}")
    if state.phase == "promoted":
        return finish_watch(situation, actor=request.actor)
    candidate = _passed(situation, request)
    why = _said(request, ", asked") if request.actor or request.reason else ""
    told = Said(situation.judged, request.actor, why)
    return next_step(situation, candidate, told, full=request.full)


def _passed(situation: Situation, request: Request) -> Placement:
    """The candidate, if it may go on."""
    candidate = situation.state.candidate
    if candidate is None or not serving(situation.snapshot, candidate):
        raise _Refusal("no pod of the candidate is ready")
    unknown = [v for v in situation.judged if v.decides and v.outcome is Outcome.UNKNOWN]
    if unknown and not request.force:
        raise _Refusal(f"{missing(unknown)}; --force goes on without knowing")
    return candidate


VERBS: dict[str, Callable[[Situation, Request], Move]] = {
    "pause": _pause,
    "resume": _resume,
    "abort": _abort,
    "retry": _retry,
    "rollback": _rollback,
    "promote": _promote,
}
