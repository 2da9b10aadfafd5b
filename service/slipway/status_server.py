"""Small servers for admin ports: GET only, one request a connection, a place among few.

`StatusServer` is the router's and the controller's; a pod's own (web/admin.py) has the same base.
"""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import msgspec

from slipway.errors import InvalidConfig

# Seconds for each piece of a request to arrive, and of its answer to leave.
DEADLINE = 5.0
MAX_CONNECTIONS = 32
JSON = "application/json"

# Status, content type, body.
Answer = tuple[int, str, bytes]


class AdminPort(socketserver.ThreadingMixIn, HTTPServer):
    """Serves until `close`; `start` returns at once. At most `places` connections at a time.

    `share_port` lets the servers of several processes listen side by side. Raises InvalidConfig,
    which names the setting `variable`, when it cannot listen.
    """

    daemon_threads = True
    # A stopping process does not wait for whoever is connected.
    block_on_close = False

    def __init__(
        self,
        host: str,
        port: int,
        handler: type[BaseHTTPRequestHandler],
        variable: str,
        places: int,
        *,
        share_port: bool = False,
    ) -> None:
        self.allow_reuse_port = share_port
        self._places = threading.BoundedSemaphore(places)
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), handler)
        except OSError as error:
            raise InvalidConfig(
                f"{variable}: cannot listen on port {port}: {error.strerror}"
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


class AdminHandler(BaseHTTPRequestHandler):
    """What the handlers of admin ports have in common: no log line, no name of a library."""

    def version_string(self) -> str:
        """The header Server."""
        return "slipway"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Probes and scrapes are not logged."""

    def reply(
        self, status: int, content_type: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a whole answer."""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class StatusServer(AdminPort):
    """Answers by a table of paths."""

    def __init__(
        self, host: str, port: int, answers: Mapping[str, Callable[[], Answer]], variable: str
    ) -> None:
        self.answers = answers
        super().__init__(host, port, _Handler, variable, MAX_CONNECTIONS)


def document(status: int, content: Any) -> Answer:
    """An answer of JSON."""
    return status, JSON, msgspec.json.encode(content)


class _Handler(AdminHandler):
    # HTTP/1.0: the connection ends with the answer.
    timeout = DEADLINE
    server: StatusServer

    def do_GET(self) -> None:
        answer = self.server.answers.get(self.path.partition("?")[0])
        if answer is None:
            self.send_error(404)
        else:
            self.reply(*answer())

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The one shape of errors, in place of a page of HTML that repeats the request."""
        del message, explain
        # A method other than GET is refused with 501 by the base class.
        code = 405 if code == 501 else code
        detail = f"GET is answered at {', '.join(self.server.answers)}"
        problem = {"type": "about:blank", "status": code, "detail": detail}
        self.reply(code, "application/problem+json", msgspec.json.encode(problem))
