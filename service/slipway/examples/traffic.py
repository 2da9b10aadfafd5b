"""Requests that keep coming while a demo does something else, and who answered them."""

from __future__ import annotations

import collections
import contextlib
import http.client
import itertools
import json
import threading
from types import TracebackType

from slipway.examples.synthetic import Recipe, make_month
from slipway.usecases.rides import DISTANCE, DROPOFF_ZONE, PICKUP_ZONE

# What is asked, again and again from the first on; a ride a rider.
RIDES = Recipe("green", 2021, 4, rows=5_000, dirt=0.0)
HEADERS = {"Content-Type": "application/json"}
# Seconds for one answer.
PATIENCE = 10.0
# Seconds that a client thinks: what is started meanwhile needs the processors too.
PAUSE = 0.005


class Traffic:
    """`clients` threads that each ask again when they have their answer, in the length of a block.

    The rides are of a month that nothing was trained on, each by a rider of its own.
    """

    def __init__(self, port: int, clients: int = 2) -> None:
        self._port = port
        month = make_month(RIDES).select([PICKUP_ZONE, DROPOFF_ZONE, DISTANCE])
        self._rides = [json.dumps(ride) for ride in month.to_pylist()]
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._answers: collections.Counter[str] = collections.Counter()
        self._failures: collections.Counter[str] = collections.Counter()
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

    def counted(self) -> tuple[dict[str, int], dict[str, int]]:
        """Answers by run id since the last call, and failures by what came in their place."""
        with self._lock:
            answers, failures = dict(self._answers), dict(self._failures)
            self._answers.clear()
            self._failures.clear()
        return answers, failures

    def _run(self) -> None:
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        ) as connection:
            while not self._stop.wait(PAUSE):
                run_id, failure = self._ask(connection, next(self._numbers))
                with self._lock:
                    if failure:
                        self._failures[failure] += 1
                    else:
                        self._answers[run_id] += 1

    def _ask(self, connection: http.client.HTTPConnection, number: int) -> tuple[str, str]:
        """The run id that answered, or what came in place of an answer."""
        ride = self._rides[number % len(self._rides)]
        try:
            connection.request("POST", "/predict", ride, HEADERS | {"X-Slipway-Key": str(number)})
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            # The next request opens another one.
            connection.close()
            return "", type(error).__name__
        if answer.status != 200:
            return "", f"{answer.status}: {body.decode(errors='replace')[:200]}"
        return answer.getheader("X-Slipway-Run-Id", ""), ""
