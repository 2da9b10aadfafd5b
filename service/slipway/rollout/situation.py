"""A snapshot made ready for deciding: clocks, acknowledgement, verdicts. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from slipway.rollout import clocks, gates
from slipway.rollout.plan import acked_by_all, behind, measure_of
from slipway.rollout.policy import Policy
from slipway.rollout.readiness import ready_gate, settled
from slipway.rollout.snapshot import Memory, Snapshot
from slipway.rollout.state import State
from slipway.rollout.verdict import Outcome, Verdict


@dataclass(frozen=True)
class Situation:
    """What the rules look at.

    `policy` is None while the policy's document is wrong. `acked`: every serving router has loaded
    the state's table; one that is silent may not have. `frozen`: a slot's pods are being
    replaced under an unchanged release, so nothing that is measured now counts. `pending`: a new
    reference is not resolved yet.
    """

    snapshot: Snapshot
    state: State
    policy: Policy | None
    memory: Memory
    acked: bool
    frozen: bool
    pending: bool
    ready: Verdict | None
    verdicts: tuple[Verdict, ...]

    @property
    def judged(self) -> tuple[Verdict, ...]:
        """The ready gate's verdict and the window's."""
        return (self.ready, *self.verdicts) if self.ready else self.verdicts

    @property
    def failing(self) -> tuple[Verdict, ...]:
        """The deciding gates that say FAIL."""
        return tuple(v for v in self.judged if v.decides and v.outcome is Outcome.FAIL)

    @property
    def passing(self) -> bool:
        """Whether every deciding gate says PASS."""
        return all(v.outcome is Outcome.PASS for v in self.judged if v.decides)


def situation_of(snapshot: Snapshot, state: State, policy: Policy | None) -> Situation:
    """Judge the snapshot under this state."""
    acked = acked_by_all(state.epoch, snapshot)
    measured = measure_of(state)
    frozen = measured is not None and not (
        settled(snapshot, measured.candidate) and settled(snapshot, measured.control)
    )
    memory = clocks.counted(snapshot, state, runs=acked and not frozen and not state.paused)
    tested = state.candidate or (measured.candidate if measured else None)
    ready = ready_gate(snapshot, tested, state.policy, memory) if tested else None
    if not frozen:
        memory = clocks.with_readiness(memory, state, ready)
        ready = ready_gate(snapshot, tested, state.policy, memory) if tested else None
    verdicts: tuple[Verdict, ...] = ()
    if measured is not None:
        usable = not frozen and not behind(state.epoch, snapshot)
        verdicts = _verdicts(snapshot, state, usable=usable)
    return Situation(
        snapshot=snapshot,
        state=state,
        policy=policy,
        memory=memory,
        acked=acked,
        frozen=frozen,
        pending=_pending(snapshot, state),
        ready=ready,
        verdicts=verdicts,
    )


def _verdicts(snapshot: Snapshot, state: State, *, usable: bool) -> tuple[Verdict, ...]:
    measured = measure_of(state)
    window = snapshot.window
    if measured is None:
        return ()
    if (
        not usable
        or window is None
        or (window.epoch, window.candidate, window.control)
        != (
            state.epoch,
            measured.candidate.release.digest,
            measured.control.release.digest,
        )
    ):
        window = None
    elif snapshot.verdicts is not None:
        return snapshot.verdicts
    return gates.judge(window, state)


def _pending(snapshot: Snapshot, state: State) -> bool:
    desired, found = snapshot.desired, snapshot.resolution
    if (
        not desired.reference
        or desired.problem
        or (state.desired and state.desired.mark == desired.mark)
    ):
        return False
    return found is None or found.mark != desired.mark
