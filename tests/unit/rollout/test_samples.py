"""Pages of the real ring of /sample, read so that each row counts once."""

from __future__ import annotations

import json

import msgspec
import pytest

from slipway.rollout.measures import Earlier
from slipway.rollout.samples import Reader, Row, earlier_of, is_number, page_of
from slipway.web.sample import SampleRing

DIGEST = "sha256:" + "5e" * 32


def ring(capacity: int = 100) -> SampleRing:
    return SampleRing("pod-1", DIGEST, 10_000, capacity)


def fill(made: SampleRing, *values: float, source: str = "live") -> None:
    for value in values:
        made.add(f"pair {value}", "", [value], source)


def look(reader: Reader, made: SampleRing) -> tuple[list[float], list[float]]:
    """What was there before, and what is new, as a pod would answer over the wire."""
    page = page_of(msgspec.json.encode(made.after(reader.cursor)), DIGEST)
    assert page
    before, new = reader.read(page)
    return [row.value for row in before], [row.value for row in new]


def test_what_a_pod_answered_before_it_was_watched_is_told_apart() -> None:
    reader, made = Reader(), ring()
    fill(made, 1.0, 2.0)
    assert look(reader, made) == ([1.0, 2.0], [])
    fill(made, 3.0)
    assert look(reader, made) == ([], [3.0])
    assert look(reader, made) == ([], [])


def test_a_process_that_began_anew_counts_from_the_look_that_first_sees_it() -> None:
    reader, made = Reader(), ring()
    look(reader, made)
    fill(made, 1.0)
    look(reader, made)
    anew = ring()
    fill(anew, 5.0, 6.0)
    assert look(reader, anew)[1] == []
    fill(anew, 7.0)
    assert look(reader, anew)[1] == [7.0]


def test_rows_count_once_though_two_workers_of_a_pod_answer_in_turn() -> None:
    """Each answers a cursor of the other's with all that it has."""
    reader, one, two = Reader(), ring(), ring()
    look(reader, one)
    look(reader, two)
    found = []
    for number in range(6):
        fill(one, float(number))
        fill(two, float(100 + number))
        found += look(reader, (one, two)[number % 2])[1]
    found += look(reader, one)[1] + look(reader, two)[1]
    assert sorted(found) == [0, 1, 2, 3, 4, 5, 100, 101, 102, 103, 104, 105]


def test_rows_that_fell_out_of_the_ring_are_gone_and_the_rest_count() -> None:
    reader, made = Reader(), ring(capacity=3)
    look(reader, made)
    fill(made, 1.0, 2.0, 3.0, 4.0, 5.0)
    assert look(reader, made)[1] == [3.0, 4.0, 5.0]


GOOD = {"pod": "p", "digest": DIGEST, "next": "ab12.3", "lost": 0, "rows": [[1, 0, 0, 2.5, "live"]]}


@pytest.mark.parametrize(
    "changes",
    [
        {"digest": "sha256:" + "00" * 32},
        {"next": ""},
        {"next": "ab12"},
        {"next": "ab12.x"},
        {"next": "ab12.-1"},
        {"next": "a b.1&x=/../"},
        {"next": "ab12." + "9" * 60},
        {"rows": [[1, 0, 0, 2.5]]},
        {"rows": [["x", 0, 0, 2.5, "live"]]},
        {"rows": None},
    ],
)
def test_D9_a_page_that_is_none_or_of_another_release_is_no_page(
    changes: dict[str, object],
) -> None:
    assert page_of(json.dumps(GOOD).encode(), DIGEST) is not None
    assert page_of(json.dumps(GOOD | changes).encode(), DIGEST) is None


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b"<html>", b'{"digest": "\x80"}', b'{"rows": [[1, 0, 0, NaN, "live"]]}'],
)
def test_D9_what_is_no_document_is_no_page(body: bytes) -> None:
    assert page_of(body, DIGEST) is None


@pytest.mark.parametrize("value", [None, "12", [1.0], float("nan"), float("inf"), -float("inf")])
def test_what_is_no_finite_number_is_not_compared(value: object) -> None:
    assert not is_number(value)


def test_the_earlier_answers_are_a_scale_of_the_live_ones() -> None:
    rows = [Row(n, 0, 0, value, "live") for n, value in enumerate((1.0, 3.0, "x", None))]
    assert earlier_of([*rows, Row(9, 0, 0, 50.0, "shadow")]) == Earlier(2, 2.0, 1.0)
    assert earlier_of([]) is None
