"""A candidate in a process of its own: what it does to itself, it does to nobody else.

It is asked with whole batches over a pipe and has a time to answer. One that crashes, hangs or
answers nonsense is killed; stable scores in its place, and after a while it is tried again, three
times a release.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import structlog

from slipway.clients.streams import Record
from slipway.errors import SlipwayError
from slipway.models.obtain import obtain_release
from slipway.models.release import Release
from slipway.settings import ModelSettings
from slipway.stream.processor import Processor, Scored

# Seconds for a batch's answer, from a process to the next one, and for a model to load.
ANSWER_SECONDS, REST_SECONDS, LOAD_SECONDS = 10.0, 5.0, 120.0
MOST_STARTS = 3
# What is sent once a model is loaded.
READY = "ready"

Make = Callable[[], Processor]

log = structlog.get_logger(__name__)


class Candidate:
    """The trial of one release; `make` runs in the child and gives what scores there."""

    def __init__(
        self,
        release: Release,
        make: Make,
        monotonic: Callable[[], float] = time.monotonic,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._release = release
        self._make = make
        self._monotonic = monotonic
        self._answer_seconds = answer_seconds
        # The one that asks and the one that closes are two threads.
        self._lock = threading.Lock()
        self._process: Any = None
        self._pipe: Connection | None = None
        self._ready = False
        self._starts = 0
        self._began = float("-inf")

    @property
    def release(self) -> Release:
        """What it scores with."""
        return self._release

    @property
    def pid(self) -> int | None:
        """The child's process id while it has one."""
        return self._process.pid if self._process else None

    def ask(self, records: Sequence[Record]) -> list[dict[str, Any] | None]:
        """An event for each record, None for each one that it does not score."""
        with self._lock:
            return self._ask(records)

    def close(self) -> None:
        """End the process for good."""
        with self._lock:
            self._starts = MOST_STARTS
            self._end()

    def _ask(self, records: Sequence[Record]) -> list[dict[str, Any] | None]:
        nothing: list[dict[str, Any] | None] = [None] * len(records)
        if not self._is_ready() or self._pipe is None:
            return nothing
        try:
            self._pipe.send(list(records))
            if not self._pipe.poll(self._answer_seconds):
                return self._failed("it did not answer in time", nothing)
            answer = self._pipe.recv()
        # The child is foreign code: a broken pipe and an answer that is none are the same here.
        except Exception as error:  # noqa: BLE001
            return self._failed(f"it broke off ({type(error).__name__})", nothing)
        if not isinstance(answer, list) or len(answer) != len(records):
            return self._failed("its answer is none", nothing)
        return answer

    def _end(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
        if self._process is not None:
            self._process.kill()
            self._process.join(5)
        self._process = self._pipe = None
        self._ready = False

    def _is_ready(self) -> bool:
        now = self._monotonic()
        if self._process is None:
            if self._starts < MOST_STARTS and now - self._began >= REST_SECONDS:
                self._start(now)
            return False
        if not self._ready and self._pipe is not None:
            try:
                self._ready = self._pipe.poll(0) and self._pipe.recv() == READY
            except (EOFError, OSError):
                self._failed("its model cannot be loaded", [])
                return False
            if not self._ready and now - self._began > LOAD_SECONDS:
                self._failed("its model takes too long to load", [])
        return self._ready

    def _start(self, now: float) -> None:
        self._starts += 1
        self._began = now
        # Not a fork: this process has threads.
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=serve, args=(theirs, self._make), name="candidate", daemon=True
        )
        self._process.start()
        theirs.close()

    def _failed(self, why: str, nothing: list[Any]) -> list[Any]:
        self._end()
        self._began = self._monotonic()
        log.error(
            "the candidate failed; stable scores in its place",
            why=why,
            run_id=self._release.version,
            tried_again=self._starts < MOST_STARTS,
        )
        return nothing


def serve(pipe: Connection, make: Make) -> None:
    """The child: loads, then answers until the parent is gone."""
    try:
        processor = make()
    except SlipwayError as error:
        log.error("the candidate cannot be loaded", why=error.message)  # noqa: TRY400
        return
    try:
        pipe.send(READY)
        while True:
            outcomes = processor.process(pipe.recv())
            pipe.send([each.event if isinstance(each, Scored) else None for each in outcomes])
    except (EOFError, OSError):
        # The parent has ended, or has given this process up.
        return


class Loading:
    """What a child needs to load a release; a class, as it must be sent to the child."""

    def __init__(self, settings: ModelSettings, release: Release, stream: str, max_bytes: int):
        self._settings = settings
        self._release = release
        self._stream = stream
        self._max_bytes = max_bytes

    def __call__(self) -> Processor:
        """Load it."""
        loaded = obtain_release(self._settings, self._release)
        return Processor(
            loaded.scorer, self._release, self._stream, max_bytes=self._max_bytes, tries=1
        )
