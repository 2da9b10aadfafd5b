"""Requests that keep coming while a demo does something else, and who answered them."""

from __future__ import annotations

import collections
import contextlib
import http.client
import itertools
import json
import threading
from types import TracebackType

RIDE = {"PULocationID": 10, "DOLocationID": 50}
HEADERS = {"Content-Type": "application/json"}
# Seconds for one answer.
PATIENCE = 10.0


class Traffic:
    """`clients` threads that each ask again when they have their answer, in the length of a block.

    Each request is a ride of its own, by a rider of its own.
    """

    def __init__(self, port: int, clients: int = 2) -> None:
        self._port = port
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._answers: collections.Counter[str] = collections.Counter()
        self._failed = 0
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)

    def counted(self) -> tuple[dict[str, int], int]:
        """Answers by run id since the last call, and how many requests failed."""
        with self._lock:
            answers, failed = dict(self._answers), self._failed
            self._answers.clear()
            self._failed = 0
        return answers, failed

    def _run(self) -> None:
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        ) as connection:
            while not self._stop.is_set():
                run_id = self._ask(connection, next(self._numbers))
                with self._lock:
                    self._failed += run_id is None
                    if run_id is not None:
                        self._answers[run_id] += 1

    @staticmethod
    def _ask(connection: http.client.HTTPConnection, number: int) -> str | None:
        """The run id that answered, None if nothing did."""
        ride = json.dumps(RIDE | {"trip_distance": 0.5 + number % 200 / 10})
        try:
            connection.request("POST", "/predict", ride, HEADERS | {"X-Slipway-Key": str(number)})
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            # The next request opens another one.
            connection.close()
            return None
        return answer.getheader("X-Slipway-Run-Id", "") if answer.status == 200 else None
