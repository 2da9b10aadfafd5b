"""Follows the chart's switch `web`: with it, stable needs a slot; without it, it has none. Pure."""

from __future__ import annotations

from msgspec.structs import replace

from slipway.rollout.moves import Move, Note, named, place
from slipway.rollout.readiness import live_replicas
from slipway.rollout.situation import Situation


def follow_web(situation: Situation) -> Move | None:
    """Bring a promoted release that no slot holds into one, or let go of the slots."""
    state, snapshot = situation.state, situation.snapshot
    if state.stable is None:
        return None
    release = state.stable.release
    if not snapshot.web:
        if state.stable.slot is None and state.spare is None:
            return None
        bare = replace(state, phase="idle", stable=replace(state.stable, slot=None), spare=None,
                       weight=0, step=0, paused=False)  # fmt: skip
        note = Note("Promoted", f"{named(release)} stays promoted; nothing serves the web", release)
        return Move(bare, (note,))
    if state.stable.slot is not None or state.candidate is not None:
        return None
    started = place(
        state,
        release,
        situation.policy or state.policy,
        path="direct",
        replicas=live_replicas(snapshot, state),
        restarts=0,
    )
    return Move(started, (Note("Started", f"{named(release)} is prepared", release),))
