"""The server of an admin port: /metrics, /livez, /readyz and the like, on threads of its own.

Probes and scrapes must be answered while everything else is busy. It serves GET only, one request a
connection, and each connection has a deadline and a place among few, so that slow clients cost
nothing that matters.
"""

from __future__ import annotations

import io
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import msgspec
import structlog

from slipway.errors import InvalidConfig

# Seconds for the whole head of a request to arrive, and for each piece of the answer to leave.
DEADLINE = 5.0
MAX_HEAD = 8192
MAX_CONNECTIONS = 64
JSON = "application/json"

log = structlog.get_logger(__name__)

# Status, content type, body.
Answer = tuple[int, str, bytes]
# From the query, without its question mark.
Answers = Mapping[str, Callable[[str], Answer]]


class BackgroundServer(HTTPServer):
    """Answers on a thread of its own until `close`; `start` returns at once.

    Raises InvalidConfig, which names the setting `variable`, when it cannot listen.
    """

    def __init__(
        self, host: str, port: int, handler: type[BaseHTTPRequestHandler], variable: str
    ) -> None:
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), handler)
        except OSError as error:
            raise InvalidConfig(
                f"{variable}: cannot listen on port {port}: {error.strerror}"
            ) from error
        self._thread = threading.Thread(target=self.serve_forever, name="server", daemon=True)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        if self._thread.is_alive():
            self.shutdown()
        self.server_close()

    def server_bind(self) -> None:
        """Bind without HTTPServer's look-up of the host's name, which may take seconds."""
        socketserver.TCPServer.server_bind(self)


class StatusServer(socketserver.ThreadingMixIn, BackgroundServer):
    """Answers by a table of paths, each connection on a thread of its own.

    `share_port` lets the servers of several processes listen side by side.
    """

    daemon_threads = True
    # A stopping process does not wait for whoever is connected.
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self, host: str, port: int, answers: Answers, variable: str, *, share_port: bool = False
    ) -> None:
        self.answers = answers
        self.allow_reuse_port = share_port
        self._places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(host, port, _Handler, variable)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve on a thread, or hang up when too many are being served."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:
            # No thread could be started; the next probe comes soon.
            self._places.release()
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection and give its place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up in the middle is no news."""


def document(status: int, content: Any) -> Answer:
    """An answer of JSON."""
    return status, JSON, msgspec.json.encode(content)


class _Handler(BaseHTTPRequestHandler):
    # HTTP/1.0: the connection ends with the answer. So has what cannot be read a head, not a body
    # alone as in HTTP/0.9.
    default_request_version = "HTTP/1.0"
    timeout = DEADLINE
    server: StatusServer

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(io.BytesIO(_head(self.connection)))

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        answer = self.server.answers.get(path)
        if answer is None:
            self.send_error(404)
            return
        try:
            answered = answer(query)
        # The loop's top: whatever is wrong in here, the scrape gets its answer and the log a line.
        except Exception:
            log.exception("the admin port failed", path=path)
            self.send_error(500)
            return
        self._reply(*answered)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The one shape of errors, in place of a page of HTML that repeats the request."""
        del message, explain
        # A method other than GET is refused with 501 by the base class.
        code = 405 if code == 501 else code
        problem = {
            "type": "about:blank",
            "title": HTTPStatus(code).phrase,
            "status": code,
            "detail": "the log says more"
            if code == 500
            else f"GET is answered at {', '.join(self.server.answers)}",
        }
        allow = {"Allow": "GET"} if code == 405 else {}
        self._reply(code, "application/problem+json", msgspec.json.encode(problem), allow)

    def version_string(self) -> str:
        """The header Server, without the name of a library."""
        return "slipway"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Probes and scrapes are not logged."""

    def _reply(
        self, status: int, content_type: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _head(connection: socket.socket) -> bytes:
    """The head of a request, as much of it as came before the deadline and fits."""
    end = time.monotonic() + DEADLINE
    head = b""
    try:
        while b"\r\n\r\n" not in head and len(head) < MAX_HEAD:
            connection.settimeout(max(0.01, end - time.monotonic()))
            part = connection.recv(MAX_HEAD)
            if not part:
                break
            head += part
        # For what is sent from here on.
        connection.settimeout(DEADLINE)
    except OSError:
        return b""
    return head
