"""The one table from errors to HTTP answers, and the one shape of an error's body (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple, TypeVar

import msgspec

from slipway import errors

PROBLEM_JSON = "application/problem+json"
# Seconds that a client should wait before it asks again.
RETRY_AFTER = "5"

# An error not listed has its base's status. 5xx is what the error gate of a rollout counts, so
# whatever is not the client's fault must be one.
_STATUS: dict[type[errors.SlipwayError], HTTPStatus] = {
    errors.SlipwayError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Malformed: HTTPStatus.BAD_REQUEST,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.UnsupportedMedia: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.NoModel: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.Busy: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}

_TITLES: dict[type[errors.SlipwayError], str] = {
    errors.SlipwayError: "Internal error",
    errors.InvalidInput: "The request does not fit the model's input",
    errors.Malformed: "The request cannot be read",
    errors.TooLarge: "The request is too large",
    errors.UnsupportedMedia: "The media type is not supported",
    errors.NoModel: "No model is loaded",
    errors.Busy: "The service is busy",
    errors.ModelFailed: "The model failed",
    errors.ModelOutputInvalid: "The model's answer is no prediction",
    errors.Unavailable: "A service behind this one is not available",
}


class Problem(NamedTuple):
    """What went wrong with a request; `pointer` is a JSON pointer, None where none applies."""

    status: int
    title: str
    detail: str
    reason: str = ""
    pointer: str | None = None

    def body(self, request_id: str, *, with_error: bool = False) -> bytes:
        """The problem document; `with_error` adds the member that MLflow's clients read."""
        document: dict[str, Any] = {
            "type": f"urn:slipway:{self.reason}" if self.reason else "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.pointer is not None:
            document["pointer"] = self.pointer
        document["request_id"] = request_id
        if with_error:
            document["error"] = self.detail
        return msgspec.json.encode(document)


INTERNAL = Problem(500, "Internal error", "something failed that should not; the log says more")


def status_of(error: errors.SlipwayError) -> tuple[int, str]:
    """An error's status and title: its own, or those of the nearest base that has some."""
    return _nearest(_STATUS, error).value, _nearest(_TITLES, error)


def problem_of(error: errors.SlipwayError) -> Problem:
    """An error as a problem. A failed model's `row` is made a pointer by who knows the body."""
    status, title = status_of(error)
    pointer = error.pointer if isinstance(error, errors.InvalidInput) else None
    return Problem(status, title, error.message, error.reason, pointer)


def http_problem(status: int, detail: str) -> Problem:
    """A problem that is plain HTTP, such as 404."""
    return Problem(status, HTTPStatus(status).phrase, detail)


_Found = TypeVar("_Found")


def _nearest(
    table: Mapping[type[errors.SlipwayError], _Found], error: errors.SlipwayError
) -> _Found:
    return next(table[kind] for kind in type(error).__mro__ if kind in table)
