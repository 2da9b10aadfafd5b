"""Does something again until the other side takes it: the stream's backpressure.

While a sink or the table does not answer, nothing is read and nothing piles up: the consumer
stands here with the one batch that it holds.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import structlog

from slipway.errors import Conflict, InputDataMissing, InvalidConfig, SlipwayError, Unavailable

FIRST, LONGEST = 0.1, 5.0
# What may mend by itself; a stream that was deleted may be made again.
MENDS = (Unavailable, InputDataMissing, InvalidConfig)

Answer = TypeVar("Answer")

log = structlog.get_logger(__name__)


class Stopped(Exception):
    """The consumer is to stop and the other side does not answer: the batch stays undone."""


class Patience:
    """Waits between tries: twice as long each time, up to 5 s, never past `stop`.

    `alive` is called before each try, so that whoever watches sees a loop that waits, not one that
    hangs; `again` with the error's reason for each try that failed. Errors that are not of `mends`
    are raised at once.
    """

    def __init__(
        self,
        stop: threading.Event,
        alive: Callable[[], None] = lambda: None,
        again: Callable[[str], None] = lambda _reason: None,
        mends: tuple[type[SlipwayError], ...] = MENDS,
    ) -> None:
        self.stop = stop
        self._alive = alive
        self._again = again
        self._mends = mends

    def until_done(self, call: Callable[[], Answer]) -> Answer:
        """What `call` returns as soon as it does. Raises Stopped, and Conflict at once."""
        pause, told = FIRST, ""
        while True:
            self._alive()
            try:
                answer = call()
            except Conflict:
                raise
            except self._mends as error:
                pause, told = self.after(error, pause, told)
            else:
                if told:
                    log.warning("it goes on")
                return answer

    def after(self, error: SlipwayError, pause: float, told: str = "") -> tuple[float, str]:
        """Wait after a failed try; the next pause and what has been told. Raises Stopped."""
        self._again(error.reason)
        if error.message != told:
            log.warning("waiting", why=error.message)
        # Not all consumers that were throttled together come back together.
        if self.stop.wait(pause * random.uniform(0.5, 1.0)):  # noqa: S311 - no secret
            raise Stopped(error.message)
        return min(LONGEST, 2 * pause), error.message


@contextmanager
def within(seconds: float, mends: tuple[type[SlipwayError], ...] = MENDS) -> Iterator[Patience]:
    """A patience that is over after so many seconds: then it raises Stopped."""
    stop = threading.Event()
    timer = threading.Timer(seconds, stop.set)
    timer.daemon = True
    timer.start()
    try:
        yield Patience(stop, mends=mends)
    finally:
        timer.cancel()
