"""Counted seconds: of the phase, of the spare release, of not being ready. Pure.

Time is counted while it is watched and never read off a wall clock. A clock belongs to one phase
or one spare; after a write whose outcome was not seen, the stored state's clock is taken up.
"""

from __future__ import annotations

import math

from msgspec.structs import replace

from slipway.rollout.snapshot import Memory, Snapshot
from slipway.rollout.state import Clock, State
from slipway.rollout.verdict import Outcome, Verdict

# A process that was stopped for an hour has not watched for an hour.
_MOST_TICKS = 5
# The stored clock lags by at most this many seconds; a write in each tick would be a live figure.
CHECKPOINT = 60.0


def phase_key(state: State) -> tuple[object, ...]:
    """What the phase's clock belongs to."""
    candidate = state.candidate
    digest = candidate.release.digest if candidate else ""
    return state.phase, state.step, state.weight, digest


def spare_key(state: State) -> tuple[object, ...]:
    """What the spare's clock and flaps belong to."""
    spare = state.spare
    return (spare.role, spare.slot, spare.release.digest) if spare else ()


def counted(snapshot: Snapshot, state: State, *, runs: bool) -> Memory:
    """The memory with the time since the last tick; `runs`: the phase's clock is not held."""
    memory = snapshot.memory
    if memory is None:
        return Memory(state.clock, phase_of=phase_key(state), spare_of=spare_key(state))
    passed = snapshot.elapsed if math.isfinite(snapshot.elapsed) else 0.0
    passed = min(max(passed, 0.0), _MOST_TICKS * state.policy.tick)
    memory = belonging(memory, state, state.clock)
    held = 0.0 if not runs else passed
    clock = Clock(memory.clock.phase + held, memory.clock.spare + passed)
    return replace(memory, clock=clock, unready=memory.unready + held)


def belonging(memory: Memory, state: State, start: Clock) -> Memory:
    """The memory for this state: what belongs to another phase or spare begins anew."""
    if memory.phase_of != phase_key(state):
        clock = Clock(start.phase, memory.clock.spare)
        memory = replace(memory, clock=clock, unready=0.0, phase_of=phase_key(state))
    if memory.spare_of != spare_key(state):
        clock = Clock(memory.clock.phase, start.spare)
        memory = replace(
            memory, clock=clock, unready=0.0, flaps=0, was_ready=False, spare_of=spare_key(state)
        )
    return memory


def with_readiness(memory: Memory, state: State, ready: Verdict | None) -> Memory:
    """Count how often what is tested stops being ready, and for how long it is not."""
    if state.phase not in ("shadow", "canary", "promoted") or ready is None:
        return replace(memory, unready=0.0, flaps=0, was_ready=False)
    if ready.outcome is Outcome.PASS:
        return replace(memory, unready=0.0, was_ready=True)
    flaps = memory.flaps + (1 if memory.was_ready else 0)
    return replace(memory, flaps=flaps, was_ready=False)


def stored_clock(memory: Memory) -> Clock:
    """The clock as it is written: a tenth of a second is enough."""
    return Clock(round(memory.clock.phase, 1), round(memory.clock.spare, 1))


def checkpoint_due(state: State, memory: Memory) -> bool:
    """Whether the stored clock lags too far behind one that something waits for."""
    if state.spare is None and state.phase not in ("preparing", "shadow", "canary", "promoted"):
        return False
    ahead = memory.clock.phase - state.clock.phase, memory.clock.spare - state.clock.spare
    return max(ahead) >= CHECKPOINT
