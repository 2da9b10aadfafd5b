"""What the controller remembers of the rollout, as frozen values. `state_document` stores it. Pure.

There are two slots, so beside stable there is at most one other placement, the *spare*: a
candidate, the warm old stable, or a failed candidate that is kept for a look. Two candidates
cannot be written down.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from slipway.cluster.protocol import SlotName
from slipway.models.release import Release
from slipway.rollout.policy import Policy
from slipway.rollout.reasons import Reason
from slipway.rollout.verdict import Verdict

SCHEMA = 1
Phase = Literal["idle", "resolving", "preparing", "shadow", "canary", "promoted", "aborted"]
Role = Literal["stable", "candidate", "warm", "failed"]
# `gated` goes through the policy; `direct` is the ready gate and one step.
Path = Literal["gated", "direct"]


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """A release in a slot and what it plays there; without a slot where nothing serves the web.

    `replicas` is the size that was asked for when it was filled, `restarts` what its pods had then.
    """

    slot: SlotName | None
    release: Release
    role: Role
    replicas: int | None = None
    restarts: int = 0


class Accepted(msgspec.Struct, frozen=True):
    """The desired reference that was last acted upon, and what it led to.

    `mark` changes whenever the reference is written again.
    """

    reference: str
    mark: str
    digest: str


class Condition(msgspec.Struct, frozen=True):
    """Why it does not go on, or how it ended: a reason and one sentence without live figures."""

    reason: Reason
    message: str


class Answered(msgspec.Struct, frozen=True):
    """The control request that was done last; it is never done again."""

    id: str
    verb: str
    accepted: bool
    message: str


class Clock(msgspec.Struct, frozen=True):
    """Counted seconds, never a difference of wall clocks: of this phase or step, of the spare."""

    phase: float = 0.0
    spare: float = 0.0


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One decision, by machine or person."""

    at: str
    phase: Phase
    reason: Reason
    message: str
    digest: str = ""
    run_id: str | None = None
    weight: int = 0
    actor: str = ""
    verdicts: tuple[Verdict, ...] = ()


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The whole memory. `step` counts canary steps from 0; `weight` is the candidate's, of 10,000.

    `policy` is the one that this rollout began with, and the latest good one between rollouts.
    `refused` digests are not tried again under the same mark. `edges` are the inner quantiles of
    stable's answers, from shadow. `cause` is how the last rollout ended if it did not end well.
    `waiting` says that a model is named while none serves. `extra` holds members that this version
    does not know.
    """

    phase: Phase = "idle"
    epoch: int = 0
    stable: Placement | None = None
    spare: Placement | None = None
    weight: int = 0
    step: int = 0
    path: Path = "gated"
    paused: bool = False
    waiting: bool = False
    desired: Accepted | None = None
    refused: tuple[str, ...] = ()
    previous: Release | None = None
    policy: Policy = Policy()
    edges: tuple[float, ...] = ()
    answered: Answered | None = None
    condition: Condition | None = None
    cause: Condition | None = None
    clock: Clock = Clock()
    history: tuple[Entry, ...] = ()
    extra: dict[str, Any] = {}

    @property
    def candidate(self) -> Placement | None:
        """The spare while it is a candidate."""
        return self.spare if self.spare and self.spare.role == "candidate" else None

    @property
    def warm(self) -> Placement | None:
        """The spare while it is the warm old stable."""
        return self.spare if self.spare and self.spare.role == "warm" else None

    @property
    def base(self) -> Placement | None:
        """Stable where it serves the web: what a candidate can be compared with."""
        return self.stable if self.stable and self.stable.slot else None

    @property
    def subject(self) -> Placement | None:
        """What a verb is about: the candidate, or stable where there is none."""
        return self.candidate or self.stable
