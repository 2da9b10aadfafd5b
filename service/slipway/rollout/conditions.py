"""Why it does not move: the stored condition, and the live sentence with figures. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from slipway.models.release import Release
from slipway.rollout.gates import expected_seconds, missing
from slipway.rollout.moves import Note, named
from slipway.rollout.plan import behind
from slipway.rollout.readiness import why_not_ready
from slipway.rollout.reasons import reason_of_pod
from slipway.rollout.situation import Situation
from slipway.rollout.start import waits_for_watch
from slipway.rollout.state import Condition
from slipway.rollout.verdict import Outcome, Verdict


def condition_of(situation: Situation) -> Condition | None:
    """The first thing that holds it, most urgent first; else how the last rollout ended."""
    return next(_conditions(situation), situation.state.cause)


def _conditions(situation: Situation) -> Iterator[Condition]:
    snapshot, state = situation.snapshot, situation.state
    if snapshot.desired.problem:
        yield Condition(snapshot.desired.problem.reason, snapshot.desired.problem.message)
    if snapshot.policy_problem:
        yield Condition("InvalidConfig", snapshot.policy_problem)
    found = snapshot.resolution
    asked = found if found and found.mark == snapshot.desired.mark else None
    if asked and asked.dead_end:
        yield Condition(asked.dead_end.reason, asked.dead_end.message)
    for router in snapshot.routers:
        if router.rejected and router.loaded_epoch != state.epoch:
            yield Condition("RouterRejected", f"{router.name}: {router.rejected}"[:500])
    if state.paused:
        yield Condition("Paused", "paused; `resume` goes on")
    if found and found.release and _news_waits(situation, found.mark, found.release):
        yield Condition("WaitsForWatch", f"{named(found.release)} waits until the watch is over")
    yield from _phase_conditions(situation)
    # Nothing waits for an alias that stays what it was, so all else is more urgent.
    if asked and asked.problem:
        told = f"{snapshot.desired.reference} stays what it was; asking failed: "
        yield Condition(asked.problem.reason, told + asked.problem.message)


def _news_waits(situation: Situation, mark: str, release: Release) -> bool:
    known = situation.state.desired
    new = known is None or (known.mark, known.digest) != (mark, release.digest)
    return new and waits_for_watch(situation, release)


def _phase_conditions(situation: Situation) -> Iterator[Condition]:
    state = situation.state
    candidate = state.candidate
    if candidate is None or situation.ready is None:
        return
    why = why_not_ready(situation.snapshot, candidate)
    if state.phase == "preparing" and why and situation.ready.outcome is not Outcome.PASS:
        yield Condition(reason_of_pod(why), f"{named(candidate.release)}: {why}"[:500])
    if state.phase not in ("shadow", "canary"):
        return
    window = situation.snapshot.window
    if window is None or window.epoch != state.epoch:
        return
    if window.looks < state.policy.least_intervals:
        return
    unknown = [v for v in situation.judged if v.decides and v.outcome is Outcome.UNKNOWN]
    if unknown:
        yield Condition("InsufficientData", "not every gate has enough data for a verdict yet")
    elif not state.policy.auto:
        yield Condition("WaitsForPromote", "all gates pass; `promote` goes on one step")


def note_of(before: Condition | None, after: Condition | None, told: Sequence[Note]) -> list[Note]:
    """A note for a condition that is new, unless the move itself has said it."""
    if after is None or after == before or any(n.message == after.message for n in told):
        return []
    return [Note(after.reason, after.message, warning=after.reason not in _CALM)]


_CALM = ("Paused", "InsufficientData", "WaitsForPromote", "WaitsForWatch")


def live_sentence(situation: Situation, condition: Condition | None) -> str:
    """What it waits for at this moment, with figures; for `status`, never stored."""
    state, snapshot = situation.state, situation.snapshot
    if told := _unloaded(situation):
        return told
    if situation.frozen:
        return "a slot's pods are being replaced; time and counts wait"
    if situation.pending:
        return f"resolving {snapshot.desired.reference}"
    if condition and condition.reason != "InsufficientData":
        return condition.message
    unknown = [v for v in situation.judged if v.decides and v.outcome is Outcome.UNKNOWN]
    if state.candidate and unknown:
        return _lacking(situation, unknown)
    return condition.message if condition else ""


def _unloaded(situation: Situation) -> str:
    """Which routers may not have the table."""
    epoch, snapshot = situation.state.epoch, situation.snapshot
    if late := behind(epoch, snapshot):
        return f"{', '.join(late)} has not loaded table {epoch} yet"
    silent = [r.name for r in snapshot.routers if r.loaded_epoch is None]
    return f"{', '.join(silent)} does not say which table it has loaded" if silent else ""


def _lacking(situation: Situation, unknown: Sequence[Verdict]) -> str:
    window = situation.snapshot.window
    expected = expected_seconds(unknown, window)
    if expected is None or window is None:
        return missing(unknown)
    left = max(expected - window.seconds, 0.0)
    return f"{missing(unknown)}; about {_duration(left)} more at this rate"


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
