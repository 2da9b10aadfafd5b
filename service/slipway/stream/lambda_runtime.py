"""Between a handler and Lambda: a client of Lambda's Runtime API, and its local stand-in.

Under Lambda the process asks `AWS_LAMBDA_RUNTIME_API` for one invocation after the other. Where
Lambda is not there, a small server answers `/2015-03-31/functions/function/invocations`, the
address at which Lambda's own emulator does.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import msgspec
import structlog

from slipway.errors import SlipwayError, Unavailable
from slipway.status_server import JSON, BackgroundServer

INVOCATIONS = "/2015-03-31/functions/function/invocations"
_RUNTIME = "/2018-06-01/runtime"
# Lambda's own limit of an event.
MAX_EVENT = 6 << 20

Handle = Callable[[Any, Any], Any]

log = structlog.get_logger(__name__)


def called(handle: Handle, event: bytes) -> tuple[bool, bytes]:
    """Whether a handler was well, and its answer, or its error as Lambda shows one."""
    try:
        return True, msgspec.json.encode(handle(msgspec.json.decode(event), None))
    except SlipwayError as error:
        log.error("the call failed", reason=error.reason, why=error.message)  # noqa: TRY400
        return False, failure(error.reason, error.message)
    # The edge of the process: a call that fails must not end it.
    except Exception as error:
        log.exception("the call failed")
        return False, failure(type(error).__name__, "the handler failed; see its log")


def failure(kind: str, message: str) -> bytes:
    """An error as Lambda shows it."""
    return msgspec.json.encode({"errorMessage": message, "errorType": kind})


class Runtime:
    """A client of the Runtime API at host:port."""

    def __init__(self, place: str, seconds: float | None = None) -> None:
        self._place = place
        # Lambda freezes the process between two calls, so the wait for the next one has no end.
        self._seconds = seconds

    def serve(self, handle: Handle, calls: int | None = None) -> None:
        """Answer invocations, all there will be or `calls` of them."""
        done = 0
        while calls is None or done < calls:
            self.once(handle)
            done += 1

    def once(self, handle: Handle) -> None:
        """Answer one invocation."""
        headers, event = self._send("GET", f"{_RUNTIME}/invocation/next")
        request = headers.get("Lambda-Runtime-Aws-Request-Id") or ""
        sound, answer = called(handle, event)
        self._send("POST", f"{_RUNTIME}/invocation/{request}/{'response' if sound else 'error'}",
                   answer)  # fmt: skip

    def refuse(self, error: SlipwayError) -> None:
        """Say that the function cannot be set up."""
        self._send("POST", f"{_RUNTIME}/init/error", failure(error.reason, error.message))

    def _send(self, method: str, path: str, body: bytes | None = None) -> tuple[Any, bytes]:
        connection = http.client.HTTPConnection(self._place, timeout=self._seconds)
        try:
            connection.request(method, path, body, {"Content-Type": JSON})
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            told = f"Lambda's runtime does not answer: {type(error).__name__}"
            raise Unavailable(told) from error
        finally:
            connection.close()
        if answer.status >= 300:
            raise Unavailable(f"Lambda's runtime answers {answer.status}")
        return answer.headers, content


class LocalFront(BackgroundServer):
    """Answers INVOCATIONS with a handler; one call at a time, as Lambda does.

    For a person's own machine: there is no limit of connections.
    """

    def __init__(self, host: str, port: int, handle: Handle) -> None:
        self.handle = handle
        super().__init__(host, port, _Handler, "SLIPWAY_LAMBDA_PORT")


class _Handler(BaseHTTPRequestHandler):
    timeout = 30.0
    server: LocalFront

    def do_POST(self) -> None:
        size = self.headers.get("Content-Length") or ""
        if self.path.partition("?")[0] != INVOCATIONS:
            self._reply(404, failure("NotFound", f"POST is answered at {INVOCATIONS}"))
        elif not size.isdigit() or int(size) > MAX_EVENT:
            told = f"send a Content-Length of at most {MAX_EVENT} bytes"
            self._reply(413, failure("TooLarge", told))
        else:
            # As under Lambda's emulator, an error of the function is no error of the call.
            self._reply(200, called(self.server.handle, self.rfile.read(int(size)))[1])

    def log_message(self, *_: Any) -> None:
        """The handler's own log lines are enough."""

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", JSON)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
