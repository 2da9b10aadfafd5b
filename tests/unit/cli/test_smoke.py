"""R11: the little client, against services that are right and wrong in every way it looks for."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from tests.in_process import RIDE, by_columns, by_tensor, in_process, loaded_for
from tests.service_process import HOST, free_port
from tests.stub_models import RUN_ID, loaded

from slipway.cli import smoke as module
from slipway.cli.smoke import REQUEST_ID, Answer, asker, checks
from slipway.errors import InvalidConfig, ModelFailed, NoModel, Unavailable
from slipway.models.obtain import Loaded
from slipway.settings import ServeSettings, read_settings
from slipway.usecases.protocol import InputField
from slipway.web.app import create_app
from slipway.web.warmup import warm_up

MODEL = {"use_case": "rides", "example": {"PULocationID": 1}}
PROBLEM = {"content-type": "application/problem+json"}
HEADERS = {"x-slipway-run-id": "v1", "x-request-id": REQUEST_ID}


class Service:
    """A service that answers as it should, or otherwise where `change` says so."""

    def __init__(self, **change: Any) -> None:
        self.answers: dict[str, Any] = {
            "model": Answer(200, {}, MODEL),
            "one": Answer(200, HEADERS, {"duration": 12.5, "model_version": "v1"}),
            "three": Answer(200, HEADERS, {"predictions": [12.5] * 3, "model_version": "v1"}),
            "wrong": Answer(422, PROBLEM, {"detail": "no such field"}),
        } | change
        self.sent: list[Any] = []

    def __call__(self, method: str, path: str, body: bytes | None) -> Answer:
        if (method, path) == ("GET", "/model"):
            model: Answer = self.answers["model"]
            return model
        assert (method, path) == ("POST", "/predict")
        self.sent.append(json.loads(body or b""))
        told: Answer = self.answers[("one", "three", "wrong")[len(self.sent) - 1]]
        return told


def smoke(*arguments: str) -> None:
    """The verb, with what is told to users raised as it is."""
    module.smoke.main(arguments, standalone_mode=False)


def one(**change: Any) -> Answer:
    return Answer(200, HEADERS, {"duration": 12.5, "model_version": "v1"} | change)


def test_R11_a_sound_service_gets_three_lines() -> None:
    lines = list(checks(Service(), None))
    assert [line[:3] for line in lines] == ["ok "] * 3
    assert "duration 12.5, model_version v1" in lines[0]
    assert "no such field" in lines[2]


def test_R11_it_asks_for_the_course_ride_and_the_row_that_is_given() -> None:
    course, given = Service(), Service()
    list(checks(course, None))
    list(checks(given, {"x": 1}))
    assert course.sent[:2] == [RIDE, {"instances": [RIDE] * 3}]
    assert given.sent[:2] == [{"x": 1}, {"instances": [{"x": 1}] * 3}]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": Answer(500, {}, {"detail": "why"})}, "GET /model answered 500.*: why"),
        ({"model": Answer(404)}, "GET /model answered 404 where 200 was expected$"),
        ({"one": Answer(422, {}, {"detail": "x: is missing"})}, "x: is missing"),
        ({"one": Answer(200, HEADERS)}, "no JSON object"),
        ({"one": Answer(200, HEADERS, [12.5])}, "no JSON object"),
        ({"one": Answer(200, HEADERS, {"model_version": "v1"})}, "no prediction"),
        ({"one": one(tip=1.0)}, "more than one"),
        ({"one": one(duration=None)}, "not finite"),
        ({"one": one(duration=float("nan"))}, "not finite"),
        ({"one": one(duration=float("inf"))}, "not finite"),
        ({"one": one(model_version="")}, "names no model_version"),
        ({"one": one(model_version=3)}, "names no model_version"),
        ({"one": one(model_version="v2")}, "X-Slipway-Run-Id differ"),
        ({"one": Answer(200, HEADERS | {"x-request-id": "y"}, one().document)}, "request id"),
        ({"three": Answer(200, HEADERS)}, "no JSON object"),
        ({"three": Answer(200, HEADERS, [12.5] * 3)}, "no JSON object"),
        ({"three": one()}, "three answers"),
        ({"three": one(predictions=[12.5] * 2)}, "three answers"),
        ({"three": one(predictions=[12.5, 12.5, 12.6])}, "different answers"),
        ({"three": Answer(500)}, "three rows answered 500"),
        ({"wrong": one()}, "unknown field answered 200"),
        ({"wrong": Answer(500, PROBLEM, {})}, "unknown field answered 500"),
        ({"wrong": Answer(422, {}, {"detail": "x"})}, "no problem document"),
        ({"wrong": Answer(422, PROBLEM)}, "no problem document"),
        ({"wrong": Answer(422, PROBLEM, ["x"])}, "no problem document"),
    ],
)
def test_R11_each_thing_that_is_wrong_is_said(change: dict[str, Answer], said: str) -> None:
    with pytest.raises(ModelFailed, match=said):
        list(checks(Service(**change), None))


def test_a_batch_may_be_summed_in_another_order() -> None:
    near = one(predictions=[12.5, 12.500000000000002, 12.499999999999998])
    assert len(list(checks(Service(three=near), None))) == 3


def test_in_mid_rollout_the_next_answer_may_be_another_versions() -> None:
    other = Answer(
        200,
        HEADERS | {"x-slipway-run-id": "v2"},
        {"predictions": [99.0] * 3, "model_version": "v2"},
    )
    assert len(list(checks(Service(three=other), None))) == 3


Application = Callable[..., Any]


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing of it belongs into a test's output."""


@contextlib.contextmanager
def listening(application: Application) -> Iterator[str]:
    with make_server(HOST, 0, application, handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def alike(rows: Any) -> list[float]:
    return [1.0] * len(rows)


@pytest.mark.parametrize(
    "release",
    [
        loaded(),
        loaded_for(by_columns([InputField("x", "double"), InputField("t", "string")]), alike),
        loaded_for(by_columns([InputField("x", "long")]), lambda rows: ["yes"] * len(rows)),
        loaded_for(by_tensor("float64", 2, 2), alike),
    ],
    ids=["rides", "columns", "labels", "tensor"],
)
def test_R11_it_is_content_with_the_real_service_for_a_model_of_any_kind(
    release: Loaded, capsys: pytest.CaptureFixture[str]
) -> None:
    application = create_app(read_settings(ServeSettings), release, example=warm_up(release.scorer))
    with listening(application) as url:
        smoke(url + "/")
    said = capsys.readouterr().out
    assert said.count("ok  ") == 3
    assert RUN_ID in said


def test_an_idle_service_has_no_model_yet() -> None:
    client, _ = in_process(None)
    with listening(client.application) as url, pytest.raises(NoModel, match="no model yet"):
        smoke(url)


def test_it_waits_for_a_model_as_long_as_it_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    idle, ready = in_process(None)[0].application, in_process(loaded())[0].application
    asked: list[str] = []

    def application(environ: Any, start_response: Any) -> Any:
        asked.append(environ["PATH_INFO"])
        serving = idle if len(asked) == 1 else ready
        return serving(environ, start_response)

    with listening(application) as url:
        smoke(url, "--wait", "10")
    assert asked[:3] == ["/model", "/model", "/model"]


def test_it_may_be_told_to_wait_for_ever_for_an_answer() -> None:
    with listening(in_process(loaded())[0].application) as url:
        smoke(url, "--timeout", "inf")


def test_it_waits_for_a_service_that_does_not_listen_yet_and_no_longer() -> None:
    started = time.monotonic()
    with pytest.raises(Unavailable, match=HOST):
        smoke(f"http://{HOST}:{free_port()}", "--wait", "0.6")
    assert 0.6 <= time.monotonic() - started < 10


@contextlib.contextmanager
def speaking(answer: bytes) -> Iterator[str]:
    """Something that listens and sends these bytes to the first who comes."""
    with socket.create_server((HOST, 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://{HOST}:{listener.getsockname()[1]}"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01",
        b"HTTP/1.1 500 x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    ],
)
def test_what_does_not_speak_http_is_unavailable(answer: bytes) -> None:
    with speaking(answer) as url, pytest.raises(Unavailable, match="does not answer"):
        asker(url, 5)("GET", "/model", None)


def test_an_answer_that_is_no_json_is_an_answer_all_the_same() -> None:
    for body in (b"<html>", b"\xff", b"[" * 100_000):
        head = b"HTTP/1.1 502 x\r\nContent-Length: %d\r\nX-A: b\r\n\r\n" % len(body)
        with speaking(head + body) as url:
            answer = asker(url, 5)("GET", "/model", None)
        assert (answer.status, answer.headers["x-a"], answer.document) == (502, "b", None)


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:9696", "ftp://x", "http://", "file:///etc/passwd", "http://[", "http://x:y"],
)
def test_what_is_no_address_of_a_service_is_a_usage_error(url: str) -> None:
    with pytest.raises(InvalidConfig, match="URL must begin with http"):
        smoke(url)


@pytest.mark.parametrize("row", ["", "{", "[1]", "7", "null"])
def test_a_row_that_is_no_object_is_a_usage_error(row: str) -> None:
    with pytest.raises(InvalidConfig, match="--row must be one JSON object"):
        smoke(f"http://{HOST}:1", "--row", row)


def test_it_imports_nothing_heavy() -> None:
    """HABITS 8: the client runs where a model never does."""
    program = (
        "import sys\nfrom slipway.cli.verbs import app\n"
        "try:\n    app(['smoke', '--help'])\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(sorted({name.split('.')[0] for name in sys.modules}))"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout.splitlines()[-1]
    assert "slipway" in told
    for heavy in ("sklearn", "numpy", "pandas", "mlflow", "boto3", "flask", "gunicorn"):
        assert f"'{heavy}'" not in told


def test_its_ride_is_the_courses() -> None:
    assert module.RIDE == RIDE
