"""Answers predictions before Flask's own routing: most requests, and where its time would count.

It carries bytes to and from `answer` as the Flask view does, and leaves all else to Flask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from slipway.settings import ServeSettings
from slipway.web.answer import Answers, Reply
from slipway.web.body import given_body

StartResponse = Callable[..., Any]
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


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


class Direct:
    """An application that answers POST to each prediction path, and `otherwise` all the rest."""

    def __init__(self, answers: Answers, settings: ServeSettings, otherwise: Application) -> None:
        self._answers = answers
        self._settings = settings
        self._otherwise = otherwise

    def predicts(self, method: str, path: str) -> bool:
        """Whether such a request is answered here."""
        return method == "POST" and path in self._answers.formats

    def reply(self, environ: Mapping[str, Any]) -> Reply:
        """The answer to a request that `predicts` is true of.

        Needs the path, the body's length and the headers, as PEP 3333 names them, and `wsgi.input`.
        """
        body = given_body(environ, self._settings)
        return self._answers.answer("POST", environ["PATH_INFO"], EnvironHeaders(environ), body)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        if not self.predicts(environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")):
            return self._otherwise(environ, start_response)
        reply = self.reply(environ)
        length = ("Content-Length", str(len(reply.body)))
        start_response(STATUS_LINES[reply.status], [*reply.headers, length])
        return [reply.body]
