"""Where `rollback` would lead at this moment, so that a verb can say it before it acts. Pure.

The controller decides by the same facts when it does it (`verbs`).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from slipway.models.release import Release
from slipway.rollout.readiness import serving
from slipway.rollout.snapshot import Snapshot
from slipway.rollout.state import State

# running: it has traffic already. warm: its pods are ready. cold: they have to be started.
Heat = Literal["running", "warm", "cold"]


class WayBack(msgspec.Struct, frozen=True):
    """What serves after a rollback, and how far it is."""

    release: Release
    heat: Heat


def way_back(snapshot: Snapshot) -> WayBack | None:
    """None where there is nothing to go back to."""
    state = snapshot.stored
    if not isinstance(state, State) or state.base is None:
        return None
    if state.candidate:
        return WayBack(state.base.release, "running")
    if state.warm and serving(snapshot, state.warm):
        return WayBack(state.warm.release, "warm")
    target = state.warm.release if state.warm else state.previous
    if target is None or target.digest == state.base.release.digest:
        return None
    return WayBack(target, "cold")
