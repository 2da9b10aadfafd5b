"""The Runtime API's client against a small server of it, and the local stand-in for Lambda."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from tests.service_process import post

from slipway.errors import InvalidConfig, InvalidInput, Unavailable
from slipway.stream.lambda_runtime import INVOCATIONS, MAX_EVENT, LocalFront, Runtime


class RuntimeApi(HTTPServer):
    """What Lambda offers a runtime, as its documentation describes it."""

    def __init__(self, *events: Any) -> None:
        self.events = list(events)
        self.told: list[tuple[str, Any]] = []
        super().__init__(("127.0.0.1", 0), _Api)


class _Api(BaseHTTPRequestHandler):
    server: RuntimeApi

    def do_GET(self) -> None:
        number = len(self.server.told)
        body = json.dumps(self.server.events[number]).encode()
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", f"request-{number}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.told.append((self.path, body))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Silent."""


@pytest.fixture
def api() -> Iterator[RuntimeApi]:
    server = RuntimeApi({"n": 1}, {"n": 0}, {"n": 4})
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def handle(event: Any, _context: Any) -> Any:
    if event["n"] == 0:
        raise InvalidInput("zero is no number of rides")
    return {"predictions": [0.5] * event["n"]}


def test_R27_invocations_are_answered_one_after_the_other_and_a_failed_one_ends_nothing(
    api: RuntimeApi,
) -> None:
    Runtime(f"127.0.0.1:{api.server_port}", seconds=5).serve(handle, calls=3)
    root = "/2018-06-01/runtime/invocation"
    failed = {"errorMessage": "zero is no number of rides", "errorType": "InvalidInput"}
    assert api.told == [
        (f"{root}/request-0/response", {"predictions": [0.5]}),
        (f"{root}/request-1/error", failed),
        (f"{root}/request-2/response", {"predictions": [0.5] * 4}),
    ]


def test_a_function_that_cannot_be_set_up_says_so(api: RuntimeApi) -> None:
    Runtime(f"127.0.0.1:{api.server_port}", seconds=5).refuse(InvalidConfig("no model is named"))
    told = {"errorMessage": "no model is named", "errorType": "InvalidConfig"}
    assert api.told == [("/2018-06-01/runtime/init/error", told)]


def test_a_runtime_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        Runtime("127.0.0.1:9", seconds=2).once(handle)


def test_R27_the_local_front_answers_at_the_emulators_address() -> None:
    front = LocalFront("127.0.0.1", 0, handle)
    front.start()
    url = f"http://127.0.0.1:{front.port}"
    try:
        assert post(url + INVOCATIONS, {"n": 2})[:2] == (200, {"predictions": [0.5, 0.5]})
        status, told, _ = post(url + INVOCATIONS, {"n": 0})
        assert (status, told["errorType"]) == (200, "InvalidInput")
        assert post(url + INVOCATIONS, {})[1]["errorType"] == "KeyError"
        assert post(f"{url}/other", {"n": 2})[0] == 404
        # It is refused by its head, which is all that is sent here.
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", front.port, 10)) as asked:
            asked.putrequest("POST", INVOCATIONS)
            asked.putheader("Content-Length", str(MAX_EVENT + 1))
            asked.endheaders()
            refused = asked.getresponse()
            told = json.loads(refused.read())
        assert (refused.status, told["errorType"]) == (413, "TooLarge")
    finally:
        front.close()
