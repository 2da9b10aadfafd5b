"""The bounded list of decisions that a state carries. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from slipway.rollout.moves import Note
from slipway.rollout.state import Entry, State
from slipway.rollout.verdict import Verdict

MAX_ENTRIES = 100
MAX_BYTES = 16 * 1024
MAX_MESSAGE = 500


def with_notes(state: State, notes: Sequence[Note], now: datetime) -> State:
    """The state with the notes at the end of its history, and the oldest gone if it is too long."""
    if not notes:
        return state
    at = now.isoformat(timespec="seconds")
    entries = [*state.history, *(_entry(state, note, at) for note in notes)][-MAX_ENTRIES:]
    sizes = [len(msgspec.json.encode(entry)) + 1 for entry in entries]
    while sum(sizes) > MAX_BYTES:
        del entries[0], sizes[0]
    return replace(state, history=tuple(entries))


def _entry(state: State, note: Note, at: str) -> Entry:
    return Entry(
        at=at,
        phase=state.phase,
        reason=note.reason,
        message=note.message[:MAX_MESSAGE],
        digest=note.release.digest if note.release else "",
        run_id=note.release.run_id if note.release else None,
        weight=state.weight,
        actor=note.actor[:100],
        verdicts=tuple(_short(verdict) for verdict in note.verdicts),
    )


def _short(verdict: Verdict) -> Verdict:
    """Four digits are enough to explain a decision."""

    def digits(value: float | None) -> float | None:
        return None if value is None else float(f"{value:.4g}")

    return replace(
        verdict,
        estimate=digits(verdict.estimate),
        lower=digits(verdict.lower),
        upper=digits(verdict.upper),
        limit=digits(verdict.limit),
        sentence=verdict.sentence[:120],
    )
