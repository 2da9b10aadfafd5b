"""gunicorn's threaded worker with the few habits that a prediction service needs otherwise.

It drains on SIGINT and SIGHUP as on SIGTERM, tells the service so that /readyz says it, gives a
slow model time to load, ends the master with one clear line when it cannot be loaded, answers
what is no HTTP with a problem document, writes an answer in one piece, and never lets one client
hold up all the others.
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
from gunicorn.workers.gthread import _DEFER, TConn, ThreadWorker

from slipway.errors import SlipwayError
from slipway.web.body import WAITED
from slipway.web.errors import PROBLEM_JSON, http_problem

# Seconds of silence after which a client that owes bytes, or does not take them, is given up.
SILENCE = 5
# Seconds that a thread waits for the first byte on a new connection before it gives the
# connection back to the poller. gunicorn's own 5 s let a few idle connections block all threads.
FIRST_BYTE = 0.005
# Seconds that a connection is kept open for a client to read its last answer, and how many bytes
# of what it still sends are thrown away meanwhile.
LINGER, MAX_LINGER_BYTES = 1.0, 1 << 20

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
        self._turn = threading.local()
        self.wsgi = closing(self._timed(application))

    def _timed(self, application: Application) -> Application:
        """Tell the application how long the request has waited for this thread."""

        def call(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
            environ[WAITED] = self._turn.waited
            return application(environ, start_response)

        return call

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Begin to drain."""
        getattr(self, "drain", lambda: None)()
        super().handle_exit(sig, frame)

    def enqueue_req(self, conn: TConn) -> None:
        """Bound how long a thread waits for a silent client."""
        if not conn.initialized:
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL)
            conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL)
        conn.enqueued = time.monotonic()
        super().enqueue_req(conn)

    def handle(self, conn: TConn) -> Any:
        """Let the client read its last answer here: the base does so on the accepting thread."""
        if not (conn.initialized or conn.data_ready or conn.wait_for_data(FIRST_BYTE)):
            return _DEFER
        self._turn.waited = time.monotonic() - conn.enqueued
        result = super().handle(conn)
        if result is False:
            linger(conn.sock)
        return result

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
            f"HTTP/1.1 {status} {problem.title}\r\nConnection: close\r\n"
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


class Response(http_wsgi.Response):  # type: ignore[misc]
    """An answer whose head goes out with its body, in one write.

    The base writes them apart. A process that is killed between the two has told the router's
    nginx a status, and nginx cannot ask another pod any more: the client gets half an answer.
    """

    _head: bytes = b""
    headers_sent: bool

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


# gunicorn offers no setting for either, and writes its own name into each answer.
http_wsgi.Response = Response
http_wsgi.SERVER = "slipway"
