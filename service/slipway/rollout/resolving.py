"""Resolves the desired reference beside the loop, on a thread, with a deadline.

The loop looks once a tick and never waits. A reference is resolved once for each time that it is
written; where an alias points is asked again and again, and its artefact is hashed only when that
has changed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol, get_args

import structlog

from slipway.clients.registry import ModelPlace
from slipway.errors import SlipwayError
from slipway.models.reference import is_moving, parse_reference
from slipway.models.release import Release
from slipway.rollout.plan import wants_resolution
from slipway.rollout.reasons import Reason
from slipway.rollout.snapshot import Desired, Problem, Resolution
from slipway.rollout.state import State

FIRST_RETRY, LAST_RETRY = 2.0, 15.0
# A reference that is written again and again starts nothing until it has stayed for so long: each
# start would take a candidate's pods down.
SETTLED = 1.0
# Attempts that hang cannot be ended, only left behind; so many of them, then no new ones.
MOST_ATTEMPTS = 4

# The words among the errors' that may end a resolution; any other one leads nowhere as well.
_REASONS: dict[str, Reason] = {
    reason: reason
    for reason in get_args(Reason)
    if reason in ("InvalidConfig", "Untrusted", "VersionMismatch", "DigestMismatch")
}

log = structlog.get_logger(__name__)


class Resolves(Protocol):
    """What `models.resolve.Resolver` does; both raise SlipwayError's."""

    def locate(self, text: str) -> ModelPlace:
        """Where the reference leads now."""

    def resolve(self, text: str, use_case: str = "") -> Release:
        """The release that it leads to now."""


@dataclass
class _Attempt:
    """One try; the last two members are written by its thread, `done` at the very end."""

    desired: Desired
    known: Release | None
    started: float
    outcome: Resolution | None = None
    done: threading.Event = field(default_factory=threading.Event)


def on_a_thread(job: Callable[[], None]) -> None:
    """Run it beside the caller; the process's end does not wait for it."""
    threading.Thread(target=job, name="resolve", daemon=True).start()


class Resolving:
    """What the desired reference led to at last. Times are in seconds of `monotonic`."""

    def __init__(
        self,
        resolver: Resolves,
        *,
        use_case: str = "",
        deadline: float = 600.0,
        alias_every: float = 10.0,
        monotonic: Callable[[], float] = time.monotonic,
        spawn: Callable[[Callable[[], None]], None] = on_a_thread,
    ) -> None:
        self._resolver = resolver
        self._use_case = use_case
        self._deadline = deadline
        self._alias_every = alias_every
        self._monotonic = monotonic
        self._spawn = spawn
        self._attempt: _Attempt | None = None
        self._left: list[_Attempt] = []
        self._outcome: Resolution | None = None
        self._failures = 0
        self._due = 0.0
        self._seen = ""
        self._settled = 0.0

    def look(self, desired: Desired, state: State | None) -> Resolution | None:
        """The outcome for this writing of the reference so far; begins a try where one is due."""
        now = self._monotonic()
        self._settle(desired.mark, now)
        if self._attempt and self._attempt.desired.mark != desired.mark:
            self._leave()
        if self._outcome and self._outcome.mark != desired.mark:
            self._outcome = None
        self._collect(now)
        if (
            self._attempt is None
            and wants_resolution(state, desired)
            and self._is_due(desired, now)
        ):
            self._begin(desired, state, now)
            self._collect(now)
        return self._outcome

    def _settle(self, mark: str, now: float) -> None:
        if mark != self._seen:
            # What a new process finds may have been there for ever.
            self._settled = now + SETTLED if self._seen else now
            self._seen = mark

    def _is_due(self, desired: Desired, now: float) -> bool:
        if now < self._settled:
            return False
        self._left = [attempt for attempt in self._left if not attempt.done.is_set()]
        if len(self._left) >= MOST_ATTEMPTS:
            return False
        if self._outcome is None:
            return True
        final = self._outcome.release is not None and not _moves(desired)
        return now >= self._due and not final

    def _begin(self, desired: Desired, state: State | None, now: float) -> None:
        if self._outcome is None:
            self._failures = 0
        known = self._known(desired, state) if _moves(desired) else None
        self._attempt = attempt = _Attempt(desired, known, now)
        self._spawn(lambda: self._try(attempt))

    def _known(self, desired: Desired, state: State | None) -> Release | None:
        """The release that the alias led to last, as far as this process or the state knows."""
        if self._outcome and self._outcome.release:
            return self._outcome.release
        accepted = state.desired if state else None
        if state is None or accepted is None or accepted.mark != desired.mark:
            return None
        held = [placement.release for placement in (state.stable, state.spare) if placement]
        return next((each for each in held if each.digest == accepted.digest), None)

    def _try(self, attempt: _Attempt) -> None:
        mark, reference = attempt.desired.mark, attempt.desired.reference
        try:
            release = attempt.known
            if release is None or self._resolver.locate(reference).uri != release.uri:
                release = self._resolver.resolve(reference, self._use_case)
            attempt.outcome = Resolution(mark, release=release)
        except SlipwayError as error:
            reason = _REASONS.get(error.reason, "Unresolvable")
            attempt.outcome = Resolution(mark, problem=Problem(reason, error.message))
        except Exception as error:
            log.exception("resolving failed in an unexpected way")
            told = f"resolving it failed: {type(error).__name__}; the controller's log says more"
            attempt.outcome = Resolution(mark, problem=Problem("Unresolvable", told))
        finally:
            attempt.done.set()

    def _collect(self, now: float) -> None:
        attempt = self._attempt
        if attempt is None:
            return
        if attempt.done.is_set():
            self._attempt = None
            found = attempt.outcome
        elif now - attempt.started > self._deadline:
            self._leave()
            told = f"resolving it takes longer than {self._deadline:g} s (SLIPWAY_RESOLVE_SECONDS)"
            found = Resolution(attempt.desired.mark, problem=Problem("Unresolvable", told))
        else:
            return
        if found is not None:
            self._take(found, attempt.known, now)

    def _take(self, found: Resolution, known: Release | None, now: float) -> None:
        if found.release is not None:
            self._outcome, self._failures = found, 0
            self._due = now + self._alias_every
            return
        problem = found.problem
        log.warning("resolving failed", why=problem.message if problem else "")
        self._due = now + min(FIRST_RETRY * 2 ** min(self._failures, 8), LAST_RETRY)
        self._failures += 1
        # An alias that was resolved before stays what it was while nobody can be asked.
        self._outcome = replace(found, release=known)

    def _leave(self) -> None:
        if self._attempt:
            self._left.append(self._attempt)
            self._attempt = None


def _moves(desired: Desired) -> bool:
    return is_moving(parse_reference(desired.reference))
