"""Bytes of a request -> checked rows. Decoding with the row's type is the whole validation. Pure.

`/predict` takes one row's object, or `{"instances": [...]}`; the other protocols' bodies have
modules of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from slipway.errors import InvalidInput, Malformed, UnsupportedMedia
from slipway.web.pointers import Tokens, explain, invalid, pointer

JSON = "application/json"
BARE_ARRAY = 'send one object, or {"instances": [...]} for several rows; a bare array is not read'


class Decoded(NamedTuple):
    """Rows, whether the body was one bare row, and the JSON pointer of each row."""

    rows: Sequence[Any]
    single: bool
    place: Callable[[int], str]


Decode = Callable[[bytes], Decoded]


def media_of(
    content_type: str | None, content_encoding: str | None, *served: str
) -> tuple[str, dict[str, str]]:
    """The media type, one of `served`, and its parameters, all in lower case.

    Raises UnsupportedMedia for any other type, for a Content-Encoding and for a charset that is
    not UTF-8.
    """
    if content_encoding and content_encoding.strip().lower() != "identity":
        raise UnsupportedMedia("send the body without Content-Encoding")
    if content_type == served[0]:
        return content_type, {}
    media, *rest = (content_type or "").lower().split(";")
    media = media.strip()
    if media not in served:
        raise UnsupportedMedia(f"send the body as {' or '.join(served)}")
    pairs = (parameter.strip().partition("=") for parameter in rest)
    parameters = {name: value.strip('"') for name, _, value in pairs}
    if parameters.get("charset", "utf-8") not in ("utf-8", "utf8"):
        raise UnsupportedMedia("send the body in UTF-8")
    return media, parameters


def predict_decoder(row_type: Any, max_rows: int) -> Decode:
    """The decoder of /predict for rows of a type; at most `max_rows` rows."""
    names = field_names(row_type)
    batch = msgspec.json.Decoder(_envelope(row_type))
    row = msgspec.json.Decoder(row_type)

    def several(body: bytes) -> Decoded:
        rows = limited(batch.decode(body).instances, max_rows, ("instances",))
        return Decoded(rows, single=False, place=after("instances"))

    def one(body: bytes) -> Decoded:
        return Decoded((row.decode(body),), single=True, place=lambda _row: "")

    def decode(body: bytes) -> Decoded:
        # A guess that is nearly always right, so that a sound body is read once.
        guess = several if b'"instances"' in body or not names else one
        try:
            return guess(body)
        except msgspec.ValidationError as error:
            meant = several if _has_instances(body) or not names else one
            if meant is guess:
                raise invalid(error, names) from error
        try:
            return meant(body)
        except msgspec.ValidationError as error:
            raise invalid(error, names) from error

    return guarded(decode)


def field_names(row_type: Any) -> tuple[str, ...]:
    """The names of a row's fields; none for a tensor, whose rows are lists."""
    if isinstance(row_type, type) and issubclass(row_type, msgspec.Struct):
        return tuple(field.encode_name for field in msgspec.structs.fields(row_type))
    return ()


def _envelope(row_type: Any) -> Any:
    return msgspec.defstruct(
        "Instances", [("instances", list[row_type])], forbid_unknown_fields=True
    )


def _has_instances(body: bytes) -> bool:
    """Whether the body is an object with that member; raises InvalidInput for an array."""
    try:
        return "instances" in msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    except msgspec.ValidationError as error:
        if body.lstrip()[:1] == b"[":
            raise InvalidInput(BARE_ARRAY, "") from error
        return False


def limited(rows: list[Any], most: int, at: Tokens) -> list[Any]:
    """The rows themselves; raises InvalidInput for none and for more than `most`."""
    check_count(len(rows), most, at)
    return rows


def check_count(rows: int, most: int, at: Tokens) -> None:
    """Raises InvalidInput if there are no rows, or more than `most`."""
    if not 1 <= rows <= most:
        name = at[-1] if at else "the body"
        raise InvalidInput(f"{name}: must hold 1 to {most} rows", pointer(at))


def after(*tokens: str) -> Callable[[int], str]:
    """The place of each row of a list that stands at `tokens`."""
    return lambda row: pointer((*tokens, str(row)))


def converted(
    rows: list[dict[str, Any]] | list[Any], row_type: Any, place: Callable[[str, str], Tokens]
) -> list[Any]:
    """Rows of plain values as rows of the type; `place` says where (row, field) stands.

    Raises InvalidInput at the first value that the type refuses.
    """
    try:
        found: list[Any] = msgspec.convert(rows, list[row_type])
    except msgspec.ValidationError as error:
        sentence, tokens = explain(error, field_names(row_type))
        row, name = (*tokens, "", "")[:2]
        raise InvalidInput(sentence, pointer(place(row, name))) from error
    return found


def guarded(decode: Decode) -> Decode:
    """The same decoder, with all that can go wrong as InvalidInput: no JSON at all is Malformed."""

    def careful(body: bytes) -> Decoded:
        try:
            return decode(body)
        except RecursionError as error:
            raise InvalidInput("the body is nested too deeply", "") from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Malformed("the body is not JSON in UTF-8") from error

    return careful
