"""Bytes -> checked rows: what is taken, and with which sentence the rest is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.in_process import COLUMNS, RIDE, by_columns, by_tensor

from slipway.errors import InvalidInput, Malformed, UnsupportedMedia
from slipway.usecases.protocol import InputField
from slipway.usecases.rides import Ride
from slipway.web.decode import JSON, Decode, media_of, predict_decoder
from slipway.web.invocations import MEMBERS, invocations_decoder

ROW_TYPES = [Ride, by_columns().row_type(), by_tensor().row_type()]
DECODERS = [
    make(row_type, 3) for row_type in ROW_TYPES for make in (predict_decoder, invocations_decoder)
]
ride = predict_decoder(Ride, 3)


def encoded(document: Any) -> bytes:
    return json.dumps(document).encode()


def refused(decode: Decode, body: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as error:
        decode(body if isinstance(body, bytes) else encoded(body))
    return error.value


@pytest.mark.parametrize(
    "media",
    [
        "application/json",
        "application/json; charset=utf-8",
        'Application/JSON;charset="UTF-8"',
        "application/json; charset=utf8; boundary=x",
    ],
)
def test_json_in_utf8_is_read_however_it_is_called(media: str) -> None:
    assert media_of(media, None, JSON)[0] == JSON
    assert media_of(media, "identity", JSON)[0] == JSON


@pytest.mark.parametrize(
    ("media", "encoding"),
    [
        (None, None),
        ("", None),
        ("text/json", None),
        ("application/vnd.api+json", None),
        ("application/json; charset=utf-16", None),
        ("application/json", "gzip"),
        ("application/json", "gzip, identity"),
    ],
)
def test_A8_any_other_media_is_unsupported(media: str | None, encoding: str | None) -> None:
    with pytest.raises(UnsupportedMedia, match="send the body"):
        media_of(media, encoding, JSON)


def test_one_object_is_one_row_at_the_root_of_the_body() -> None:
    decoded = ride(encoded(RIDE))
    assert (list(decoded.rows), decoded.single, decoded.place(0)) == (
        [Ride(10, 50, 40.0)],
        True,
        "",
    )


def test_instances_are_rows_each_with_its_own_place() -> None:
    decoded = ride(encoded({"instances": [RIDE, RIDE]}))
    assert (len(decoded.rows), decoded.single) == (2, False)
    assert decoded.place(1) == "/instances/1"


def test_a_text_that_looks_like_the_word_instances_misleads_nobody() -> None:
    text = predict_decoder(by_columns([InputField("x", "string")]).row_type(), 3)
    assert text(b'{"x": "instances"}').single
    assert not text(rb'{"\u0069nstances": [{"x": "1"}]}').single


@pytest.mark.parametrize(
    ("body", "pointer", "said"),
    [
        (None, "", "the body: expected object, got null"),
        (7, "", "the body: expected object, got int"),
        ({}, "/PULocationID", "PULocationID: is missing"),
        (RIDE | {"trip_distance": None}, "/trip_distance", "trip_distance: expected float"),
        (RIDE | {"trip_distance": "4.0"}, "/trip_distance", "trip_distance: expected float"),
        (RIDE | {"trip_distance": True}, "/trip_distance", "trip_distance: expected float"),
        (RIDE | {"trip_distance": -1}, "/trip_distance", "trip_distance: must be from 0"),
        (RIDE | {"trip_distance": 1e308}, "/trip_distance", "trip_distance: must be from 0"),
        (RIDE | {"PULocationID": 1.5}, "/PULocationID", "PULocationID: a zone's number"),
        (RIDE | {"PULocationID": 10**300}, "/PULocationID", "PULocationID: a zone's number"),
        (RIDE | {"PULocationID": 10**400}, "/PULocationID", "PULocationID: a zone's number"),
        (RIDE | {"DOLocationID": ""}, "/DOLocationID", "DOLocationID: a zone's text"),
        (RIDE | {"extra": 1}, "/extra", "extra: the model's input has no such field"),
        ({"instances": []}, "/instances", "instances: must hold 1 to 3 rows"),
        ({"instances": [RIDE] * 4}, "/instances", "instances: must hold 1 to 3 rows"),
        ({"instances": 1}, "/instances", "instances: expected array"),
        ({"instances": [RIDE, 1]}, "/instances/1", "row 1: expected object"),
        ({"instances": [RIDE, {}]}, "/instances/1/PULocationID", "PULocationID: is missing"),
        ({"instances": [RIDE], "x": 1}, "/x", "x: the model's input has no such field"),
    ],
)
def test_A8_a_body_that_does_not_fit_is_refused_at_its_place(
    body: Any, pointer: str, said: str
) -> None:
    error = refused(ride, body)
    assert type(error) is InvalidInput
    assert (error.pointer, error.message[: len(said)]) == (pointer, said)


@pytest.mark.parametrize(
    "body", [b"", b" ", b"{", b"{}x", b"{'a': 1}", b"\xef\xbb\xbf{}", b"NaN", b'{"a": "\\ud800"}']
)
def test_A8_what_is_no_json_is_malformed(body: bytes) -> None:
    assert type(refused(ride, body)) is Malformed


@pytest.mark.parametrize("opened", [b"[", b'{"instances":[', b'{"x":['])
def test_A8_what_is_nested_too_deeply_is_refused(opened: bytes) -> None:
    for decode in DECODERS:
        refused(decode, opened * 100_000)
        refused(decode, opened + b"[" * 100_000 + b"]" * 100_000 + b"]}")


@pytest.mark.parametrize("row_type", ROW_TYPES, ids=["rides", "columns", "tensor"])
def test_a_bare_array_is_told_of_instances(row_type: Any) -> None:
    """A tensor's rows are lists, so that is where somebody forgets `instances`."""
    for body in (b"[]", b" [[1.0, 2.0]]", encoded([RIDE])):
        assert '{"instances": [...]}' in refused(predict_decoder(row_type, 3), body).message


names = st.sampled_from(
    [*MEMBERS, "columns", "data", "params", *RIDE, *(field.name for field in COLUMNS)]
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(400, 4200).map(lambda digits: 10**digits)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.datetimes().map(str)
    | names,
    lambda inner: st.lists(inner) | st.dictionaries(names | st.text(), inner),
    max_leaves=30,
)


@settings(deadline=None, max_examples=200)
@given(values)
@example({"PULocationID": 10**400, "DOLocationID": 1, "trip_distance": 1})
@example({"small": 10**400})
@example({"instances": [[[10**400] * 3] * 2]})
def test_A8_any_json_is_rows_or_a_refusal_and_nothing_else(document: Any) -> None:
    for decode in DECODERS:
        try:
            decoded = decode(encoded(document))
        except InvalidInput:
            continue
        assert 1 <= len(decoded.rows) <= 3


@settings(deadline=None, max_examples=200)
@given(st.binary())
def test_A8_any_bytes_are_rows_or_a_refusal_and_nothing_else(body: bytes) -> None:
    for decode in DECODERS:
        try:
            decode(body)
        except InvalidInput:
            continue
