"""Who scores a batch: stable, and in a canary the candidate for its share of the keys.

Whatever the candidate does not score, for whatever reason, stable does: that is `fallback`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from slipway.clients.streams import Record
from slipway.models.release import Release
from slipway.stream.processor import Bad, Message, Outcome, Processor, Scored, in_share

STABLE, CANDIDATE, FALLBACK = "stable", "candidate", "fallback"
SOURCES = (STABLE, CANDIDATE, FALLBACK)


class Trial(Protocol):
    """A candidate that scores in a process of its own."""

    @property
    def release(self) -> Release:
        """What it scores with."""

    def ask(self, records: Sequence[Record]) -> list[dict[str, Any] | None]:
        """An event for each record, None for each one that it does not score; never raises."""


@dataclass(frozen=True)
class Scoring:
    """What scores at a moment; a batch goes through one of these from its beginning to its end."""

    stable: Processor
    trial: Trial | None = None
    weight: int = 0

    def process(self, records: Sequence[Record]) -> list[Outcome]:
        """An outcome for each record, in their order."""
        if not (self.trial and self.weight):
            return self.stable.process(records)
        decoded = [self.stable.decode(record) for record in records]
        chosen = [
            index
            for index, each in enumerate(decoded)
            if isinstance(each, Message) and in_share(each.ride_id, self.weight)
        ]
        events = self.trial.ask([records[index] for index in chosen]) if chosen else []
        return self._joined(decoded, dict(zip(chosen, events, strict=True)))

    def _joined(
        self, decoded: Sequence[Message | Bad], events: dict[int, dict[str, Any] | None]
    ) -> list[Outcome]:
        from_stable = [each for index, each in enumerate(decoded) if not events.get(index)]
        outcomes = iter(self.stable.finish(from_stable))
        found: list[Outcome] = []
        for index, each in enumerate(decoded):
            event = events.get(index)
            if event and isinstance(each, Message):
                found.append(Scored(each.record, event, each.ride_id, CANDIDATE))
                continue
            outcome = next(outcomes)
            if isinstance(outcome, Scored) and index in events:
                outcome = replace(outcome, source=FALLBACK)
            found.append(outcome)
        return found
