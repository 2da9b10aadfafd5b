"""The open inference protocol (KServe V2) for the one model that is served here. Pure.

A model with columns takes one tensor for each column, shape [n] or [n, 1]; a model that takes a
tensor takes that one, shape [n, ...]. Rows are checked as strictly as on /predict. The binary
tensor extension is read and written, as Triton's client uses it unless it is told otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from slipway.errors import InvalidInput, Malformed
from slipway.usecases.protocol import UseCase
from slipway.usecases.tabular import Tabular
from slipway.web.call import Headers
from slipway.web.decode import JSON, Decoded, check_count, converted, guarded, media_of
from slipway.web.formats import Format, Write, Written
from slipway.web.pointers import Tokens, invalid, pointer
from slipway.web.tensors import (
    BYTES,
    FP64,
    Tensor,
    datatype_of_dtype,
    datatype_of_values,
    datatype_of_word,
    to_bytes,
    values_of,
)

PREFIX = "/v2"
OCTETS = "application/octet-stream"
HEAD_LENGTH = "Inference-Header-Content-Length"
BINARY_SIZE = "binary_data_size"
TENSOR_NAME = "input"
# What would make the data mean something else than is read here.
_NOT_SERVED = ("shared_memory_region", "classification")
_NOT_TEXT = "base64"


class RequestedOutput(msgspec.Struct, forbid_unknown_fields=True):
    """An output that a request asks for by name."""

    name: str
    parameters: dict[str, Any] | None = None


class InferenceRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON of a request."""

    inputs: Annotated[list[Tensor], Meta(min_length=1)]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[RequestedOutput] | None = None


def model_paths(name: str, version: str) -> list[str]:
    """The paths that mean this model: the plain one, and the one of its version if it has one."""
    plain = f"{PREFIX}/models/{name}"
    return [plain, f"{plain}/versions/{version}"] if version else [plain]


def nothing_there(path: str, known: Sequence[str]) -> str:
    """The sentence for a path below /v2 that is none of `known`, those of the model."""
    if path.startswith(f"{PREFIX}/models/"):
        return f"no such model, version or path; the model served here is at {' and '.join(known)}"
    return "nothing is at this path; predictions are made at POST /v2/models/{name}/infer"


def server_metadata(version: str) -> bytes:
    """The document of GET /v2."""
    extensions = ["binary_tensor_data"]
    return msgspec.json.encode({"name": "slipway", "version": version, "extensions": extensions})


def model_metadata(
    name: str, version: str, flavor: str, use_case: UseCase, prediction: Any
) -> bytes:
    """The document of GET /v2/models/{name}; `prediction` is one that the model gave."""
    values, shape = _flattened([prediction])
    return msgspec.json.encode(
        {
            "name": name,
            "versions": [version],
            "platform": f"mlflow_{flavor}",
            "inputs": input_tensors(use_case),
            "outputs": [
                {
                    "name": use_case.answer,
                    "datatype": datatype_of_values(values) if values else FP64,
                    "shape": [-1, *shape[1:]],
                }
            ],
        }
    )


def input_tensors(use_case: UseCase) -> list[dict[str, Any]]:
    """The tensors that a request must hold; of a column that may be left out it says so."""
    if tensor := _tensor_of(use_case):
        dtype, shape = tensor
        return [{"name": TENSOR_NAME, "datatype": datatype_of_dtype(dtype), "shape": list(shape)}]
    columns: list[dict[str, Any]] = []
    for field in use_case.inputs:
        column = {"name": field.name, "datatype": datatype_of_word(field.type), "shape": [-1]}
        columns.append(column if field.required else column | {"parameters": {"required": False}})
    return columns


def _tensor_of(use_case: UseCase) -> tuple[str, tuple[int, ...]] | None:
    return use_case.tensor if isinstance(use_case, Tabular) else None


def infer_format(use_case: UseCase, name: str, version: str, max_rows: int) -> Format:
    """POST /v2/models/{name}/infer."""
    return _Infer(use_case, name, version, max_rows).read


class _Infer:
    def __init__(self, use_case: UseCase, name: str, version: str, max_rows: int) -> None:
        self._row_type = use_case.row_type()
        self._columns = {field.name for field in use_case.inputs}
        self._tensor = _tensor_of(use_case)
        self._answer = use_case.answer
        self._model = {"model_name": name, "model_version": version}
        self._max_rows = max_rows
        self._outer = msgspec.json.Decoder(InferenceRequest)

    def read(self, headers: Headers, body: bytes) -> tuple[Decoded, Write]:
        media, _ = media_of(
            # Triton's client names none.
            headers.get("Content-Type") or JSON,
            headers.get("Content-Encoding"),
            *(JSON, OCTETS),
        )
        length = headers.get(HEAD_LENGTH)
        if length is None and media == OCTETS:
            raise Malformed(f"the header {HEAD_LENGTH} must say where the JSON ends")
        head, rest = _parted(body, length)
        found: list[InferenceRequest] = []

        def decode(document: bytes) -> Decoded:
            try:
                found.append(self._outer.decode(document))
            except msgspec.ValidationError as error:
                raise invalid(error, ()) from error
            return self._rows(found[0], _blobs(found[0].inputs, rest))

        decoded = guarded(decode)(head)
        return decoded, self._writer(found[0])

    def _rows(self, given: InferenceRequest, blobs: list[bytes | None]) -> Decoded:
        for place, tensor in enumerate(given.inputs):
            _check_parameters(tensor.parameters, ("inputs", str(place)))
        if self._tensor:
            return self._of_tensor(given.inputs, blobs[0])
        return self._of_columns(given.inputs, blobs)

    def _of_tensor(self, tensors: list[Tensor], blob: bytes | None) -> Decoded:
        assert self._tensor is not None  # noqa: S101 - `_rows` has seen to it
        sizes = list(self._tensor[1][1:])
        tensor, at = tensors[0], ("inputs", "0")
        if len(tensors) != 1:
            raise InvalidInput("inputs: this model takes one tensor", "/inputs")
        if tensor.shape[1:] != sizes or not tensor.shape:
            shape = ", ".join(map(str, ["n", *sizes]))
            raise InvalidInput(f"{tensor.name}: shape must be [{shape}]", "/inputs/0/shape")
        count = int(tensor.shape[0])
        check_count(count, self._max_rows, (*at, "shape"))
        values = values_of(tensor, blob, at)
        for size in reversed(sizes):
            values = [values[start : start + size] for start in range(0, len(values), size)]
        size = math.prod(sizes)

        def place(row: str, _name: str) -> Tokens:
            if blob is not None or not row:
                return at
            return (*at, "data", row if tensor.nested else str(int(row) * size))

        rows = converted(values, self._row_type, place)
        return Decoded(rows, False, lambda row: pointer(place(str(row), "")))

    def _of_columns(self, tensors: list[Tensor], blobs: list[bytes | None]) -> Decoded:
        places = {tensor.name: place for place, tensor in enumerate(tensors)}
        if len(places) != len(tensors):
            raise InvalidInput("inputs: a tensor is named twice", "/inputs")
        count = int(tensors[0].shape[0]) if tensors[0].shape else 0
        for place, tensor in enumerate(tensors):
            if tensor.shape not in ([count], [count, 1]) or not tensor.shape:
                raise InvalidInput(
                    f"{tensor.name}: shape must be [n] or [n, 1], with the same n for all",
                    f"/inputs/{place}/shape",
                )
        check_count(count, self._max_rows, ("inputs", "0", "shape"))
        columns = [
            values_of(tensor, blob, ("inputs", str(place)))
            for place, (tensor, blob) in enumerate(zip(tensors, blobs, strict=True))
        ]
        rows = [dict(zip(places, row, strict=True)) for row in zip(*columns, strict=True)]

        def where(row: str, name: str) -> Tokens:
            if name not in places:
                return ("inputs",)
            at = ("inputs", str(places[name]))
            if name not in self._columns:
                return (*at, "name")
            if blobs[places[name]] is not None:
                return at
            return (*at, "data", row, *(("0",) if tensors[places[name]].nested else ()))

        return Decoded(converted(rows, self._row_type, where), False, lambda _row: "/inputs")

    def _writer(self, given: InferenceRequest) -> Write:
        parameters = given.parameters or {}
        binary = _switch(parameters, "binary_data_output", (), default=False)
        for place, output in enumerate(given.outputs or ()):
            at = ("outputs", str(place))
            if output.name != self._answer:
                raise InvalidInput(
                    f"the model has one output, {self._answer}", pointer((*at, "name"))
                )
            _check_parameters(output.parameters, at)
            binary = _switch(output.parameters or {}, "binary_data", at, default=binary)

        def write(predictions: list[Any]) -> Written:
            return self._written(given.id, predictions, binary=binary)

        return write

    def _written(self, request_id: str | None, predictions: list[Any], *, binary: bool) -> Written:
        values, shape = _flattened(predictions)
        datatype = datatype_of_values(values)
        output: dict[str, Any] = {"name": self._answer, "datatype": datatype, "shape": shape}
        document = {**self._model, "outputs": [output]}
        if request_id is not None:
            document["id"] = request_id
        if not binary:
            output["data"] = [str(value) for value in values] if datatype == BYTES else values
            return Written(msgspec.json.encode(document))
        raw = to_bytes(values, datatype)
        output["parameters"] = {BINARY_SIZE: len(raw)}
        head = msgspec.json.encode(document)
        return Written(head + raw, OCTETS, ((HEAD_LENGTH, str(len(head))),))


def _parted(body: bytes, length: str | None) -> tuple[bytes, bytes]:
    """The JSON of a body, and the bytes behind it."""
    if length is None:
        return body, b""
    if not (length.isascii() and length.isdigit()) or len(length) > 18 or int(length) > len(body):
        raise Malformed(f"{HEAD_LENGTH} is no number of bytes of the body")
    return body[: int(length)], body[int(length) :]


def _blobs(tensors: list[Tensor], rest: bytes) -> list[bytes | None]:
    """Of each tensor the bytes behind the JSON, None where its data are in the JSON."""
    blobs: list[bytes | None] = []
    start = 0
    for place, tensor in enumerate(tensors):
        size = (tensor.parameters or {}).get(BINARY_SIZE)
        if size is None:
            blobs.append(None)
            continue
        at = ("inputs", str(place), "parameters", BINARY_SIZE)
        if type(size) is not int or not 0 <= size <= len(rest) - start:
            raise InvalidInput(f"{tensor.name}: there are not so many bytes", pointer(at))
        if tensor.data is not msgspec.UNSET:
            raise InvalidInput(f"{tensor.name}: has data and {BINARY_SIZE}", pointer(at))
        blobs.append(rest[start : start + size])
        start += size
    if start != len(rest):
        raise InvalidInput(f"behind the JSON are bytes that no {BINARY_SIZE} names", "/inputs")
    return blobs


def _check_parameters(parameters: dict[str, Any] | None, at: Tokens) -> None:
    for name in _NOT_SERVED:
        if name in (parameters or {}):
            raise InvalidInput(f"{name}: is not served here", pointer((*at, "parameters", name)))
    if (parameters or {}).get("content_type") == _NOT_TEXT:
        raise InvalidInput(
            "content_type: send texts as they are, not in base64",
            pointer((*at, "parameters", "content_type")),
        )


def _switch(parameters: dict[str, Any], name: str, at: Tokens, *, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise InvalidInput(f"{name}: must be true or false", pointer((*at, "parameters", name)))
    return value


def _flattened(predictions: list[Any]) -> tuple[list[Any], list[int]]:
    """Values row by row, and their shape, of equally long lists in lists."""
    shape, values = [len(predictions)], predictions
    while values and isinstance(values[0], list):
        shape.append(len(values[0]))
        values = [value for row in values for value in row]
    return values, shape
