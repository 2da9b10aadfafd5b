"""A closed-loop load on 127.0.0.1: a few clients, each asks again when it has its answer.

With a `rate` they do so no oftener than that many times a second, all together.

What came back is counted by phase, so a test can say what happened before, while and after it broke
something. It ends by itself after `limit` requests; nothing is measured but counts.

    with Load(port, limit=5_000) as load:
        load.wait(500)                  # so many answers in this phase
        load.phase("killed")            # ... and from now on they count for another
        backend.kill()
        load.wait(2_000)
    assert load.failed() == 0
"""

from __future__ import annotations

import collections
import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import TracebackType

from tests.waiting import until

HOST = "127.0.0.1"
RIDE = b'{"PULocationID": 10, "DOLocationID": 50, "trip_distance": 4}'
# Seconds after which an answer does not come any more.
PATIENCE = 60.0

Request = Callable[[int], bytes]


@dataclass
class Phase:
    """What came back in one part of the load."""

    statuses: collections.Counter[int] = field(default_factory=collections.Counter)
    slots: collections.Counter[str] = field(default_factory=collections.Counter)
    # Which version each slot said that it was.
    versions: collections.Counter[tuple[str, str]] = field(default_factory=collections.Counter)
    fallbacks: int = 0
    # What a client saw in place of an answer.
    broken: collections.Counter[str] = field(default_factory=collections.Counter)

    @property
    def answered(self) -> int:
        """Answers of any status."""
        return sum(self.statuses.values())

    @property
    def failed(self) -> int:
        """Answers that are no 200, and connections that broke."""
        return self.answered - self.statuses[200] + sum(self.broken.values())


def ride(number: int, *headers: str, body: bytes = RIDE) -> bytes:
    """A prediction request; a key for each number."""
    lines = [
        "POST /predict HTTP/1.1",
        "Host: test",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        f"X-Slipway-Key: key-{number}",
        *headers,
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body


class Load:
    """`clients` threads; the even ones keep their connections, the odd ones don't (`fresh`).

    `request` makes the bytes for a number, `seen` is told which slot answered it.
    """

    def __init__(
        self,
        port: int,
        *,
        limit: int,
        clients: int = 4,
        request: Request = ride,
        fresh: Callable[[int], bool] = lambda client: client % 2 == 1,
        seen: Callable[[int, str], None] = lambda _number, _slot: None,
        rate: float = float("inf"),
    ) -> None:
        self._port = port
        self._limit = limit
        self._request = request
        self._seen = seen
        self._rate = rate
        self._due = 0.0
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._current = Phase()
        self.phases: dict[str, Phase] = {"begin": self._current}
        self._threads = [
            threading.Thread(target=self._run, args=(fresh(client),), daemon=True)
            for client in range(clients)
        ]

    def __enter__(self) -> Load:
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

    def phase(self, name: str) -> Phase:
        """Count for another phase from now on."""
        with self._lock:
            self._current = self.phases.setdefault(name, Phase())
            return self._current

    def wait(self, answers: int, seconds: float = PATIENCE) -> None:
        """Until the current phase has so many answers, or the load has reached its limit."""

        def enough() -> bool:
            alive = any(thread.is_alive() for thread in self._threads)
            return self._current.answered >= answers or not alive

        until(enough, seconds, f"{answers} answers")

    @property
    def sent(self) -> int:
        """Requests of all phases that were answered or broke."""
        return sum(p.answered + sum(p.broken.values()) for p in self.phases.values())

    @property
    def failed(self) -> int:
        """Failures of all phases."""
        return sum(phase.failed for phase in self.phases.values())

    def told(self) -> str:
        """What a failing assertion should show."""
        return "; ".join(f"{name}: {phase}" for name, phase in self.phases.items())

    def _run(self, fresh: bool) -> None:
        with contextlib.ExitStack() as stack:
            connection: _Connection | None = None
            for number in self._mine():
                try:
                    if connection is None:
                        connection = stack.enter_context(_Connection(self._port))
                    status, headers = connection.ask(self._request(number))
                except OSError as error:
                    self._count_broken(type(error).__name__)
                    connection = None
                    stack.close()
                    continue
                self._count(status, headers)
                self._seen(number, headers.get("x-slipway-slot", ""))
                if fresh or headers.get("connection") == "close":
                    connection = None
                    stack.close()

    def _mine(self) -> Iterator[int]:
        while not self._stop.is_set() and (number := next(self._numbers)) < self._limit:
            if self._stop.wait(self._early()):
                return
            yield number

    def _early(self) -> float:
        """Seconds until the next request is due; one that is late is not made up for by a burst."""
        with self._lock:
            now = time.monotonic()
            self._due = max(self._due + 1 / self._rate, now)
            return self._due - now

    def _count(self, status: int, headers: dict[str, str]) -> None:
        with self._lock:
            self._current.statuses[status] += 1
            slot = headers.get("x-slipway-slot", "")
            self._current.slots[slot] += 1
            self._current.versions[slot, headers.get("x-slipway-run-id", "")] += 1
            self._current.fallbacks += "x-slipway-fallback" in headers

    def _count_broken(self, what: str) -> None:
        with self._lock:
            self._current.broken[what] += 1


class _Connection:
    """One connection; strict in what it takes for an answer, so that nothing is glossed over."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._left = b""

    def __enter__(self) -> _Connection:
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.close()

    def ask(self, request: bytes) -> tuple[int, dict[str, str]]:
        """Status and headers of the answer; raises OSError when there is none, or half of one."""
        self._socket.sendall(request)
        received = self._left
        while b"\r\n\r\n" not in received:
            received += self._more()
        head, _, rest = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        length = int(headers["content-length"])
        while len(rest) < length:
            rest += self._more()
        self._left = rest[length:]
        return int(first.split(" ")[1]), headers

    def _more(self) -> bytes:
        part = self._socket.recv(65536)
        if not part:
            raise ConnectionError("closed before the whole answer")
        return part
