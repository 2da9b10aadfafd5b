"""Writes outcomes back to the tracking server, beside the loop: rollouts never wait for it.

What could not be written is tried again, the newest outcome of a release only; with the process it
is forgotten.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import structlog

from slipway.errors import AccessDenied, SlipwayError, Unavailable
from slipway.rollout.outcomes import Outcome

# Seconds between two tries while the server is away, and how many outcomes are kept meanwhile.
RETRY = 10.0
MOST_PENDING = 100

log = structlog.get_logger(__name__)


class Tags(Protocol):
    """What `clients.registry.Registry` does."""

    def tag(self, run_id: str | None, model_id: str | None, tags: Mapping[str, str]) -> None:
        """Tag a run, the model that it logged, and its registered versions."""


class WriteBack:
    """`connect` makes the client at the first outcome, on the thread that waits for the server."""

    def __init__(self, connect: Callable[[], Tags], retry: float = RETRY) -> None:
        self._connect = connect
        self._retry = retry
        self._pending: dict[str, Outcome] = {}
        self._changed = threading.Condition()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="write-back", daemon=True)

    def start(self) -> None:
        """Begin; `take` may be called before."""
        self._thread.start()

    def close(self) -> None:
        """Begin nothing any more; the process's end does not wait for what is under way."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def take(self, outcomes: Iterable[Outcome]) -> None:
        """Have them written; returns at once."""
        with self._changed:
            for outcome in outcomes:
                self._pending.pop(outcome.release.digest, None)
                self._pending[outcome.release.digest] = outcome
            while len(self._pending) > MOST_PENDING:
                del self._pending[next(iter(self._pending))]
            self._changed.notify()

    def _run(self) -> None:
        while outcome := self._next():
            try:
                self._connect().tag(outcome.release.run_id, outcome.release.model_id, outcome.tags)
                again = False
            except SlipwayError as error:
                # Refused credentials do not mend themselves, and others wait behind this one.
                again = isinstance(error, Unavailable) and not isinstance(error, AccessDenied)
                log.warning("an outcome is not written", why=error.message, again=again)
            # The thread's top: rollouts go on without it, but not without a word.
            except Exception:
                again = False
                log.exception("writing an outcome failed in an unexpected way")
            self._done(outcome, again=again)

    def _next(self) -> Outcome | None:
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._pending)
            return None if self._ended else next(iter(self._pending.values()))

    def _done(self, outcome: Outcome, *, again: bool) -> None:
        digest = outcome.release.digest
        with self._changed:
            if again:
                self._changed.wait_for(lambda: self._ended, self._retry)
            # A newer one of the same release may have come meanwhile.
            elif self._pending.get(digest) is outcome:
                del self._pending[digest]
