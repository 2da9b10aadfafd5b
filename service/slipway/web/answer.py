"""Computes the answers, without any transport: bytes in, status, headers and bytes out.

The Flask view, and any faster WSGI callable in front of it, only carry bytes to and from here.
So whatever an answer needs (its errors, its log line, its counting, its sample) is here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from slipway.errors import ModelFailed, NoModel, SlipwayError
from slipway.logs import cut, tell
from slipway.metrics import PodMetrics
from slipway.web.call import Call, Headers, read_call
from slipway.web.decode import JSON
from slipway.web.errors import (
    INTERNAL,
    PROBLEM_JSON,
    RETRY_AFTER,
    Problem,
    http_problem,
    problem_of,
)
from slipway.web.formats import Format, Written
from slipway.web.health import Health
from slipway.web.open_inference import PREFIX
from slipway.web.sample import SampleRing

if TYPE_CHECKING:
    from slipway.models.obtain import Loaded

MAX_PATH = 200


class Reply(NamedTuple):
    """An answer: status code, headers, body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Outcome(NamedTuple):
    """What came of a request, before it is dressed as a reply."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    rows: int = 0
    problem: Problem | None = None
    error: BaseException | None = None


class Answers:
    """Answers predictions, and shows documents, of one release or of none.

    `formats` has a format for each path of POST that predicts, `documents` what each path of GET
    shows; None stands for what there is none of without a model.

    Thread-safe as far as the model's own `predict` is.
    """

    def __init__(
        self,
        loaded: Loaded | None,
        metrics: PodMetrics,
        ring: SampleRing,
        health: Health,
        *,
        slot: str,
        formats: Mapping[str, Format | None],
        documents: Mapping[str, Written | None],
    ) -> None:
        self._loaded = loaded
        self._metrics = metrics
        self._ring = ring
        self._health = health
        self._slot = slot
        self._version = loaded.release.version if loaded else ""
        # The headers that every answer has.
        self._always = [("X-Slipway-Slot", slot)]
        if self._version:
            self._always.append(("X-Slipway-Run-Id", self._version))
        self.formats = formats
        self.documents = documents

    def answer(self, method: str, path: str, headers: Headers, body: bytes | SlipwayError) -> Reply:
        """The answer to a request; `body` is the error when the body was not, or not well, read."""
        call = read_call(method, path, headers)
        if method != "POST" or path not in self.formats:
            return self._finish(call, self._shown(call))
        self._metrics.in_flight.inc()
        self._health.begin()
        try:
            outcome = self._run(call, headers, body)
            seconds = time.perf_counter() - call.started
            self._metrics.answered(outcome.status, call.source, seconds)
        finally:
            self._health.end()
            self._metrics.in_flight.dec()
        reply = self._finish(call, outcome)
        if isinstance(body, SlipwayError):
            # What is left of the body cannot be told from the next request.
            reply.headers.append(("Connection", "close"))
        return reply

    def other(
        self,
        method: str,
        path: str,
        headers: Headers,
        told: Outcome | Problem,
        *,
        quiet: bool = False,
    ) -> Reply:
        """Dress and log an answer that was computed elsewhere; `quiet` logs it as `debug` only."""
        call = read_call(method, path, headers)
        outcome = self._refused(call, told) if isinstance(told, Problem) else told
        return self._finish(call, outcome, quiet=quiet)

    def _shown(self, call: Call) -> Outcome:
        if call.method not in ("GET", "HEAD") or call.path not in self.documents:
            return self._refused(call, http_problem(404, "no such resource"))
        document = self.documents[call.path]
        if document is None:
            error = _no_model()
            return self._refused(call, problem_of(error), error)
        return Outcome(200, *document)

    def _run(self, call: Call, headers: Headers, body: bytes | SlipwayError) -> Outcome:
        if isinstance(body, SlipwayError):
            return self._refused(call, problem_of(body), body)
        try:
            return self._predict(call, headers, body)
        except SlipwayError as error:
            return self._refused(call, problem_of(error), error)
        # The edge of the service: a request must get its answer whatever is wrong in here.
        except Exception as error:  # noqa: BLE001
            return self._refused(call, INTERNAL, error)

    def _predict(self, call: Call, headers: Headers, body: bytes) -> Outcome:
        read = self.formats[call.path]
        if self._loaded is None or read is None:
            raise _no_model()
        decoded, write = read(headers, body)
        try:
            values = self._loaded.scorer.score(decoded.rows)
        except ModelFailed as error:
            place = decoded.place(error.row) if error.row is not None else ""
            return self._refused(call, problem_of(error)._replace(pointer=place), error)
        predictions: list[Any] = values.tolist()
        written = write(predictions)
        # Nothing is counted or kept before it is certain that it will be sent.
        if values.ndim == 1 and values.dtype.kind in "fiu":
            self._metrics.predicted(predictions, call.source)
        self._ring.add(call.pair, call.key, predictions, call.source)
        return Outcome(
            200, written.body, written.content_type, written.headers, rows=len(predictions)
        )

    def _refused(self, call: Call, problem: Problem, error: BaseException | None = None) -> Outcome:
        with_error = call.path == "/invocations" or f"{call.path}/".startswith(f"{PREFIX}/")
        body = problem.body(call.request_id, with_error=with_error)
        return Outcome(problem.status, body, PROBLEM_JSON, problem=problem, error=error)

    def _finish(self, call: Call, outcome: Outcome, *, quiet: bool = False) -> Reply:
        headers = [
            ("Content-Type", outcome.content_type),
            ("X-Request-Id", call.request_id),
            *self._always,
            *outcome.headers,
        ]
        if outcome.status == 503:
            headers.append(("Retry-After", RETRY_AFTER))
        self._tell(call, outcome, quiet)
        return Reply(outcome.status, headers, outcome.body)

    def _tell(self, call: Call, outcome: Outcome, quiet: bool) -> None:
        """The one log line of a request."""
        line: dict[str, Any] = {
            "request_id": call.request_id,
            "method": cut(call.method, MAX_PATH),
            "path": cut(call.path, MAX_PATH),
            "status": outcome.status,
            # To the microsecond; `round` would cost as much as all the other fields.
            "milliseconds": int((time.perf_counter() - call.started) * 1e6) / 1000,
            "bytes": len(outcome.body),
            "rows": outcome.rows,
            "run_id": self._version,
            "slot": self._slot,
            "source": call.source,
            "pair": call.pair,
        }
        if outcome.problem:
            line["reason"] = outcome.problem.reason or "HTTP"
            line["detail"] = outcome.problem.detail
        if outcome.status < 500:
            tell("debug" if quiet else "info", "request", line)
        elif outcome.status == 503:
            tell("warning", "request", line)
        else:
            tell("error", "request", line, _cause(outcome.error))


def _no_model() -> NoModel:
    return NoModel("no model is loaded here; ask again later")


def _cause(error: BaseException | None) -> BaseException | None:
    """What the model raised rather than our words for it."""
    while isinstance(error, ModelFailed) and error.__cause__:
        error = error.__cause__
    return error
