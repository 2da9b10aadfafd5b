"""Everything that one decision may look at, as frozen values: what `observe` must provide. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import msgspec

from slipway.cluster.protocol import SlotName, Workload
from slipway.models.release import Release
from slipway.rollout.measures import Window
from slipway.rollout.reasons import Reason
from slipway.rollout.state import Clock, State
from slipway.rollout.verdict import Verdict

Verb = Literal["promote", "pause", "resume", "abort", "retry", "rollback"]


@dataclass(frozen=True)
class Problem:
    """Why something could not be had, in the words of conditions and events."""

    reason: Reason
    message: str


@dataclass(frozen=True)
class Newer:
    """The stored state is of a newer schema: nothing may be done."""

    schema: int


@dataclass(frozen=True)
class Desired:
    """What people want. No reference and no problem: nothing is wanted yet.

    `mark` is the same as long as nobody has written the reference again.
    """

    reference: str = ""
    mark: str = ""
    problem: Problem | None = None


@dataclass(frozen=True)
class Resolution:
    """What the reference under `mark` led to at last: a release or a problem. Missing: pending.

    Both: the release is what an alias led to before, the problem why it cannot be asked now.
    """

    mark: str
    release: Release | None = None
    problem: Problem | None = None

    @property
    def dead_end(self) -> Problem | None:
        """The problem, where there is no release to go by."""
        return None if self.release else self.problem


@dataclass(frozen=True)
class SlotView:
    """A slot as it is: the release of its document (None: none, or unreadable), its Deployment."""

    release: Release | None = None
    workload: Workload | None = None


@dataclass(frozen=True)
class RouterView:
    """A router that is in the Service. `loaded_epoch` is None where its status was not had."""

    name: str
    loaded_epoch: int | None
    rejected: str = ""


@dataclass(frozen=True)
class Request:
    """The control document: a verb that a person gave, with what the person saw then."""

    id: str
    verb: Verb
    phase: str = ""
    digest: str = ""
    actor: str = ""
    reason: str = ""
    full: bool = False
    force: bool = False


@dataclass(frozen=True)
class BadRequest:
    """A control document that cannot be read; `id` is empty where not even that can be."""

    id: str
    message: str


class Memory(msgspec.Struct, frozen=True):
    """What one controller process remembers from tick to tick and loses with itself.

    `unready` counts seconds without a ready candidate, `flaps` how often it went from ready to not.
    `phase_of` and `spare_of` say what the clocks belong to.
    """

    clock: Clock = Clock()
    unready: float = 0.0
    flaps: int = 0
    was_ready: bool = False
    told: frozenset[str] = frozenset()
    phase_of: tuple[object, ...] = ()
    spare_of: tuple[object, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """One tick's facts.

    `now` is for people only. `elapsed` is the time since this process's last tick by a monotonic
    clock, 0 at its first. `stored` is the state as read in this tick; None if there is none, a
    Problem if it cannot be read. `memory` is the last decision's, None at the first tick.
    `routing` is the routing document as read, None if there is none. `verdicts` replaces judging
    the window, for those who search through decisions.
    """

    now: datetime
    elapsed: float = 0.0
    stored: State | Newer | Problem | None = None
    memory: Memory | None = None
    desired: Desired = Desired()
    resolution: Resolution | None = None
    slots: Mapping[SlotName, SlotView] = field(default_factory=dict)
    routers: tuple[RouterView, ...] = ()
    routing: Mapping[str, Any] | None = None
    request: Request | BadRequest | None = None
    window: Window | None = None
    policy_problem: str = ""
    web: bool = True
    verdicts: tuple[Verdict, ...] | None = None
