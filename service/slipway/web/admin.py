"""The admin port: /metrics, /livez, /readyz and /sample on threads of their own.

Probes and scrapes must be answered while all of gunicorn's threads are busy, and nothing of this
may be reachable through the router. It serves GET only, one request a connection, and each
connection has a deadline and a place among few, so slow clients cost nothing that matters.
"""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable
from urllib.parse import parse_qs

import structlog
from prometheus_client import CONTENT_TYPE_LATEST

from slipway.errors import Malformed
from slipway.status_server import AdminHandler, AdminPort, Answer, document
from slipway.web.app import Service
from slipway.web.errors import INTERNAL, PROBLEM_JSON, http_problem, problem_of

# Seconds for the whole head of a request to arrive, and for each piece of the answer to leave.
DEADLINE = 5.0
MAX_HEAD = 8192
MAX_CONNECTIONS = 64

log = structlog.get_logger(__name__)


class AdminServer(AdminPort):
    """The port of one worker process; `share_port` is for several of them."""

    request_queue_size = 128

    def __init__(self, service: Service, host: str, port: int, *, share_port: bool = False) -> None:
        self.answers: dict[str, Callable[[str], Answer]] = _answers(service)
        super().__init__(
            host, port, _Handler, "SLIPWAY_ADMIN_PORT", MAX_CONNECTIONS, share_port=share_port
        )


class _Handler(AdminHandler):
    # HTTP/1.0: the connection ends with the answer. So has what cannot be read a head, not a body
    # alone as in HTTP/0.9.
    default_request_version = "HTTP/1.0"
    timeout = DEADLINE
    server: AdminServer

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(io.BytesIO(_head(self.connection)))

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
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
        self.reply(*answered)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The one shape of errors, in place of a page of HTML that repeats the request."""
        del message, explain
        # A method other than GET is refused with 501 by the base class.
        code = 405 if code == 501 else code
        said = "GET /metrics, /livez, /readyz and /sample are answered here"
        problem = INTERNAL if code == 500 else http_problem(code, said)
        allow = {"Allow": "GET"} if code == 405 else None
        self.reply(code, PROBLEM_JSON, problem.body(""), allow)


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
        return document(*service.health.live())

    def readyz(_query: str) -> Answer:
        return document(*service.health.ready())

    def sample(query: str) -> Answer:
        cursor = parse_qs(query).get("after", [""])[0]
        try:
            return document(200, service.ring.after(cursor))
        except Malformed as error:
            problem = problem_of(error)
            return problem.status, PROBLEM_JSON, problem.body("")

    return {"/metrics": metrics, "/livez": livez, "/readyz": readyz, "/sample": sample}
