"""The worker's own habits, each by itself; as a whole they are shown in tests/stories."""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.http import errors as http_errors
from gunicorn.http import wsgi as http_wsgi
from gunicorn.workers.gthread import TConn
from tests.in_process import EXAMPLE, RIDE
from tests.stub_models import loaded
from tests.unit.web.conftest import Lines

from slipway.errors import InvalidConfig
from slipway.settings import ServeSettings, read_settings
from slipway.web import worker as module
from slipway.web.app import create_app, service_of
from slipway.web.body import WAITED
from slipway.web.direct import Direct
from slipway.web.worker import Worker, closing, linger

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two ends of one connection: ours and the client's."""
    ours, clients = socket.socketpair()
    clients.settimeout(5)
    yield ours, clients
    ours.close()
    clients.close()


def bare_worker(**attributes: Any) -> Worker:
    """A worker without the master, sockets and files that it is given at its start."""
    worker: Worker = object.__new__(Worker)
    for name, value in attributes.items():
        setattr(worker, name, value)
    return worker


def everything(connection: socket.socket) -> bytes:
    received = b""
    while part := connection.recv(65536):
        received += part
    return received


REFUSED = {
    http_errors.UnsupportedTransferCoding: 501,
    http_errors.LimitRequestLine: 414,
    http_errors.LimitRequestHeaders: 431,
    http_errors.ExpectationFailed: 417,
    http_errors.ForbiddenProxyRequest: 403,
}


@pytest.mark.parametrize(
    "kind", http_errors.ParseException.__subclasses__(), ids=lambda kind: kind.__name__
)
def test_A8_whatever_gunicorn_cannot_parse_is_the_clients_fault(
    kind: type[Exception], pair: Pair, log_lines: Lines
) -> None:
    """A8: rows 80 to 107. A parser's error of a later gunicorn is a 400 as well."""
    ours, clients = pair
    error = kind.__new__(kind)
    bare_worker().handle_error(None, ours, ("192.0.2.1", 1), error)
    ours.close()
    head, _, body = everything(clients).partition(b"\r\n\r\n")
    status = REFUSED.get(kind, 400)
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"Connection: close" in head
    assert json.loads(body)["status"] == status
    (line,) = log_lines()
    assert (line["level"], line["status"], line["client"]) == ("info", status, "192.0.2.1")


def test_what_is_no_error_of_parsing_is_a_500_whose_text_stays_here(
    pair: Pair, log_lines: Lines
) -> None:
    ours, clients = pair
    bare_worker().handle_error(None, ours, "unix", RuntimeError("a user's own"))
    ours.close()
    answer = everything(clients)
    (line,) = log_lines()
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b"a user's own" not in answer
    assert line["level"] == "error"
    assert line["exception"].endswith("RuntimeError")


def test_a_client_that_has_gone_before_its_refusal_is_no_error(pair: Pair) -> None:
    ours, clients = pair
    clients.close()
    bare_worker().handle_error(None, ours, None, http_errors.InvalidHeader("x"))


class Response:
    """gunicorn's response, as far as an application sees it through `start_response`."""

    def __init__(self) -> None:
        self.closes = False

    def force_close(self) -> None:
        self.closes = True

    def start_response(self, status: str, headers: list[tuple[str, str]]) -> None:
        self.started = status, headers


@pytest.mark.parametrize(
    ("headers", "closes"),
    [([("Connection", "close")], True), ([("X", "close")], False), ([], False)],
)
def test_A7_an_answer_may_end_its_connection(headers: list[tuple[str, str]], closes: bool) -> None:
    response = Response()

    def application(_environ: Any, start_response: Any) -> list[bytes]:
        start_response("413 x", headers)
        return [b"body"]

    assert closing(application)({}, response.start_response) == [b"body"]
    assert response.closes is closes
    assert response.started == ("413 x", headers)


def test_the_last_answer_reaches_a_client_that_is_still_sending(pair: Pair) -> None:
    """With unread bytes a plain close is a reset, which may overtake the answer."""
    ours, clients = pair
    clients.sendall(b"x" * 50_000)
    ours.sendall(b"answer")
    waiting = threading.Thread(target=linger, args=(ours,))
    waiting.start()
    assert everything(clients) == b"answer"
    clients.sendall(b"y" * 50_000)
    clients.shutdown(socket.SHUT_WR)
    waiting.join(5)
    assert not waiting.is_alive()


def test_it_lingers_neither_for_ever_nor_for_any_number_of_bytes(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, clients = pair
    monkeypatch.setattr(module, "LINGER", 0.05)
    linger(ours)
    assert clients.recv(1) == b""
    monkeypatch.setattr(module, "LINGER", 60.0)
    monkeypatch.setattr(module, "MAX_LINGER_BYTES", 1_000)
    ours, clients = socket.socketpair()
    clients.sendall(b"x" * 1_000)
    linger(ours)
    ours.close()
    clients.close()


def loading(failure: BaseException | None) -> Worker:
    def wsgi() -> Any:
        if failure:
            raise failure
        return SimpleNamespace(drain=lambda: "drained")

    return bare_worker(
        app=SimpleNamespace(wsgi=wsgi), log=SimpleNamespace(), cfg=SimpleNamespace(reload=False)
    )


def test_B1_a_service_that_cannot_start_ends_the_master_too() -> None:
    """FAULTS finding 7: with another code gunicorn would start workers for ever."""
    with pytest.raises(SystemExit) as ended:
        loading(InvalidConfig("x")).load_wsgi()
    assert ended.value.code == Arbiter.APP_LOAD_ERROR


def test_an_error_that_is_not_ours_is_left_to_gunicorn() -> None:
    with pytest.raises(ZeroDivisionError):
        loading(ZeroDivisionError()).load_wsgi()


def test_who_loads_takes_over_the_applications_way_to_drain() -> None:
    worker = loading(None)
    worker.load_wsgi()
    assert worker.drain() == "drained"


def test_A15_a_signal_before_the_model_is_loaded_and_one_after_both_drain() -> None:
    told: list[str] = []
    early = bare_worker(alive=True)
    early.handle_exit(15, None)
    watch = SimpleNamespace(wake=lambda: told.append("woken"))
    late = bare_worker(alive=True, watch=watch, drain=lambda: told.append("drained"))
    late.handle_exit(2, None)
    assert told == ["drained", "woken"]
    assert (early.alive, late.alive) == (False, False)


@pytest.fixture
def accepted() -> Iterator[tuple[Worker, Any, socket.socket]]:
    """A worker with a connection that it has accepted, and the client's end of it."""
    settings = Config()
    settings.set("http_protocols", "h1")
    worker = bare_worker(
        cfg=settings,
        log=SimpleNamespace(access=lambda *_: None, debug=lambda *_: None),
        alive=True,
        nr=0,
        max_requests=sys.maxsize,
        keepalived_conns={},
        max_keepalived=9,
        _turn=threading.local(),
    )
    worker.wsgi = closing(worker._timed(asked))
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname(), timeout=5) as client,
    ):
        connection = worker.greet(listener)
        yield worker, connection, client
        connection.close()


def asked(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answers with the path, the scheme, and how long it waited."""
    body = f"{environ['PATH_INFO']} {environ['wsgi.url_scheme']} {environ[WAITED]}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def test_slow_clients_are_bounded_on_the_socket_itself(accepted: Any) -> None:
    """Reads and writes of a handler block for SILENCE seconds at most, whatever gunicorn does."""
    _, connection, _ = accepted
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        assert connection.sock.getsockopt(socket.SOL_SOCKET, option, 16) == module._TIMEVAL


def test_requests_that_came_in_one_piece_are_all_answered(accepted: Any) -> None:
    """What was read with the last request does not make the socket readable again."""
    worker, connection, client = accepted
    client.sendall(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % n for n in range(3)))
    assert worker.answer(connection, 0.25) is True
    answers = client.recv(65536)
    while answers.count(b"/2 ") < 1:
        answers += client.recv(65536)
    assert [b"/%d http 0.25" % n in answers for n in range(3)] == [True] * 3


PREDICTION = json.dumps(RIDE).encode()
HEAD = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
SIZED = HEAD + b"Content-Length: %d\r\n" % len(PREDICTION)
REQUESTS = {
    "plain": SIZED + b"\r\n" + PREDICTION,
    "ids": SIZED + b"X-Slipway-Pair: p\r\nX-Slipway-Key: k\r\n\r\n" + PREDICTION,
    "chunked": HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(PREDICTION)
    + PREDICTION + b"\r\n0\r\n\r\n",
    "too large": HEAD + b"Content-Length: 9999999\r\n\r\n",
    "broken": HEAD + b"Content-Length: 1\r\n\r\n{",
    "no length": HEAD + b"\r\n",
    "closing": SIZED + b"Connection: close\r\n\r\n" + PREDICTION,
    "twice": SIZED + b"X-Request-Id: other\r\n\r\n" + PREDICTION,
    "1.0": SIZED.replace(b"1.1", b"1.0") + b"\r\n" + PREDICTION,
    "1.0 kept": SIZED.replace(b"1.1", b"1.0") + b"Connection: keep-alive\r\n\r\n" + PREDICTION,
    "encoded path": SIZED.replace(b"/predict", b"/%70redict") + b"\r\n" + PREDICTION,
    "query": SIZED.replace(b"/predict", b"/predict?a=b") + b"\r\n" + PREDICTION,
    "get": b"GET /predict HTTP/1.1\r\nHost: x\r\n\r\n",
    "nowhere": b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    "v2": b"POST /v2/models/slipway/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
}  # fmt: skip


def read_answer(worker: Worker, connection: Any, client: socket.socket) -> tuple[Any, ...]:
    """Whether the connection is kept, status line, headers in order of their names, body."""
    kept = worker.answer(connection, 0.0)
    head, _, body = client.recv(65536).partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return kept, first, sorted(line for line in lines if not line.startswith("Date:")), body


@pytest.mark.parametrize("name", REQUESTS)
def test_A8_without_WSGI_in_between_the_answer_is_the_same(
    accepted: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, connection, client = accepted
    monkeypatch.setattr(module, "linger", lambda _socket: None)
    settings = read_settings(ServeSettings)
    app = create_app(settings, loaded(), example=EXAMPLE)
    direct = Direct(service_of(app).answers, settings, app.wsgi_app)
    worker.wsgi = closing(worker._timed(direct))
    request = REQUESTS[name].replace(b"Host: x", b"Host: x\r\nX-Request-Id: one")
    told = []
    for shortcut in (direct, None):
        worker.direct = shortcut
        again = TConn(worker.cfg, connection.sock, connection.client, connection.server)
        again.data_ready = True
        client.sendall(request)
        told.append(read_answer(worker, again, client))
    assert told[0] == told[1]
    assert told[0][1].startswith("HTTP/1.")


def test_an_answer_while_draining_ends_its_connection(accepted: Any) -> None:
    worker, connection, client = accepted
    app = create_app(read_settings(ServeSettings), loaded(), example=EXAMPLE)
    worker.direct = Direct(service_of(app).answers, read_settings(ServeSettings), app.wsgi_app)
    worker.alive = False
    client.sendall(REQUESTS["plain"])
    client.shutdown(socket.SHUT_WR)
    kept, first, headers, _ = read_answer(worker, connection, client)
    assert (kept, first) == (False, "HTTP/1.1 200 OK")
    assert "Connection: close" in headers


def test_nobody_may_set_the_scheme(accepted: Any) -> None:
    worker, connection, client = accepted
    client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-Proto: https\r\n\r\n")
    assert worker.answer(connection, 0.0) is True
    assert b"/ http 0.0" in client.recv(65536)


def test_the_date_of_an_answer_is_that_of_its_second(
    accepted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, connection, client = accepted
    for now, date in ((0.9, b"00:00:00"), (59.0, b"00:00:59"), (59.9, b"00:00:59")):
        monkeypatch.setattr("slipway.web.worker.time.time", lambda now=now: now)
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        worker.answer(connection, 0.0)
        assert b"Date: Thu, 01 Jan 1970 %s GMT\r\n" % date in client.recv(65536)


def test_a_client_that_has_gone_loses_its_connection(accepted: Any) -> None:
    worker, connection, client = accepted
    client.close()
    assert worker.answer(connection, 0.0) is False


@pytest.mark.parametrize(
    ("method", "parts", "writes"),
    [
        ("GET", [b"[1.5]"], 1),
        ("GET", [b"[1.5", b"]"], 2),
        ("GET", [], 1),
        ("HEAD", [b"[1.5]"], 1),
    ],
)
def test_A2_an_answer_is_written_with_its_head(
    method: str, parts: list[bytes], writes: int
) -> None:
    """Between two writes a killed pod would leave the router half an answer."""
    ours, clients = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)  # a recv per write
    with ours, clients:
        request = SimpleNamespace(method=method, version=(1, 1), should_close=lambda: False)
        response = http_wsgi.Response(request, ours, Config())
        length = sum(map(len, parts))
        response.start_response("200 OK", [("Content-Length", str(length))])
        for part in parts:
            response.write(part)
        response.close()
        ours.shutdown(socket.SHUT_WR)
        written = list(iter(lambda: clients.recv(65536), b""))
    head, _, body = b"".join(written).partition(b"\r\n\r\n")
    assert len(written) == writes
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"Content-Length: {length}".encode() in head
    assert body == (b"" if method == "HEAD" else b"".join(parts))


def test_a_chunked_answer_keeps_its_frames() -> None:
    ours, clients = socket.socketpair()
    with ours, clients:
        request = SimpleNamespace(method="GET", version=(1, 1), should_close=lambda: False)
        response = http_wsgi.Response(request, ours, Config())
        response.start_response("200 OK", [])
        response.write(b"abc")
        response.close()
        ours.shutdown(socket.SHUT_WR)
        assert everything(clients).endswith(b"\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
