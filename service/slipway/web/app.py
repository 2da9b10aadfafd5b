"""The Flask application: routes, and nothing that an answer is made of."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import msgspec
from flask import Flask, Response, request
from prometheus_client import CONTENT_TYPE_LATEST
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from slipway.settings import ServeSettings
from slipway.web.answer import Outcome, Reply
from slipway.web.body import given_body
from slipway.web.errors import Problem, http_problem
from slipway.web.open_inference import PREFIX, nothing_there
from slipway.web.service import Service
from slipway.web.warmup import Example

if TYPE_CHECKING:
    from slipway.models.obtain import Loaded


def create_app(
    settings: ServeSettings,
    loaded: Loaded | None,
    *,
    example: Example | None = None,
    pod: str = "local",
    multiprocess_dir: str = "",
) -> Flask:
    """The application that serves a release, or none; its Service is at `service_of(app)`.

    `example` is what /model and the other documents show.
    """
    service = Service(settings, loaded, example=example, pod=pod, multiprocess_dir=multiprocess_dir)
    return app_of(service, settings)


def app_of(service: Service, settings: ServeSettings) -> Flask:
    """The application around a Service."""
    app = Flask("slipway", static_folder=None)
    app.extensions["slipway"] = service
    # Flask's own answers to OPTIONS would be neither dressed nor logged as all others are.
    app.config["PROVIDE_AUTOMATIC_OPTIONS"] = False
    app.register_error_handler(HTTPException, functools.partial(_refused, service))
    _route_answers(app, service, settings)
    _route_probes(app, service, settings.model_name)
    return app


def service_of(app: Flask) -> Service:
    """What an application of `create_app` serves."""
    service: Service = app.extensions["slipway"]
    return service


def _route_answers(app: Flask, service: Service, settings: ServeSettings) -> None:
    answers = service.answers

    def predict() -> Response:
        body = given_body(request.environ, settings)
        return _response(answers.answer(request.method, request.path, request.headers, body))

    def show() -> Response:
        return _response(answers.answer(request.method, request.path, request.headers, b""))

    for path in answers.formats:
        app.add_url_rule(path, path, predict, methods=["POST"])
    for path in answers.documents:
        app.add_url_rule(path, path, show, methods=["GET"])


def _route_probes(app: Flask, service: Service, name: str) -> None:
    def tell(outcome: Outcome) -> Response:
        """Probes come every few seconds: they are logged as `debug`."""
        return _response(
            service.answers.other(
                request.method, request.path, request.headers, outcome, quiet=True
            )
        )

    @app.get("/livez")
    @app.get(f"{PREFIX}/health/live", endpoint="v2_live")
    def livez() -> Response:
        return tell(_document(*service.health.live()))

    @app.get("/readyz")
    @app.get(f"{PREFIX}/health/ready", endpoint="v2_ready")
    def readyz() -> Response:
        return tell(_document(*service.health.ready()))

    def model_ready() -> Response:
        status, told = service.health.model_ready()
        return tell(_document(status, {"name": name, **told}))

    for path in service.model_paths:
        app.add_url_rule(f"{path}/ready", f"{path}/ready", model_ready, methods=["GET"])

    @app.get("/metrics")
    def metrics() -> Response:
        return tell(Outcome(200, service.metrics.expose(), CONTENT_TYPE_LATEST))


def _refused(service: Service, error: HTTPException) -> Response:
    """404, 405 and what else Flask itself refuses, in the one shape of errors; and OPTIONS."""
    code = error.code or 500
    told: Outcome | Problem = http_problem(code, _said(service, code, request.path))
    allowed = error.valid_methods or () if isinstance(error, MethodNotAllowed) else ()
    if allowed and request.method == "OPTIONS":
        told = Outcome(200, b"")
    response = _response(service.answers.other(request.method, request.path, request.headers, told))
    if allowed:
        response.allow.update([*allowed, "OPTIONS"])
    return response


def _said(service: Service, code: int, path: str) -> str:
    if code == 404 and path.startswith(f"{PREFIX}/"):
        return nothing_there(path, service.model_paths)
    return _SAID.get(code, "the request cannot be answered")


_SAID = {
    404: "there is nothing at this path; predictions are made at POST /predict",
    405: "this path does not take the method; the header Allow lists those that it takes",
    500: "something failed that should not; the log says more",
}


def _document(status: int, document: dict[str, Any]) -> Outcome:
    return Outcome(status, msgspec.json.encode(document))


def _response(reply: Reply) -> Response:
    return Response(reply.body, reply.status, reply.headers)
