"""A body is read whole or not at all, however it comes."""

from __future__ import annotations

import io
from typing import Any

import pytest
from gunicorn.http.errors import ChunkMissingTerminator, InvalidChunkSize
from hypothesis import given
from hypothesis import strategies as st

from slipway.errors import Busy, Malformed, TooLarge
from slipway.settings import ServeSettings, read_settings
from slipway.web.body import WAITED, Stream, given_body, read_body

LIMIT = 1024


class Dribble:
    """A stream that gives a few bytes at a time, then ends or breaks."""

    def __init__(self, body: bytes, step: int = 3, then: Exception | None = None) -> None:
        self._left = io.BytesIO(body)
        self._step = step
        self._then = then
        self.taken = 0

    def read(self, size: int, /) -> bytes:
        part = self._left.read(min(size, self._step))
        if not part and self._then:
            raise self._then
        self.taken += len(part)
        return part


def by_length(stream: Stream, length: Any) -> dict[str, Any]:
    return {"CONTENT_LENGTH": str(length), "wsgi.input": stream}


def in_chunks(stream: Stream) -> dict[str, Any]:
    return {"wsgi.input": stream, "wsgi.input_terminated": True}


@given(st.binary(max_size=LIMIT), st.integers(1, 2 * LIMIT))
def test_a_body_within_the_limit_is_read_whole_in_whatever_pieces_it_comes(
    body: bytes, step: int
) -> None:
    assert read_body(by_length(Dribble(body, step), len(body)), LIMIT) == body
    assert read_body(in_chunks(Dribble(body, step)), LIMIT) == body


def test_A7_a_length_over_the_limit_is_refused_before_a_byte_is_read() -> None:
    stream = Dribble(b"x" * 5_000)
    with pytest.raises(TooLarge, match="1024 bytes"):
        read_body(by_length(stream, LIMIT + 1), LIMIT)
    assert stream.taken == 0


def test_A7_chunks_over_the_limit_are_refused_as_soon_as_they_are_too_many() -> None:
    stream = Dribble(b"x" * 5_000, 100)
    with pytest.raises(TooLarge, match="1024 bytes"):
        read_body(in_chunks(stream), LIMIT)
    assert stream.taken == LIMIT + 1
    assert len(read_body(in_chunks(Dribble(b"x" * LIMIT, 100)), LIMIT)) == LIMIT


def test_A8_97_a_body_shorter_than_its_length_is_not_taken_for_all_of_it() -> None:
    with pytest.raises(Malformed, match="before its Content-Length"):
        read_body(by_length(Dribble(b"{}"), 3), LIMIT)


def test_what_comes_after_the_length_is_the_next_requests() -> None:
    stream = Dribble(b"{}POST")
    assert read_body(by_length(stream, 2), LIMIT) == b"{}"
    assert stream.read(10) == b"POS"


def test_neither_length_nor_chunks_means_no_body() -> None:
    """RFC 9112, 6.3: reading on would wait for bytes that never come."""
    stream = Dribble(b"next request")
    assert read_body({"wsgi.input": stream}, LIMIT) == b""
    assert read_body({"CONTENT_LENGTH": "", "wsgi.input": stream}, LIMIT) == b""
    assert stream.taken == 0


@pytest.mark.parametrize("length", ["-1", "abc", "1_0", "+1", "²", "1" * 19, " 1"])
def test_A8_a_length_that_is_no_number_is_malformed(length: str) -> None:
    with pytest.raises(Malformed, match="Content-Length"):
        read_body(by_length(Dribble(b"x" * 20), length), LIMIT)


@pytest.mark.parametrize(
    "broken",
    [
        ConnectionResetError(),
        TimeoutError(),
        BlockingIOError(),
        InvalidChunkSize(b"zz"),
        ChunkMissingTerminator(b""),
    ],
    ids=lambda error: type(error).__name__,
)
def test_A8_98_a_body_that_breaks_off_is_malformed(broken: Exception) -> None:
    for environ in (by_length(Dribble(b"{", 1, broken), 2), in_chunks(Dribble(b"{", 1, broken))):
        with pytest.raises(Malformed, match="broke off"):
            read_body(environ, LIMIT)


@pytest.mark.parametrize(("waited", "read"), [(0.0, True), (2.0, True), (2.1, False)])
def test_A5_who_has_waited_too_long_is_told_so_and_not_read(waited: float, read: bool) -> None:
    settings = read_settings(ServeSettings, queue_seconds=2.0)
    stream = Dribble(b"body")
    found = given_body({**by_length(stream, 4), WAITED: waited}, settings)
    assert isinstance(found, bytes if read else Busy)
    assert stream.taken == (4 if read else 0)


def test_what_is_wrong_with_a_body_is_its_answer() -> None:
    settings = read_settings(ServeSettings)
    assert isinstance(given_body(by_length(Dribble(b""), 4), settings), Malformed)
