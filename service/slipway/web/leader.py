"""Threads that take turns at watching connections: the pattern Leader/Followers.

One thread, the leader, waits for all connections and answers what arrives itself, so a quick
request is never handed from thread to thread, which costs more than to answer it. An answer that
takes longer than `HELD_UP` costs the leader the lead: the main thread, which looks every `TICK`
while there is anything to do, gives it to a thread that is free. Slow answers thus have threads of
their own. When none is free, the main thread notes what arrives and when, for whoever is free
first.

(D. Schmidt and others, Pattern-Oriented Software Architecture 2, 2000: Leader/Followers.)
"""

from __future__ import annotations

import contextlib
import errno
import select
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import structlog

# Seconds after which an answer is slow, and between two looks at the leader.
HELD_UP = TICK = 0.005
# Looks without anything to do, after which the main thread sleeps until there is.
QUIET = 20
# Seconds between two looks for connections that have been silent too long.
SWEEP = 1.0
# Seconds without accepting when the process has too many files open.
TOO_MANY_FILES = 0.05

log = structlog.get_logger(__name__)


class Connection(Protocol):
    """What is watched; `timeout` is when it has been silent for too long (monotonic clock)."""

    sock: socket.socket
    timeout: float

    def close(self) -> None:
        """Close the socket."""


class _Turn:
    """One thread's time as the leader: what it answers and since when, and whether it is over."""

    __slots__ = ("began", "connection", "over")

    def __init__(self) -> None:
        self.began = 0.0
        self.connection: Any = None
        self.over = False


class LeaderFollowers:
    """Watches listeners and connections with `threads` threads.

    `greet` accepts on a listener that has a connection, or raises OSError. `answer` reads from a
    connection, answers, and says whether to keep it; it is given the seconds that the connection
    has waited for a thread, as far as is known, and may block. Connections that are silent for
    `keepalive` seconds are closed; at most `most` are open at once.

    `start`, `tend`, `stop_accepting` and `stop` are for one thread, the main one; `wake` may be
    called from a signal's handler.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        greet: Callable[[socket.socket], Any],
        answer: Callable[[Any, float], bool],
        *,
        threads: int,
        most: int,
        keepalive: float,
    ) -> None:
        self._listeners = listeners
        self._greet = greet
        self._answer = answer
        self._threads = threads
        self._most = most
        self._keepalive = keepalive
        self._selector = selectors.DefaultSelector()
        self._accepting = False
        self._draining = False
        self._stopped = False
        # Who holds it watches: a follower that became the leader, or the main thread for a moment.
        self._lead = threading.Lock()
        # Guards a turn's end, and all that belongs to more than the leader alone.
        self._lock = threading.Lock()
        self._turn: _Turn | None = None
        # Watched just now; what is being answered by its leader is among them.
        self.watched: dict[Any, None] = {}
        # Noted by the main thread: connection, and since when it waits.
        self._noted: deque[tuple[Any, float]] = deque()
        # How many answers were begun, and how many the main thread knew of at its last look.
        self._answers = self._known = 0
        self._quiet = 0
        self._asleep = False
        self._swept = time.monotonic()
        self.open = 0
        # A byte to the main thread, and one to the leader.
        self._bell = _pair()
        self._knock = _pair()

    def start(self) -> None:
        """Begin to accept and to answer."""
        self._selector.register(self._knock[0], selectors.EVENT_READ)
        self._accept(self._open_to_all())
        for number in range(self._threads):
            name = f"answers-{number}"
            # A model that never answers must not keep the process from ending.
            threading.Thread(target=self._follow, name=name, daemon=True).start()

    def tend(self, seconds: float) -> None:
        """One look at the leader, or sleep of at most so many seconds while nothing happens."""
        if self._quiet < QUIET:
            select.select([self._bell[0]], [], [], min(TICK, seconds))
        else:
            self._asleep = True
            # What began before it could know that this sleeps does not ring.
            if not self._busy():
                select.select([self._bell[0]], [], [], seconds)
            self._asleep = False
        _drain(self._bell[0])
        self._look()

    def wake(self) -> None:
        """End a sleep of `tend`."""
        _ring(self._bell[1])

    def stop_accepting(self, linger: float) -> None:
        """Take no new connections, and keep silent ones for `linger` seconds at most."""
        self._keepalive = min(self._keepalive, linger)
        self._draining = True
        self._accept(False)
        end = time.monotonic() + self._keepalive
        with self._lock:
            for connection in self.watched:
                connection.timeout = min(connection.timeout, end)
        _ring(self._knock[1])

    def stop(self) -> None:
        """End the watching; what a thread is answering goes on for as long as the process does."""
        self._stopped = True
        _ring(self._knock[1])
        for each in self._bell:
            each.close()

    def _busy(self) -> bool:
        turn = self._turn
        return turn is None or bool(turn.began)

    # What the main thread does.

    def _look(self) -> None:
        """Take the lead from a thread that is held up; do the least of it where nobody can."""
        now = time.monotonic()
        turn = self._turn
        if turn is not None and turn.began and now - turn.began >= HELD_UP and self._end(turn, now):
            self._lead.release()
        quiet = self._known == self._answers and not self._busy()
        self._quiet = self._quiet + 1 if quiet else 0
        self._known = self._answers
        if self._turn is None and self._lead.acquire(blocking=False):
            try:
                self._note()
            finally:
                self._lead.release()

    def _end(self, turn: _Turn, now: float) -> bool:
        with self._lock:
            if turn.over or not turn.began or now - turn.began < HELD_UP:
                return False
            turn.over = True
            self._turn = None
            # Its client may go on sending, and that is not for the next leader.
            self._ignore(turn.connection)
            return True

    def _note(self) -> None:
        """Accept, and note what has something to say: all threads are held up."""
        now = time.monotonic()
        for key, _ in self._selector.select(0):
            if key.data is not None:
                with self._lock:
                    self._ignore(key.data)
                self._noted.append((key.data, now))
            elif key.fileobj is not self._knock[0]:
                self._welcome(key.fileobj)

    # What the other threads do.

    def _follow(self) -> None:
        while True:
            self._lead.acquire()
            turn = self._turn = _Turn()
            try:
                while not (self._stopped or turn.over):
                    self._watch(turn)
            # The top of a thread that the service lives by.
            except Exception:
                log.exception("watching connections failed")
            if not turn.over:
                self._turn = None
                self._lead.release()
            if self._stopped:
                break
        with self._lock:
            self._selector.close()
            for each in self._knock:
                each.close()

    def _watch(self, turn: _Turn) -> None:
        """Answer what has been noted, then what arrives, until the lead is lost."""
        while self._noted:
            connection, since = self._noted.popleft()
            self._serve(turn, connection, since)
            if turn.over:
                return
        events = self._selector.select(SWEEP / 10 if self._draining else SWEEP)
        now = time.monotonic()
        for key, _ in events:
            if key.data is not None:
                self._serve(turn, key.data, now)
                if turn.over:
                    return
            elif key.fileobj is self._knock[0]:
                _drain(self._knock[0])
            else:
                self._welcome(key.fileobj)
        if self._draining or now - self._swept >= SWEEP:
            self._sweep(now)

    def _serve(self, turn: _Turn, connection: Any, since: float) -> None:
        turn.connection = connection
        turn.began = began = time.monotonic()
        self._answers += 1
        if self._asleep:
            _ring(self._bell[1])
        keep = False
        try:
            keep = self._answer(connection, began - since) and not self._stopped
        finally:
            with self._lock:
                turn.began = 0.0
            if not keep:
                self._forget(connection)
        if keep:
            connection.timeout = time.monotonic() + self._keepalive
            if connection not in self.watched:
                self._regard(connection)

    def _welcome(self, listener: Any) -> None:
        try:
            connection = self._greet(listener)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                log.warning("cannot accept a connection", reason=error.strerror)
                time.sleep(TOO_MANY_FILES)
            # Else another process had it, or the client has gone again.
            return
        connection.timeout = time.monotonic() + self._keepalive
        with self._lock:
            self.open += 1
        self._regard(connection)
        self._accept(self._open_to_all())

    def _sweep(self, now: float) -> None:
        self._swept = now
        with self._lock:
            silent = [each for each in self.watched if each.timeout <= now]
        for connection in silent:
            self._forget(connection)

    # What both do.

    def _open_to_all(self) -> bool:
        return self.open < self._most and not self._draining

    def _accept(self, enabled: bool) -> None:
        with self._lock:
            if enabled == self._accepting:
                return
            self._accepting = enabled
            for listener in self._listeners:
                if enabled:
                    listener.setblocking(False)
                    self._selector.register(listener, selectors.EVENT_READ)
                else:
                    self._selector.unregister(listener)

    def _regard(self, connection: Any) -> None:
        with self._lock:
            self.watched[connection] = None
            self._selector.register(connection.sock, selectors.EVENT_READ, connection)

    def _ignore(self, connection: Any) -> None:
        """With the lock held."""
        if connection in self.watched:
            del self.watched[connection]
            # One that has closed itself is known no more.
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(connection.sock)

    def _forget(self, connection: Any) -> None:
        with self._lock:
            self._ignore(connection)
            self.open -= 1
        with contextlib.suppress(OSError):
            connection.close()
        self._accept(self._open_to_all())


def _pair() -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


def _ring(end: socket.socket) -> None:
    # Full: it has been rung already.
    with contextlib.suppress(OSError):
        end.send(b"\0")


def _drain(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.recv(4096)
