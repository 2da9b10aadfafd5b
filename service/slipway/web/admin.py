"""The admin port: /metrics, /livez, /readyz and /sample on threads of their own.

Probes and scrapes must be answered while all of gunicorn's threads are busy, and nothing of this
may be reachable through the router. It serves GET only, one request a connection, and each
connection has a deadline and a place among few, so slow clients cost nothing that matters.
"""

from __future__ import annotations

import io
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs

import msgspec
import structlog
from prometheus_client import CONTENT_TYPE_LATEST

from slipway.errors import InvalidConfig, Malformed
from slipway.web.app import Service
from slipway.web.decode import JSON
from slipway.web.errors import INTERNAL, PROBLEM_JSON, http_problem, problem_of

# Seconds for the whole head of a request to arrive, and for each piece of the answer to leave.
DEADLINE = 5.0
MAX_HEAD = 8192
MAX_CONNECTIONS = 64

log = structlog.get_logger(__name__)

# Status, content type, body.
Answer = tuple[int, str, bytes]


class AdminServer(socketserver.ThreadingMixIn, HTTPServer):
    """Serves until `close`; `start` returns at once. Raises InvalidConfig when it cannot listen.

    `share_port` lets the admin servers of several worker processes listen side by side.
    """

    daemon_threads = True
    # A stopping process does not wait for whoever is connected.
    block_on_close = False
    request_queue_size = 128

    def __init__(self, service: Service, host: str, port: int, *, share_port: bool = False) -> None:
        self.answers: dict[str, Callable[[str], Answer]] = _answers(service)
        self.allow_reuse_port = share_port
        self._places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise InvalidConfig(
                f"SLIPWAY_ADMIN_PORT: cannot listen on port {port}: {error.strerror}"
            ) from error
        self._thread = threading.Thread(target=self.serve_forever, name="admin", daemon=True)

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


class _Handler(BaseHTTPRequestHandler):
    # HTTP/1.0: the connection ends with the answer. So has what cannot be read a head, not a body
    # alone as in HTTP/0.9.
    default_request_version = "HTTP/1.0"
    timeout = DEADLINE
    server: AdminServer

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
        self._send(*answered)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The one shape of errors, in place of a page of HTML that repeats the request."""
        del message, explain
        # A method other than GET is refused with 501 by the base class.
        code = 405 if code == 501 else code
        said = "GET /metrics, /livez, /readyz and /sample are answered here"
        problem = INTERNAL if code == 500 else http_problem(code, said)
        self._send(code, PROBLEM_JSON, problem.body(""))

    def version_string(self) -> str:
        return "slipway"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Probes and scrapes are not logged."""

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if status == 405:
            self.send_header("Allow", "GET")
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


def _answers(service: Service) -> dict[str, Callable[[str], Answer]]:
    def metrics(_query: str) -> Answer:
        return 200, CONTENT_TYPE_LATEST, service.metrics.expose()

    def livez(_query: str) -> Answer:
        return _document(*service.health.live())

    def readyz(_query: str) -> Answer:
        return _document(*service.health.ready())

    def sample(query: str) -> Answer:
        cursor = parse_qs(query).get("after", [""])[0]
        try:
            return 200, JSON, msgspec.json.encode(service.ring.after(cursor))
        except Malformed as error:
            problem = problem_of(error)
            return problem.status, PROBLEM_JSON, problem.body("")

    return {"/metrics": metrics, "/livez": livez, "/readyz": readyz, "/sample": sample}


def _document(status: int, document: dict[str, Any]) -> Answer:
    return status, JSON, msgspec.json.encode(document)
