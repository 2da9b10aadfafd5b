"""How the prediction routes read a request and write its answer. Pure.

A format is one function: headers and body in; rows out, with a function that writes the
predictions for them. What lies between the two is the same for all (web/answer.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from slipway.errors import UnsupportedMedia
from slipway.usecases.protocol import UseCase
from slipway.web.call import Headers
from slipway.web.csv_rows import csv_decoder
from slipway.web.decode import JSON, Decoded, media_of, predict_decoder
from slipway.web.invocations import invocations_decoder

CSV = "text/csv"


class Written(NamedTuple):
    """The body of an answer, its media type, and headers that only this one has."""

    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


Write = Callable[[list[Any]], Written]
Format = Callable[[Headers, bytes], tuple[Decoded, Write]]


def predict_format(use_case: UseCase, version: str, max_rows: int) -> Format:
    """POST /predict: the domain's own endpoint."""
    decode = predict_decoder(use_case.row_type(), max_rows)
    answer = use_case.answer
    encode = msgspec.json.Encoder().encode

    def one(predictions: list[Any]) -> Written:
        return Written(encode({answer: predictions[0], "model_version": version}))

    def several(predictions: list[Any]) -> Written:
        return Written(encode({"predictions": predictions, "model_version": version}))

    def read(headers: Headers, body: bytes) -> tuple[Decoded, Write]:
        media, encoding = headers.get("Content-Type"), headers.get("Content-Encoding")
        if media != JSON or encoding:
            media_of(media, encoding, JSON)
        decoded = decode(body)
        return decoded, one if decoded.single else several

    return read


def invocations_format(use_case: UseCase, max_rows: int) -> Format:
    """POST /invocations: MLflow's scoring protocol, as JSON or as CSV."""
    from_json = invocations_decoder(use_case.row_type(), max_rows)
    from_csv = csv_decoder(use_case, max_rows)

    def write(predictions: list[Any]) -> Written:
        return Written(msgspec.json.encode({"predictions": predictions}))

    def read(headers: Headers, body: bytes) -> tuple[Decoded, Write]:
        media, parameters = media_of(
            headers.get("Content-Type"), headers.get("Content-Encoding"), JSON, CSV
        )
        if media == JSON:
            return from_json(body), write
        if parameters.get("header", "present") != "present":
            raise UnsupportedMedia("send CSV with a first line that names the columns")
        return from_csv(body), write

    return read
