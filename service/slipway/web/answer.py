"""Computes the answers, without any transport: bytes in, status, headers and bytes out.

The Flask view, and any faster WSGI callable in front of it, only carry bytes to and from here.
So whatever an answer needs (its errors, its log line, its counting, its sample) is here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import structlog

from slipway.errors import InvalidInput, ModelFailed, NoModel, SlipwayError
from slipway.logs import cut
from slipway.metrics import PodMetrics
from slipway.settings import ServeSettings
from slipway.web.call import Call, Headers, read_call
from slipway.web.decode import (
    JSON,
    Decode,
    Decoded,
    check_media,
    predict_decoder,
)
from slipway.web.errors import (
    INTERNAL,
    PROBLEM_JSON,
    RETRY_AFTER,
    Problem,
    http_problem,
    problem_of,
)
from slipway.web.invocations import invocations_decoder
from slipway.web.sample import SampleRing

if TYPE_CHECKING:
    from slipway.models.obtain import Loaded

MAX_PATH = 200

log = structlog.get_logger(__name__)


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
    rows: int = 0
    problem: Problem | None = None
    error: BaseException | None = None


class Answers:
    """Answers POST /predict, POST /invocations and GET /model with one release, or with none.

    `model` is the document of GET /model.

    Thread-safe as far as the model's own `predict` is.
    """

    def __init__(
        self,
        loaded: Loaded | None,
        metrics: PodMetrics,
        ring: SampleRing,
        *,
        slot: str,
        model: bytes,
        max_rows: int,
    ) -> None:
        self._loaded = loaded
        self._metrics = metrics
        self._ring = ring
        self._slot = slot
        self._version = loaded.release.version if loaded else ""
        # Bound here, once: structlog's lazy loggers cost more than the line.
        self._log = log.bind()
        self._model = model
        self._decoders: dict[str, Decode] = {}
        if loaded:
            row_type = loaded.scorer.use_case.row_type()
            self._decoders["/predict"] = predict_decoder(row_type, max_rows)
            self._decoders["/invocations"] = invocations_decoder(row_type, max_rows)
        self._routes: dict[tuple[str, str], Callable[[Call, Headers, bytes], Outcome]] = {
            ("POST", "/predict"): self._predict,
            ("POST", "/invocations"): self._predict,
            ("GET", "/model"): self._show_model,
            ("HEAD", "/model"): self._show_model,
        }

    def answer(self, method: str, path: str, headers: Headers, body: bytes | InvalidInput) -> Reply:
        """The answer to a request; `body` is the error when the body could not be read."""
        call = read_call(method, path, headers)
        if (method, path) not in self._routes:
            return self._finish(call, self._refused(call, http_problem(404, "no such resource")))
        if method != "POST":
            return self._finish(call, self._run(call, headers, body))
        self._metrics.in_flight.inc()
        try:
            outcome = self._run(call, headers, body)
            seconds = time.perf_counter() - call.started
            self._metrics.answered(outcome.status, call.source, seconds)
        finally:
            self._metrics.in_flight.dec()
        reply = self._finish(call, outcome)
        if isinstance(body, InvalidInput):
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

    def _run(self, call: Call, headers: Headers, body: bytes | InvalidInput) -> Outcome:
        if isinstance(body, InvalidInput):
            return self._refused(call, problem_of(body), body)
        if self._loaded is None:
            error = NoModel("no model is loaded here; ask again later")
            return self._refused(call, problem_of(error), error)
        try:
            return self._routes[call.method, call.path](call, headers, body)
        except SlipwayError as error:
            return self._refused(call, problem_of(error), error)
        # The edge of the service: a request must get its answer whatever is wrong in here.
        except Exception as error:  # noqa: BLE001
            return self._refused(call, INTERNAL, error)

    def _predict(self, call: Call, headers: Headers, body: bytes) -> Outcome:
        assert self._loaded is not None  # noqa: S101 - `_run` has seen to it
        check_media(headers.get("Content-Type"), headers.get("Content-Encoding"))
        decoded = self._decoders[call.path](body)
        try:
            values = self._loaded.scorer.score(decoded.rows)
        except ModelFailed as error:
            place = decoded.place(error.row) if error.row is not None else ""
            return self._refused(call, problem_of(error)._replace(pointer=place), error)
        predictions: list[Any] = values.tolist()
        document = self._encoded(call, decoded, predictions)
        # Nothing is counted or kept before it is certain that it will be sent.
        if values.ndim == 1 and values.dtype.kind in "fiu":
            self._metrics.predicted(predictions, call.source)
        self._ring.add(call.pair, call.key, predictions, call.source)
        return Outcome(200, document, rows=len(predictions))

    def _encoded(self, call: Call, decoded: Decoded, predictions: list[Any]) -> bytes:
        assert self._loaded is not None  # noqa: S101 - as above
        document: dict[str, Any] = {"predictions": predictions}
        if decoded.single:
            document = {self._loaded.scorer.use_case.answer: predictions[0]}
        if call.path == "/predict":
            document["model_version"] = self._version
        return msgspec.json.encode(document)

    def _show_model(self, _call: Call, _headers: Headers, _body: bytes) -> Outcome:
        return Outcome(200, self._model)

    def _refused(self, call: Call, problem: Problem, error: BaseException | None = None) -> Outcome:
        body = problem.body(call.request_id, with_error=call.path == "/invocations")
        return Outcome(problem.status, body, PROBLEM_JSON, problem=problem, error=error)

    def _finish(self, call: Call, outcome: Outcome, *, quiet: bool = False) -> Reply:
        headers = [
            ("Content-Type", outcome.content_type),
            ("X-Request-Id", call.request_id),
            ("X-Slipway-Slot", self._slot),
        ]
        if self._version:
            headers.append(("X-Slipway-Run-Id", self._version))
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
            "milliseconds": round((time.perf_counter() - call.started) * 1000, 3),
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
            (self._log.debug if quiet else self._log.info)("request", **line)
        elif outcome.status == 503:
            self._log.warning("request", **line)
        else:
            self._log.error("request", exc_info=_cause(outcome.error), **line)


def describe(loaded: Loaded, row: Any, settings: ServeSettings) -> bytes:
    """The document of GET /model; `row` is shown as an example of what /predict takes."""
    release, scorer = loaded.release, loaded.scorer
    return msgspec.json.encode(
        {
            "name": settings.model_name,
            "model_version": release.version,
            "run_id": release.run_id,
            "model_id": release.model_id,
            "digest": release.digest,
            "slot": settings.slot,
            "flavor": release.flavor,
            "form": scorer.form,
            "use_case": scorer.use_case.name,
            "answer": scorer.use_case.answer,
            "inputs": [
                {"name": field.name, "type": field.type, "required": field.required}
                for field in scorer.use_case.inputs
            ],
            "requires": release.requires,
            "example": row,
        }
    )


def _cause(error: BaseException | None) -> BaseException | None:
    """What the model raised rather than our words for it."""
    while isinstance(error, ModelFailed) and error.__cause__:
        error = error.__cause__
    return error
