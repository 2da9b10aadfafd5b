"""gunicorn's threaded worker with the habits that a prediction service needs otherwise.

Its threads take turns at watching the connections (web/leader.py), so that a quick request is not
handed from one to another. It drains on SIGINT and SIGHUP as on SIGTERM, tells the service so that
/readyz says it, gives a slow model time to load, ends the master with one clear line when it cannot
be loaded, answers what is no HTTP with a problem document, writes an answer in one piece, and never
lets one client hold up all the others.
"""

from __future__ import annotations

import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import structlog
from gunicorn import util
from gunicorn.arbiter import Arbiter
from gunicorn.http import errors as http_errors
from gunicorn.http import wsgi as http_wsgi
from gunicorn.http.message import Request as BaseRequest
from gunicorn.http.parser import RequestParser
from gunicorn.workers.base import Worker as Base
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

from slipway.errors import SlipwayError
from slipway.web.body import WAITED
from slipway.web.direct import STATUS_LINES, Direct
from slipway.web.errors import PROBLEM_JSON, http_problem
from slipway.web.leader import LeaderFollowers

# Seconds of silence after which a client that owes bytes, or does not take them, is given up.
SILENCE = 5
# Seconds that a connection is kept open for a client to read its last answer, and how many bytes
# of what it still sends are thrown away meanwhile.
LINGER, MAX_LINGER_BYTES = 1.0, 1 << 20

SERVER = "slipway"

_TIMEVAL = struct.pack("ll", SILENCE, 0)
_STATUS: dict[type[Exception], int] = {
    http_errors.UnsupportedTransferCoding: 501,
    http_errors.LimitRequestLine: 414,
    http_errors.LimitRequestHeaders: 431,
    http_errors.ExpectationFailed: 417,
    http_errors.ForbiddenProxyRequest: 403,
    http_errors.ParseException: 400,
}

log = structlog.get_logger(__name__)

StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class Worker(ThreadWorker):  # type: ignore[misc]
    """`gthread` for an application that may have a method `drain`; see web/wsgi.py."""

    watch: LeaderFollowers | None = None
    direct: Direct | None = None

    def init_signals(self) -> None:
        """Ctrl-C and a closed terminal reach every process of the group, so also this one."""
        super().init_signals()
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self.handle_exit)
            signal.siginterrupt(number, False)

    def load_wsgi(self) -> None:
        """Load the model; the master waits as long as that goes on, and ends when it fails."""
        loaded = threading.Event()

        def beat() -> None:
            while not loaded.wait(1.0):
                self.notify()

        threading.Thread(target=beat, name="loading", daemon=True).start()
        try:
            super().load_wsgi()
        except SlipwayError:
            # It has been told (web/wsgi.py). With this code the master stops too; with another
            # it would start workers for ever.
            sys.exit(Arbiter.APP_LOAD_ERROR)
        finally:
            loaded.set()
        application: Any = self.app.wsgi()
        self.drain = getattr(application, "drain", lambda: None)
        self.direct = getattr(application, "direct", None)
        self._turn = threading.local()
        self.wsgi = closing(self._timed(application))

    def _timed(self, application: Application) -> Application:
        """Tell the application how long the request has waited for this thread."""

        def call(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
            environ[WAITED] = self._turn.waited
            return application(environ, start_response)

        return call

    def init_process(self) -> None:
        """Start without the base's pool and poller."""
        # A request asks for some twenty settings; as attributes they are not looked up in two
        # tables each. Nothing changes them in a worker.
        known: dict[str, Any] = self.cfg.__dict__
        known.update({name: setting.get() for name, setting in self.cfg.settings.items()})
        Base.init_process(self)

    def run(self) -> None:
        """Answer until told to end, then what has been begun, within the time for that."""
        watch = self.watch = LeaderFollowers(
            self.sockets,
            self.greet,
            self.answer,
            threads=self.cfg.threads,
            most=self.worker_connections,
            keepalive=self.cfg.keepalive,
        )
        # The base closes connections beyond a number of kept ones.
        self.keepalived_conns = watch.watched
        watch.start()
        while self.alive and self.is_parent_alive():
            self.notify()
            watch.tend(1.0)
        # A client may be sending its next request already: that one is answered, and told to close.
        watch.stop_accepting(STOP_KEEPALIVE_LINGER)
        end = time.monotonic() + self.cfg.graceful_timeout
        while watch.open and time.monotonic() < end:
            self.notify()
            watch.tend(0.1)
        watch.stop()
        for listener in self.sockets:
            listener.close()

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin to drain."""
        del sig, frame
        getattr(self, "drain", lambda: None)()
        self.alive = False
        if self.watch:
            self.watch.wake()

    def handle_quit(self, sig: int, frame: Any) -> None:
        """End at once."""
        Base.handle_quit(self, sig, frame)

    def greet(self, listener: socket.socket) -> TConn:
        """A new connection, which never holds up a thread for ever."""
        client, address = listener.accept()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL)
        connection = TConn(self.cfg, client, address, listener.getsockname())
        # It is only answered when there is something to read.
        connection.data_ready = True
        return connection

    def answer(self, connection: TConn, waited: float) -> bool:
        """Answer what a client has sent; whether to keep its connection."""
        self._turn.waited = waited
        keep = bool(self.handle(connection))
        while keep and connection.parser.unreader.buf.getvalue():
            # It sent the next request with the last, which the selector does not see.
            keep = bool(self.handle(connection))
        if not keep:
            # The base does so on its accepting thread.
            linger(connection.sock)
        return keep

    def handle_request(self, req: Any, conn: TConn) -> bool:
        """Answer a plain request for a prediction without what WSGI makes of it beforehand.

        Preparing an environ for any application, and an answer from any, takes as long as the
        prediction. Requests with anything unusual in them go that way all the same.
        """
        environ = None
        if self.direct and self.direct.predicts(req.method, req.path):
            environ = plain_environ(req)
        if environ is None or self.direct is None:
            return bool(super().handle_request(req, conn))
        self.nr += 1
        environ[WAITED] = self._turn.waited
        reply = self.direct.reply(environ)
        headers = [f"{name}: {value}\r\n" for name, value in reply.headers if name != "Connection"]
        keep = (
            self.alive
            # The only thing that an answer says of its connection is that it is to end.
            and len(headers) == len(reply.headers)
            and len(self.keepalived_conns) < self.max_keepalived
        )
        head = (
            f"{answer_head('1.1', STATUS_LINES[reply.status], keep=keep)}"
            f"{''.join(headers)}Content-Length: {len(reply.body)}\r\n\r\n"
        )
        conn.sock.sendall(head.encode("latin-1") + reply.body)
        if keep and environ["CONTENT_LENGTH"]:
            # The body was read to its end, so there is nothing that the parser must drain.
            conn.parser.mesg = None
        return keep

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer what gunicorn itself refuses."""
        del req
        status = next((code for kind, code in _STATUS.items() if isinstance(exc, kind)), 500)
        report = log.info if status < 500 or status == 501 else log.error
        report(
            "refused before it was a request",
            status=status,
            reason=type(exc).__name__,
            client=addr[0] if isinstance(addr, tuple) else "",
            exc_info=exc if status == 500 else None,
        )
        problem = http_problem(status, "the request is not HTTP as it is understood here")
        body = problem.body("")
        head = (
            f"{answer_head('1.1', f'{status} {problem.title}', keep=False)}"
            f"Content-Type: {PROBLEM_JSON}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        try:
            util.write_nonblock(client, head.encode() + body)
        except OSError:
            return


def closing(application: Application) -> Application:
    """Honour `Connection: close` in an answer; gunicorn drops it as a matter of the connection."""

    def call(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            if ("Connection", "close") in headers:
                start_response.__self__.force_close()  # type: ignore[attr-defined]
            return start_response(status, headers, *error)

        return application(environ, start)

    return call


def linger(connection: socket.socket) -> None:
    """Half-close, throw away what still comes, for a bounded time, then close the other half.

    A socket that is closed with unread bytes resets the connection, and the client may lose the
    answer that told it why.
    """
    end, left = time.monotonic() + LINGER, MAX_LINGER_BYTES
    try:
        connection.shutdown(socket.SHUT_WR)
        while left > 0 and (wait := end - time.monotonic()) > 0:
            connection.settimeout(wait)
            part = connection.recv(65536)
            if not part:
                break
            left -= len(part)
        connection.shutdown(socket.SHUT_RD)
    except OSError:
        return


_date: tuple[int, str] = (0, "")


def answer_head(version: str, status: str, *, keep: bool) -> str:
    """The status line and what every answer has; the date is written once a second."""
    global _date  # noqa: PLW0603
    now = int(time.time())
    if _date[0] != now:
        _date = now, util.http_date(now)
    connection = "keep-alive" if keep else "close"
    return (
        f"HTTP/{version} {status}\r\nServer: {SERVER}\r\n"
        f"Date: {_date[1]}\r\nConnection: {connection}\r\n"
    )


def plain_environ(req: Any) -> dict[str, Any] | None:
    """What a prediction is made of, named as in PEP 3333; None for a request that is not plain.

    Plain is HTTP/1.1 that keeps its connection, sends its body unasked and no header twice.
    """
    if req.version != (1, 1) or req.should_close():
        return None
    environ = {f"HTTP_{name.replace('-', '_')}": value for name, value in req.headers}
    if len(environ) != len(req.headers) or "HTTP_EXPECT" in environ:
        return None
    environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
    environ["CONTENT_LENGTH"] = environ.pop("HTTP_CONTENT_LENGTH", "")
    environ["PATH_INFO"] = req.path
    environ["wsgi.input"] = req.body
    environ["wsgi.input_terminated"] = True
    return environ


class Request(BaseRequest):  # type: ignore[misc]
    """A request of somebody who may set neither the scheme nor the client's address."""

    def _peer_is_trusted_proxy(self) -> bool:
        """No, whoever it is; the base reads and compares the address to say so."""
        return False


class Response(http_wsgi.Response):  # type: ignore[misc]
    """An answer whose head goes out with its body, in one write.

    The base writes them apart. A process that is killed between the two has told the router's
    nginx a status, and nginx cannot ask another pod any more: the client gets half an answer.
    """

    _head: bytes = b""
    headers_sent: bool

    def default_headers(self) -> list[str]:
        """The status line and what every answer has."""
        version = "{}.{}".format(*self.req.version)
        headers = [answer_head(version, self.status, keep=not self.should_close())]
        if self.chunked:
            headers.append("Transfer-Encoding: chunked\r\n")
        return headers

    def send_headers(self) -> None:
        """Keep the head until there is a body, or the end."""
        if self.headers_sent:
            return
        lines = [*self.default_headers(), *(f"{name}: {value}\r\n" for name, value in self.headers)]
        self._head = ("".join(lines) + "\r\n").encode("latin-1")
        self.headers_sent = True

    def can_sendfile(self) -> bool:
        """No: the kernel would send a body before the head."""
        return False

    def close(self) -> None:
        """Write what has no body."""
        self.send_headers()
        self._write(b"")
        super().close()

    def _emit_body(self, data: bytes) -> None:
        if self.chunked:
            self._write(b"")
            super()._emit_body(data)
        else:
            self._write(data)

    def _write(self, data: bytes) -> None:
        head, self._head = self._head, b""
        if head or data:
            util.write(self.sock, head + data)


# gunicorn offers no setting for these, and writes its own name into each answer.
RequestParser.mesg_class = Request
http_wsgi.Response = Response
http_wsgi.SERVER = SERVER
