"""What a rollout looks like to people and scripts: one document, for /status and verbs. Pure.

The controller fills in what only it knows: the gates, the live sentence, the routers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec.structs import replace

from slipway.cluster.protocol import SlotName
from slipway.models.release import Release
from slipway.rollout.decide import Decision
from slipway.rollout.measures import AnswersSeen, Window
from slipway.rollout.shown import Shown, shown_of
from slipway.rollout.snapshot import Newer, Problem, Snapshot
from slipway.rollout.state import Answered, Condition, Entry, Phase, Placement, State
from slipway.rollout.verdict import Verdict

SCHEMA = 1
RECENT = 10
# Conditions of a reference that is not acted upon, and will not be as it stands.
_UNUSABLE = ("InvalidConfig", "Unresolvable", "Untrusted", "VersionMismatch", "DigestMismatch")

Outcome = Literal["waiting", "done", "aborted", "unusable"]


class ReleaseStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A release and what it plays; `version` is its run id, or its digest's first digits."""

    role: str
    slot: SlotName | None
    version: str
    reference: str
    digest: str


class SlotStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A slot's pods; `why` is what the first one that is not ready says."""

    digest: str
    replicas: int
    ready: int
    restarts: int
    why: str


class RouterStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A router that is in the Service; no epoch where its status was not had."""

    name: str
    loaded_epoch: int | None
    rejected: str


class HistogramStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Both sides' answers, counted between common edges: one count more than there are edges."""

    edges: tuple[float, ...]
    candidate: tuple[int, ...]
    stable: tuple[int, ...]


class WindowStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What the gates went by: requests since every router had loaded the table.

    `seconds` and `looks` are those observed, dropped ones among them. Failures are those that count
    (docs/gates.md). `candidate_answers` and `control_answers` were compared, as pairs where each
    request has both; `unmatched` copies had no answer beside them.
    """

    seconds: float
    looks: int
    dropped: int
    candidate: int
    candidate_failed: int
    control: int
    control_failed: int
    both_failed: int
    candidate_answers: int
    control_answers: int
    unmatched: int
    histogram: HistogramStatus | None = None


class DesiredStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What people want; `taken_up` once the controller has acted upon this writing of it.

    `refused`: it was left by `rollback` or `abort`, or failed, and is not tried again as it stands.
    """

    reference: str
    taken_up: bool
    refused: bool
    problem: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The document. `weight` is the candidate's, of 10,000; `step` counts from 1, of `steps`.

    `gates` are judged, `shown` are not.
    """

    schema: int = SCHEMA
    phase: Phase
    paused: bool
    weight: int
    step: int
    steps: int
    epoch: int
    preset: str
    desired: DesiredStatus
    stable: ReleaseStatus | None
    spare: ReleaseStatus | None
    condition: Condition | None
    why: str
    gates: tuple[Verdict, ...]
    shown: tuple[Shown, ...] = ()
    window: WindowStatus | None
    slots: Mapping[str, SlotStatus]
    routers: tuple[RouterStatus, ...]
    answered: Answered | None
    history: tuple[Entry, ...]


class ControllerStatus(msgspec.Struct, frozen=True):
    """/status: who answers, whether it leads, what its last turn failed by, and what it saw."""

    pod: str
    leads: bool
    error: str
    rollout: Status | None


def status_of(snapshot: Snapshot, decision: Decision | None = None) -> Status:
    """The status of a snapshot, after the decision about it where there is one."""
    stored = snapshot.stored if isinstance(snapshot.stored, State) else None
    state = (decision.state if decision else None) or stored or State()
    problem = _unreadable(snapshot)
    return Status(
        phase=state.phase,
        paused=state.paused,
        weight=state.weight,
        step=state.step + 1 if state.phase == "canary" else 0,
        steps=len(state.policy.steps),
        epoch=state.epoch,
        preset=state.policy.preset,
        desired=_desired(snapshot, state),
        stable=_placed(state.stable),
        spare=_placed(state.spare),
        condition=problem or state.condition,
        why=decision.why if decision else "",
        gates=decision.verdicts if decision else (),
        shown=shown_of(snapshot.window, state.policy.gates.tolerance),
        window=_window(snapshot.window),
        slots=_slots(snapshot),
        routers=tuple(
            RouterStatus(name=each.name, loaded_epoch=each.loaded_epoch, rejected=each.rejected)
            for each in snapshot.routers
        ),
        answered=state.answered,
        history=state.history[-RECENT:],
    )


def with_live(status: Status, document: object) -> Status:
    """With what only the controller knows, if its /status is about the same routing table."""
    try:
        live = msgspec.convert(document, ControllerStatus).rollout
    except msgspec.ValidationError:
        return status
    if live is None or (live.epoch, live.phase) != (status.epoch, status.phase):
        return status
    return replace(
        status,
        why=live.why,
        gates=live.gates,
        shown=live.shown,
        window=live.window,
        routers=live.routers,
    )


def outcome_of(status: Status) -> Outcome:
    """Where a wait for the desired reference stands.

    It is done when every router has loaded the table, as far as that is known.
    """
    if not status.desired.taken_up:
        if status.desired.problem:
            return "unusable"
        if status.condition and status.condition.reason in _UNUSABLE:
            return "unusable"
        return "waiting" if status.desired.reference else "done"
    if status.phase == "idle" and status.desired.refused:
        return "aborted"
    if status.phase in ("idle", "promoted"):
        behind = any(router.loaded_epoch != status.epoch for router in status.routers)
        return "waiting" if behind else "done"
    return "aborted" if status.phase == "aborted" else "waiting"


def _unreadable(snapshot: Snapshot) -> Condition | None:
    if isinstance(snapshot.stored, Newer):
        return Condition("NewerState", f"the state has the newer schema {snapshot.stored.schema}")
    if isinstance(snapshot.stored, Problem):
        return Condition(snapshot.stored.reason, snapshot.stored.message)
    return None


def _desired(snapshot: Snapshot, state: State) -> DesiredStatus:
    desired = snapshot.desired
    known = state.desired
    taken_up = known is not None and bool(desired.reference) and known.mark == desired.mark
    return DesiredStatus(
        reference=desired.reference,
        taken_up=taken_up,
        refused=taken_up and known is not None and known.digest in state.refused,
        problem=desired.problem.message if desired.problem else "",
    )


def _placed(placement: Placement | None) -> ReleaseStatus | None:
    if placement is None:
        return None
    release: Release = placement.release
    return ReleaseStatus(
        role=placement.role,
        slot=placement.slot,
        version=release.version,
        reference=release.reference,
        digest=release.digest,
    )


def _window(window: Window | None) -> WindowStatus | None:
    if window is None:
        return None
    pairs = window.pairs.pairs if window.pairs else 0
    groups = window.groups
    counts = window.counts
    return WindowStatus(
        seconds=round(window.seconds, 1),
        looks=window.looks,
        dropped=window.dropped,
        candidate=counts.candidate,
        candidate_failed=counts.candidate_failed,
        control=counts.control,
        control_failed=counts.control_failed,
        both_failed=counts.both_failed,
        candidate_answers=groups.candidate.count if groups else pairs,
        control_answers=groups.control.count if groups else pairs,
        unmatched=window.unmatched,
        histogram=_histogram(window.answers),
    )


def _histogram(seen: AnswersSeen) -> HistogramStatus | None:
    if not seen.edges:
        return None
    return HistogramStatus(edges=seen.edges, candidate=seen.candidate, stable=seen.control)


def _slots(snapshot: Snapshot) -> dict[str, SlotStatus]:
    found = {}
    for slot, view in snapshot.slots.items():
        workload = view.workload
        if workload is None:
            continue
        told = [pod.why for pod in workload.pods if not pod.ready and pod.why]
        found[str(slot)] = SlotStatus(
            digest=workload.digest,
            replicas=workload.replicas,
            ready=sum(pod.ready for pod in workload.pods),
            restarts=sum(pod.restarts for pod in workload.pods),
            why=told[0] if told else workload.why,
        )
    return found
