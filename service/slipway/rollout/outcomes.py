"""How a decision ended for a release, as tags for its run and its registered versions. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from slipway.models.release import Release
from slipway.rollout.decide import Decision
from slipway.rollout.snapshot import Newer, Problem
from slipway.rollout.state import State

# The newest outcome replaces the one before: a version that was refused may be promoted later.
OUTCOME, AT, BECAUSE, PLACE = (
    "slipway.outcome",
    "slipway.outcome_at",
    "slipway.outcome_because",
    "slipway.outcome_in",
)
MAX_TEXT = 500


@dataclass(frozen=True)
class Outcome:
    """A release, and the tags that say what became of it."""

    release: Release
    tags: Mapping[str, str]


def outcomes_of(
    before: State | Newer | Problem | None, decision: Decision, place: str, now: datetime
) -> Iterator[Outcome]:
    """What the decision changed for good: a release that is stable now, or refused.

    `before` is the stored state, and `place` names the installation.
    """
    after = decision.state
    if after is None:
        return
    before = before if isinstance(before, State) else State()
    was = before.stable.release.digest if before.stable else ""
    promoted = {n.release.digest for n in decision.notes if n.reason == "Promoted" and n.release}
    if after.stable and after.stable.release.digest in promoted - {was}:
        yield _outcome(after.stable.release, "promoted", "", place, now)
    for digest in after.refused:
        notes = [note for note in decision.notes if note.release and note.release.digest == digest]
        if digest not in before.refused and notes and notes[0].release:
            because = f"{notes[0].reason}: {notes[0].message}"
            yield _outcome(notes[0].release, "refused", because, place, now)


def _outcome(release: Release, outcome: str, because: str, place: str, now: datetime) -> Outcome:
    tags = {
        OUTCOME: outcome,
        AT: now.isoformat(timespec="seconds"),
        BECAUSE: because[:MAX_TEXT],
        PLACE: place,
    }
    return Outcome(release, tags)
