"""Answers predictions before Flask's own routing: most requests, and where its time would count.

It carries bytes to and from `answer` as the Flask view does, and leaves all else to Flask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from slipway.settings import ServeSettings
from slipway.web.answer import Answers
from slipway.web.body import given_body

StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


class EnvironHeaders:
    """The headers of a WSGI request, by name (PEP 3333)."""

    __slots__ = ("_environ",)

    def __init__(self, environ: Mapping[str, Any]) -> None:
        self._environ = environ

    def get(self, name: str, /) -> str | None:
        """The header's value, or None."""
        value: str | None = self._environ.get(_KEYS[name])
        return value


class _Keys(dict[str, str]):
    """Where PEP 3333 puts a header; only names of our own are asked for, so few are kept."""

    def __missing__(self, name: str) -> str:
        key = name.upper().replace("-", "_")
        self[name] = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        return self[name]


_KEYS = _Keys()


def direct(answers: Answers, settings: ServeSettings, otherwise: Application) -> Application:
    """An application that answers POST to each prediction path, and `otherwise` all the rest."""

    def call(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if environ["REQUEST_METHOD"] != "POST" or path not in answers.formats:
            return otherwise(environ, start_response)
        body = given_body(environ, settings)
        reply = answers.answer("POST", path, EnvironHeaders(environ), body)
        length = ("Content-Length", str(len(reply.body)))
        start_response(_LINES[reply.status], [*reply.headers, length])
        return [reply.body]

    return call
