"""`slipway smoke`: the little client that tells whether a running service answers as it should."""

from __future__ import annotations

import http.client
import json
import math
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import click

from slipway.cli.commands import AtLeast
from slipway.errors import InvalidConfig, ModelFailed, NoModel, Unavailable

# The course's ride, for a service that does not tell what it takes.
RIDE = {"PULocationID": 10, "DOLocationID": 50, "trip_distance": 40}
MAX_ANSWER = 1 << 20
REQUEST_ID = "slipway-smoke"
# Seconds; a socket takes no infinity.
LONGEST = 86_400.0


@dataclass(frozen=True)
class Answer:
    """Status, headers (lower-case names) and document of an answer; None for what is no JSON."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    document: Any = None


Ask = Callable[[str, str, bytes | None], Answer]


@click.command()
@click.argument("url", help="Where it listens, as http://127.0.0.1:9696.")
@click.option("--row", help="A row to predict, as JSON [the model's own example, else a ride].")
@click.option("--timeout", type=AtLeast(0.1), default=10.0, help="Seconds for one answer.")
@click.option("--wait", type=AtLeast(0), default=0.0, help="Seconds to wait until a model answers.")
def smoke(url: str, row: str | None, timeout: float, wait: float) -> None:
    """Send a few requests to a running service and check the answers.

    A prediction of one row and of three, the version in body and header, and a wrong request that
    must be refused with the name of what is wrong. Changes nothing. Exit code 0 means all is well.
    """
    ask = asker(url, min(timeout, LONGEST))
    given = _row(row)
    _wait_for_model(ask, wait)
    for line in checks(ask, given):
        click.echo(line)


def asker(url: str, timeout: float) -> Ask:
    """A function that sends (method, path, body) and reads one answer; raises Unavailable."""
    host = _host_of(url)
    base = url.rstrip("/")

    def ask(method: str, path: str, body: bytes | None) -> Answer:
        request = urllib.request.Request(  # noqa: S310 - the scheme was looked at
            base + path,
            data=body,
            method=method,
            headers={"Content-Type": "application/json", "X-Request-Id": REQUEST_ID},
        )
        try:
            with _open(request, timeout) as answer:
                return _read(answer)
        except (OSError, ValueError, http.client.HTTPException) as error:
            why = getattr(error, "reason", None) or type(error).__name__
            raise Unavailable(f"{host} does not answer in HTTP: {why}") from error

    return ask


def checks(ask: Ask, given: dict[str, Any] | None) -> Iterator[str]:
    """A line for each thing that was found right; raises ModelFailed at the first that is not."""
    model = _expect(ask("GET", "/model", None), 200, "GET /model").document
    row = given if given is not None else _example(model)
    # A row of a tensor is a list, and only an object can be sent alone.
    one = row if isinstance(row, dict) else {"instances": [row]}
    single = _expect(ask("POST", "/predict", _encode(one)), 200, "POST /predict")
    answer, value = _prediction(_object(single))
    version = _version(single)
    yield f"ok  one row     {answer} {value}, model_version {version}"
    several = _expect(
        ask("POST", "/predict", _encode({"instances": [row] * 3})), 200, "POST /predict, three rows"
    )
    values: Any = _object(several).get("predictions")
    _hold(isinstance(values, list) and len(values) == 3, "three rows did not give three answers")
    if _version(several) == version:
        _hold(all(_same(each, value) for each in values), "the same row gave different answers")
    yield "ok  three rows  one answer each, all the same"
    wrong = ask("POST", "/predict", _encode({"no such field": 1}))
    _expect(wrong, 422, "POST /predict with an unknown field")
    kind = wrong.headers.get("content-type", "")
    problem = kind.startswith("application/problem+json") and isinstance(wrong.document, dict)
    _hold(problem, "a wrong request gets no problem document")
    yield f"ok  wrong row   refused with 422: {wrong.document.get('detail')}"


def _wait_for_model(ask: Ask, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            answer = ask("GET", "/model", None)
            error: NoModel | Unavailable | None = None
            if answer.status == 503:
                error = NoModel("the service runs and has no model yet; name one, then try again")
        except Unavailable as unavailable:
            error = unavailable
        if error is None:
            return
        if time.monotonic() >= deadline:
            raise error
        time.sleep(0.5)


def _row(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        row = json.loads(text)
    except ValueError as error:
        raise InvalidConfig("--row must be one JSON object") from error
    if not isinstance(row, dict):
        raise InvalidConfig("--row must be one JSON object")
    return row


def _example(model: Any) -> Any:
    if isinstance(model, dict) and model.get("use_case") != "rides":
        return model.get("example") or RIDE
    return RIDE


def _object(answer: Answer) -> dict[str, Any]:
    _hold(isinstance(answer.document, dict), "the answer is no JSON object")
    document: dict[str, Any] = answer.document
    return document


def _prediction(document: dict[str, Any]) -> tuple[str, Any]:
    """The answer's name and the prediction for the one row: a finite number, or a label."""
    found = {name: value for name, value in document.items() if name != "model_version"}
    _hold(len(found) == 1, "the answer holds no prediction, or more than one")
    ((name, value),) = found.items()
    if name == "predictions":
        _hold(isinstance(value, list) and len(value) == 1, "one row did not give one answer")
        value = value[0]
    sound = value is not None and (not isinstance(value, float) or math.isfinite(value))
    _hold(sound, "the prediction is not finite")
    return name, value


def _same(value: Any, other: Any) -> bool:
    # A batch may be summed in another order than a single row.
    if isinstance(value, float) and isinstance(other, float):
        return math.isclose(value, other, rel_tol=1e-9, abs_tol=1e-9)
    return bool(value == other)


def _version(answer: Answer) -> str:
    """The version that answered; in mid-rollout the next request may be answered by another."""
    version = _object(answer).get("model_version")
    _hold(isinstance(version, str) and bool(version), "the answer names no model_version")
    named = answer.headers.get("x-slipway-run-id")
    _hold(named == version, "model_version and the header X-Slipway-Run-Id differ")
    returned = answer.headers.get("x-request-id") == REQUEST_ID
    _hold(returned, "the request id does not come back")
    return str(version)


def _encode(document: Any) -> bytes:
    return json.dumps(document).encode()


def _host_of(url: str) -> str:
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise InvalidConfig("URL must begin with http:// or https:// and name a host")
    return parts.netloc


def _open(request: urllib.request.Request, timeout: float) -> Any:
    try:
        return urllib.request.urlopen(request, timeout=timeout)  # noqa: S310 - as above
    except urllib.error.HTTPError as error:
        # An answer like any other; whether it is the right one is judged elsewhere.
        return error


def _read(answer: Any) -> Answer:
    body = answer.read(MAX_ANSWER)
    headers = {name.lower(): value for name, value in answer.headers.items()}
    try:
        return Answer(answer.status, headers, json.loads(body))
    except (ValueError, RecursionError):
        return Answer(answer.status, headers)


def _expect(answer: Answer, status: int, doing: str) -> Answer:
    if answer.status != status:
        detail = answer.document.get("detail") if isinstance(answer.document, dict) else None
        said = f": {detail}" if detail else ""
        raise ModelFailed(f"{doing} answered {answer.status} where {status} was expected{said}")
    return answer


def _hold(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ModelFailed(otherwise)
