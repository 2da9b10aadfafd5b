"""Tensors of the open inference protocol (KServe V2) <-> plain values. Pure.

A tensor's data is JSON, flat or nested as its shape says, or, by the binary extension, bytes behind
the JSON: little-endian, row by row, each text with its length in four bytes before it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from types import GenericAlias
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from slipway.errors import InvalidInput
from slipway.web.pointers import explain, pointer

BYTES, BOOL, INT64, UINT64, FP64 = "BYTES", "BOOL", "INT64", "UINT64", "FP64"

# V2's word -> numpy's, in the order of bytes that the protocol prescribes.
_DTYPES = {
    BOOL: "?",
    **{f"INT{8 * size}": f"<i{size}" for size in (1, 2, 4, 8)},
    **{f"UINT{8 * size}": f"<u{size}" for size in (1, 2, 4, 8)},
    **{f"FP{8 * size}": f"<f{size}" for size in (2, 4, 8)},
}
DATATYPES = (*_DTYPES, BYTES)
# The words of signatures and of the rides' schema.
_OF_WORD = {
    "boolean": BOOL,
    "integer": "INT32",
    "long": INT64,
    "float": "FP32",
    "double": FP64,
    "string": BYTES,
    "datetime": BYTES,
    "zone": BYTES,
}
_INTEGERS = frozenset(word for word in _DTYPES if "INT" in word)
_LENGTH = struct.Struct("<I")
_MAX_INT64 = 2**63 - 1


class Tensor(msgspec.Struct, forbid_unknown_fields=True):
    """A tensor as a request holds it; `data` is missing where its bytes follow the JSON."""

    name: str
    # 3.0 is a whole number in JSON too; it equals 3 wherever a shape is compared.
    shape: list[Annotated[int, Meta(ge=0)] | Annotated[float, Meta(ge=0, multiple_of=1)]]
    datatype: str
    data: list[Any] | msgspec.UnsetType = msgspec.UNSET
    parameters: dict[str, Any] | None = None

    @property
    def nested(self) -> bool:
        """Whether the data are lists in lists."""
        return bool(self.data) and isinstance(self.data, list) and isinstance(self.data[0], list)


def datatype_of_word(word: str) -> str:
    """A column's type in the signature -> V2's word."""
    return _OF_WORD[word]


def datatype_of_dtype(dtype: str) -> str:
    """A numpy dtype -> V2's word."""
    kind = np.dtype(dtype)
    letters = {"b": BOOL, "i": f"INT{8 * kind.itemsize}", "u": f"UINT{8 * kind.itemsize}"}
    return letters.get(kind.kind, f"FP{8 * kind.itemsize}")


def values_of(tensor: Tensor, raw: bytes | None, at: Sequence[str]) -> list[Any]:
    """The tensor's values, flat, row by row; `raw` are its bytes where they follow the JSON.

    `at` is where the tensor stands in the body. Raises InvalidInput when the data are not of the
    datatype and shape that the tensor names, or not finite.
    """
    if tensor.datatype not in DATATYPES:
        raise InvalidInput(
            f"{tensor.name}: datatype must be one of {', '.join(DATATYPES)}",
            pointer((*at, "datatype")),
        )
    count = int(math.prod(tensor.shape))
    if raw is not None:
        return _of_bytes(tensor, raw, count, at)
    if tensor.data is msgspec.UNSET:
        raise InvalidInput(f"{tensor.name}: data is missing", pointer((*at, "data")))
    flat = _flat(tensor, at)
    if tensor.datatype in _INTEGERS:
        flat = [int(value) if _is_whole(value) else value for value in flat]
    if len(flat) != count:
        raise InvalidInput(
            f"{tensor.name}: data must hold as many values as shape says",
            pointer((*at, "data")),
        )
    try:
        checked: list[Any] = msgspec.convert(flat, GenericAlias(list, (_element(tensor.datatype),)))
    except msgspec.ValidationError as error:
        sentence, tokens = explain(error, ())
        place = (*at, "data", *(() if tensor.nested else tokens))
        raise InvalidInput(f"{tensor.name}: {sentence}", pointer(place)) from error
    return checked


def datatype_of_values(values: Sequence[Any]) -> str:
    """The V2 word for plain values of numbers, truth values or texts."""
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return BOOL
    if kinds == {int}:
        return INT64 if max(values) <= _MAX_INT64 else UINT64
    return FP64 if kinds <= {int, float} else BYTES


def to_bytes(values: Sequence[Any], datatype: str) -> bytes:
    """Values as the binary extension sends them."""
    if datatype != BYTES:
        return np.array(values, dtype=_DTYPES[datatype]).tobytes()
    texts = [str(value).encode() for value in values]
    return b"".join(_LENGTH.pack(len(text)) + text for text in texts)


def _is_whole(value: Any) -> bool:
    """Whether this is a whole number that was written as 3.0 or 3e0."""
    return isinstance(value, float) and value.is_integer()


def _element(datatype: str) -> Any:
    if datatype == BYTES:
        return str
    dtype = np.dtype(_DTYPES[datatype])
    if dtype.kind == "b":
        return bool
    if dtype.kind == "f":
        # A whole number stays one: as a float, two large ones would become the same.
        return int | float
    limits = np.iinfo(dtype)
    # msgspec's own bounds are of 64 bits with a sign; beyond them its integers have no others.
    if limits.max > _MAX_INT64:
        return Annotated[int, Meta(ge=0)]
    return Annotated[int, Meta(ge=int(limits.min), le=int(limits.max))]


def _flat(tensor: Tensor, at: Sequence[str]) -> list[Any]:
    assert isinstance(tensor.data, list)  # noqa: S101 - `values_of` has seen to it
    if not tensor.nested:
        return tensor.data
    level: list[Any] = [tensor.data]
    for size in tensor.shape:
        if not all(isinstance(part, list) and len(part) == size for part in level):
            raise InvalidInput(
                f"{tensor.name}: data must be flat, or nested as shape says",
                pointer((*at, "data")),
            )
        level = [value for part in level for value in part]
    return level


def _of_bytes(tensor: Tensor, raw: bytes, count: int, at: Sequence[str]) -> list[Any]:
    if tensor.datatype == BYTES:
        return _texts(tensor, raw, count, at)
    dtype = np.dtype(_DTYPES[tensor.datatype])
    if len(raw) != count * dtype.itemsize:
        raise InvalidInput(
            f"{tensor.name}: binary_data_size is not that of its shape and datatype", pointer(at)
        )
    values = np.frombuffer(raw, dtype=dtype)
    if dtype.kind == "f" and not np.isfinite(values).all():
        raise InvalidInput(f"{tensor.name}: must hold finite numbers", pointer(at))
    found: list[Any] = values.tolist()
    return found


def _texts(tensor: Tensor, raw: bytes, count: int, at: Sequence[str]) -> list[Any]:
    texts, place = [], 0
    try:
        while place < len(raw):
            (length,) = _LENGTH.unpack_from(raw, place)
            place += _LENGTH.size + length
            texts.append(raw[place - length : place].decode())
    except (struct.error, UnicodeDecodeError):
        texts = []
    if place != len(raw) or len(texts) != count:
        raise InvalidInput(
            f"{tensor.name}: its bytes must be as many texts in UTF-8 as shape says, each with "
            "its length before it",
            pointer(at),
        )
    return texts
