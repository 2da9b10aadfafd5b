"""Reads a request's body whole or not at all.

Flask's own limit cuts a chunked body off in silence, and a body shorter than its Content-Length
would be scored as if it were all: both lengths are checked here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from gunicorn.http.errors import ParseException

from slipway.errors import Busy, Malformed, SlipwayError, TooLarge
from slipway.settings import ServeSettings

# Where our worker says how many seconds a request has waited for a thread.
WAITED = "slipway.waited"

_STEP = 1 << 16


class Stream(Protocol):
    """What is needed of `wsgi.input`."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes, none at the end."""


def given_body(environ: Mapping[str, Any], settings: ServeSettings) -> bytes | SlipwayError:
    """The body of a WSGI request, or the error that is to be its answer.

    A request that has waited too long for a thread is not read at all: with more clients than can
    be answered, all of them would wait ever longer, and most give up before their turn.
    """
    if environ.get(WAITED, 0.0) > settings.queue_seconds:
        return Busy("more is asked than can be answered just now; ask again later")
    try:
        return read_body(environ, settings.max_body_bytes)
    except SlipwayError as error:
        return error


def read_body(environ: Mapping[str, Any], limit: int) -> bytes:
    """The body of a WSGI request, at most `limit` bytes.

    Raises TooLarge without reading when Content-Length says so, and for a chunked body when more
    than `limit` bytes came; Malformed for a body that breaks off or is not framed as it should be.
    """
    length = _content_length(environ)
    if length is not None and length > limit:
        raise TooLarge(_too_large(limit))
    stream: Stream = environ["wsgi.input"]
    if length is not None:
        body = _read(stream, length)
        if len(body) < length:
            raise Malformed("the body ended before its Content-Length")
        return body
    if not environ.get("wsgi.input_terminated"):
        # Neither a length nor chunks: the request has no body (RFC 9112, 6.3).
        return b""
    body = _read(stream, limit + 1)
    if len(body) > limit:
        raise TooLarge(_too_large(limit))
    return body


def _content_length(environ: Mapping[str, Any]) -> int | None:
    text = environ.get("CONTENT_LENGTH")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise Malformed("Content-Length is not a number of bytes")
    return int(text)


def _read(stream: Stream, size: int) -> bytes:
    try:
        first = stream.read(min(size, _STEP))
        if len(first) == size:
            # Most bodies come whole at once.
            return first
        parts = [first]
        size -= len(first)
        while first and size > 0:
            part = stream.read(min(size, _STEP))
            if not part:
                break
            parts.append(part)
            size -= len(part)
    except (OSError, ParseException) as error:
        # gunicorn reads chunks while we do, and raises what it finds wrong in them.
        raise Malformed("the body broke off or its chunks cannot be read") from error
    return b"".join(parts)


def _too_large(limit: int) -> str:
    return f"the body is larger than {limit} bytes; send fewer rows in one request"
