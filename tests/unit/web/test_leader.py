"""The pattern Leader/Followers over real sockets and threads."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.unit.web.conftest import Lines
from tests.waiting import until

from slipway.web import leader as module
from slipway.web.leader import HELD_UP, LeaderFollowers


class Accepted:
    """A connection as the watch knows it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.timeout = 0.0

    def close(self) -> None:
        self.sock.close()


class Service:
    """Echoes lines; `wait` blocks until `release`, `end` ends the connection, `raise` raises."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.threads: set[int] = set()
        self.waited: dict[bytes, float] = {}
        self.answering = 0

    def greet(self, listener: socket.socket) -> Accepted:
        sock, _ = listener.accept()
        sock.setblocking(True)
        return Accepted(sock)

    def answer(self, connection: Accepted, waited: float) -> bool:
        line = connection.sock.recv(100)
        if not line:
            return False
        self.threads.add(threading.get_ident())
        self.waited[line] = waited
        if line.startswith(b"wait"):
            self.answering += 1
            self.release.wait(20)
        if line == b"raise":
            raise ZeroDivisionError
        connection.sock.sendall(line)
        return line != b"end"


class Running:
    """A watch with a thread that tends it, as a worker's main thread does."""

    def __init__(self, service: Service, listener: socket.socket, **given: Any) -> None:
        plan = {"threads": 3, "most": 10, "keepalive": 60.0, **given}
        self.listener = listener
        self.service = service
        self.watch = LeaderFollowers([listener], service.greet, service.answer, **plan)
        self._ended = threading.Event()
        self._main = threading.Thread(target=self._tend)
        self.watch.start()
        self._main.start()

    def _tend(self) -> None:
        while not self._ended.is_set():
            self.watch.tend(1.0)

    def client(self) -> socket.socket:
        return socket.create_connection(self.listener.getsockname(), timeout=10)

    def end(self) -> None:
        self.service.release.set()
        self._ended.set()
        self.watch.wake()
        self._main.join(10)
        assert not self._main.is_alive()
        self.watch.stop()
        for each in list(self.watch.watched):
            each.close()


Start = Callable[..., Running]


@pytest.fixture
def start() -> Iterator[Start]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running: list[Running] = []

        def begin(**given: Any) -> Running:
            running.append(Running(Service(), listener, **given))
            return running[-1]

        yield begin
        for each in running:
            each.end()


def asked(client: socket.socket, line: bytes) -> bytes:
    client.sendall(line)
    return client.recv(100)


@contextmanager
def clients(running: Running, count: int) -> Iterator[list[socket.socket]]:
    opened = [running.client() for _ in range(count)]
    try:
        yield opened
    finally:
        for each in opened:
            each.close()


def test_quick_answers_stay_with_one_thread(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HELD_UP", 5.0)
    running = start()
    with clients(running, 5) as opened:
        for turn in range(20):
            line = b"%d" % turn
            assert [asked(each, line) for each in opened] == [line] * 5
    assert len(running.service.threads) == 1


def test_A12_an_answer_that_takes_long_holds_up_nobody_else(start: Start) -> None:
    """A12. Its thread is its own; the others take turns at the rest."""
    running = start(threads=2)
    with clients(running, 3) as (slow, *quick):
        slow.sendall(b"wait")
        until(lambda: running.service.answering == 1)
        for turn in range(5):
            assert [asked(each, b"%d" % turn) for each in quick] == [b"%d" % turn] * 2
        running.service.release.set()
        assert slow.recv(100) == b"wait"
        assert asked(slow, b"again") == b"again"


def test_what_arrives_while_all_threads_are_held_up_is_answered_with_its_time(
    start: Start,
) -> None:
    running = start(threads=2)
    with clients(running, 3) as (first, second, waiting):
        first.sendall(b"wait 1")
        until(lambda: running.service.answering == 1)
        second.sendall(b"wait 2")
        until(lambda: running.service.answering == 2)
        with clients(running, 1) as (late,):
            waiting.sendall(b"known")
            late.sendall(b"new")
            began = time.monotonic()
            until(lambda: len(running.watch._noted) == 2)
            time.sleep(0.3)
            running.service.release.set()
            assert (waiting.recv(100), late.recv(100)) == (b"known", b"new")
            took = time.monotonic() - began
        assert first.recv(100) == b"wait 1"
    waited = running.service.waited
    assert all(0.25 < waited[line] <= took for line in (b"known", b"new"))
    assert waited[b"wait 1"] < 0.25


def test_a_client_that_sends_on_while_it_is_answered_gets_its_next_answer(start: Start) -> None:
    """What it sends meanwhile must not come to another thread."""
    running = start(threads=3)
    with clients(running, 1) as (client,):
        client.sendall(b"wait")
        until(lambda: running.service.answering == 1)
        until(lambda: not running.watch.watched)
        client.sendall(b"next")
        time.sleep(10 * HELD_UP)
        assert b"next" not in running.service.waited
        running.service.release.set()
        assert client.makefile("rb").read(8) == b"waitnext"


@pytest.mark.parametrize("last", [b"end", b"raise"])
def test_a_connection_that_ends_is_closed_and_the_rest_goes_on(start: Start, last: bytes) -> None:
    running = start()
    with clients(running, 2) as (client, other):
        assert asked(other, b"1") == b"1"
        client.sendall(last)
        assert client.recv(100) == (b"end" if last == b"end" else b"")
        assert client.recv(100) == b""
        assert asked(other, b"2") == b"2"
        until(lambda: running.watch.open == 1)


def test_a_connection_that_is_silent_for_too_long_is_closed(start: Start) -> None:
    running = start(keepalive=0.3)
    with clients(running, 1) as (client,):
        assert asked(client, b"1") == b"1"
        assert client.recv(100) == b""
        until(lambda: running.watch.open == 0)


def test_beyond_the_most_a_connection_waits_for_another_to_end(start: Start) -> None:
    running = start(most=2)
    with clients(running, 2) as (first, second):
        assert [asked(each, b"1") for each in (first, second)] == [b"1"] * 2
        with clients(running, 1) as (third,):
            third.sendall(b"2")
            third.settimeout(0.2)
            with pytest.raises(TimeoutError):
                third.recv(100)
            third.settimeout(10)
            first.close()
            assert third.recv(100) == b"2"


def test_a_drain_takes_no_more_and_keeps_silent_ones_for_a_while(start: Start) -> None:
    running = start()
    with clients(running, 2) as (client, slow):
        assert asked(client, b"1") == b"1"
        slow.sendall(b"wait")
        until(lambda: running.service.answering == 1)
        running.watch.stop_accepting(0.4)
        assert asked(client, b"2") == b"2"
        with clients(running, 1) as (late,):
            late.sendall(b"3")
            assert client.recv(100) == b""
            assert running.watch.open == 1
            running.service.release.set()
            assert slow.recv(100) == b"wait"
            assert slow.recv(100) == b""
        until(lambda: running.watch.open == 0)
    assert b"3" not in running.service.waited


def test_with_too_many_files_open_it_says_so_and_goes_on(
    start: Start, log_lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = start()
    greet = running.watch._greet
    left = [errno.EMFILE, errno.ECONNABORTED]

    def failing(listener: socket.socket) -> Any:
        if left:
            raise OSError(left.pop(0), "too many open files")
        return greet(listener)

    monkeypatch.setattr(running.watch, "_greet", failing)
    with clients(running, 1) as (client,):
        assert asked(client, b"1") == b"1"
    assert [line["reason"] for line in log_lines()] == ["too many open files"]


def test_it_sleeps_when_there_is_nothing_to_do_and_wakes_for_a_slow_answer(start: Start) -> None:
    running = start(threads=2)
    with clients(running, 2) as (slow, quick):
        until(lambda: running.watch._asleep)
        slow.sendall(b"wait")
        until(lambda: running.service.answering == 1)
        assert asked(quick, b"1") == b"1"


def test_every_request_is_answered_once_with_quick_and_slow_ones_mixed(start: Start) -> None:
    """Threads lose the lead and get it back all the time; no request is lost or answered twice."""
    running = start(threads=4, most=40)
    echo = running.watch._answer

    def sometimes_slow(connection: Any, waited: float) -> bool:
        keep = echo(connection, waited)
        if len(running.service.waited) % 7 == 0:
            time.sleep(1.2 * HELD_UP)
        return keep

    running.watch._answer = sometimes_slow
    wrong: list[Any] = []

    def drive(number: int) -> None:
        with clients(running, 1) as (client,):
            for turn in range(100):
                line = b"%d/%d" % (number, turn)
                if (answer := asked(client, line)) != line:
                    wrong.append((line, answer))

    drivers = [threading.Thread(target=drive, args=(number,)) for number in range(12)]
    for each in drivers:
        each.start()
    for each in drivers:
        each.join(60)
    assert (wrong, len(running.service.waited)) == ([], 1200)
    until(lambda: running.watch.open == 0)
    assert len(running.service.threads) > 1
