"""The decision: one pure function from what is seen to what is to be written. Pure.

In each tick at most one rule moves the state, so traffic changes at most once; everything else is
derived from the new state, and the next tick acts on what is observed then.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from slipway.cluster.protocol import Event
from slipway.rollout import clocks, conditions
from slipway.rollout.history import with_notes
from slipway.rollout.moves import Move, Note
from slipway.rollout.phases import go_on, lost_traffic, release_spare
from slipway.rollout.plan import (
    Fill,
    Measure,
    acked_by_all,
    behind,
    fills_of,
    measure_of,
    routing_of,
    same_table,
    seen_epoch,
)
from slipway.rollout.policy import Policy
from slipway.rollout.rebuild import Recalled, recall
from slipway.rollout.situation import Situation, situation_of
from slipway.rollout.snapshot import Memory, Problem, Snapshot
from slipway.rollout.start import take_up
from slipway.rollout.state import Clock, State
from slipway.rollout.verbs import answer_request
from slipway.rollout.verdict import Verdict
from slipway.rollout.web_switch import follow_web

# The first that moves ends the tick. What a person asks wins over all else.
_RULES = (answer_request, lost_traffic, follow_web, take_up, go_on, release_spare)


@dataclass(frozen=True)
class Decision:
    """What to write, in this order: state, then routing, then fills; events last.

    `state` is None if nothing may be done at all. `write` says whether it differs from the stored
    one. `routing` is None if the document is right already. `measure` is what to measure from now
    on. `why` is one live sentence that says why it does not move.
    """

    state: State | None
    memory: Memory
    write: bool = False
    routing: dict[str, Any] | None = None
    fills: tuple[Fill, ...] = ()
    events: tuple[Event, ...] = ()
    notes: tuple[Note, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    measure: Measure | None = None
    acked: bool = False
    why: str = ""


def decide(snapshot: Snapshot, policy: Policy | None) -> Decision:
    """What to do about this snapshot. `policy` is None while its document cannot be read."""
    recalled = recall(snapshot, policy)
    if recalled.problem:
        return _hands_off(snapshot, recalled.problem)
    state = _latest_policy(recalled.state, policy)
    situation = situation_of(snapshot, state, policy)
    move = Move(state, recalled.notes) if recalled.rebuilt else _first_move(situation)
    return _conclude(situation, recalled, move)


def _latest_policy(state: State, policy: Policy | None) -> State:
    """A rollout keeps the policy it began with; between rollouts the latest one holds."""
    running = state.phase in ("preparing", "shadow", "canary", "promoted")
    if running or policy is None or policy == state.policy:
        return state
    return replace(state, policy=policy)


def _first_move(situation: Situation) -> Move:
    for rule in _RULES:
        move = rule(situation)
        if move is not None:
            return move
    return Move(situation.state)


def _conclude(situation: Situation, recalled: Recalled, move: Move) -> Decision:
    snapshot, before = situation.snapshot, recalled.state
    state = replace(move.state, waiting=move.state.base is None and bool(_named(snapshot)))
    notes = list(move.notes)
    state = _with_epoch(state, before, recalled, snapshot, notes)
    memory = clocks.belonging(situation.memory, state, Clock())
    # The same facts under the new state: what it says about itself from now on.
    after = dataclasses.replace(situation, state=state, acked=acked_by_all(state.epoch, snapshot))
    condition = conditions.condition_of(after)
    state = with_notes(replace(state, condition=condition), notes, snapshot.now)
    # A condition is no decision: people are told, history is not.
    told = [*notes, *conditions.note_of(before.condition, condition, move.notes)]
    state, write = _stored(state, recalled, memory)
    table = routing_of(state)
    fills = fills_of(state, snapshot, after.acked)
    measurable = not situation.frozen and not behind(state.epoch, snapshot)
    return Decision(
        state=state,
        memory=memory,
        write=write,
        routing=table if snapshot.routing != table else None,
        fills=fills,
        events=tuple(Event(n.reason, n.message, n.warning) for n in told),
        notes=tuple(notes),
        verdicts=situation.judged,
        measure=measure_of(state) if measurable else None,
        acked=after.acked,
        why=conditions.live_sentence(after, condition),
    )


def _named(snapshot: Snapshot) -> str:
    return snapshot.desired.reference or (
        snapshot.desired.problem.message if snapshot.desired.problem else ""
    )


def _with_epoch(
    state: State, before: State, recalled: Recalled, snapshot: Snapshot, notes: list[Note]
) -> State:
    """A higher epoch for a table that changed, or that somebody else has changed."""
    seen = seen_epoch(snapshot)
    table = routing_of(state)
    changed = recalled.rebuilt or not same_table(table, routing_of(before))
    written = snapshot.routing
    strange = seen > state.epoch or (
        written is not None
        and written.get("epoch") == state.epoch
        and not same_table(routing_of(before), written)
    )
    if strange and not recalled.rebuilt:
        notes.append(
            Note(
                "RoutingRestored",
                "the routing table was changed by somebody else and is put back",
                warning=True,
            )
        )
    return replace(state, epoch=max(seen, state.epoch) + 1) if changed or strange else state


def _stored(state: State, recalled: Recalled, memory: Memory) -> tuple[State, bool]:
    """The state to store, and whether it is worth a write."""
    before = recalled.state
    moved = recalled.rebuilt or replace(state, clock=before.clock) != before
    if not moved and not clocks.checkpoint_due(before, memory):
        return before, False
    return replace(state, clock=clocks.stored_clock(memory)), True


def _hands_off(snapshot: Snapshot, problem: Problem) -> Decision:
    memory = snapshot.memory or Memory()
    told = problem.message in memory.told
    event = Event(problem.reason, problem.message, warning=True)
    return Decision(
        state=None,
        memory=replace(memory, told=memory.told | {problem.message}),
        events=() if told else (event,),
        why=problem.message,
    )
