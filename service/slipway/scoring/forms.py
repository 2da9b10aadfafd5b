"""What a compiled model is, and how its forms are told apart where they are kept. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from slipway.scoring.encoding import Arrays, Encoded, Encoding, Floats
from slipway.scoring.linear import Linear
from slipway.scoring.steps import Steps
from slipway.scoring.trees import Trees

_ENCODING = "encoding."


class Form(Protocol):
    """A model's `predict` without the libraries that made the model."""

    name: str
    encoding: Encoding

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> Floats:
        """Predictions for rows as mappings of names to values, shape (len(rows),)."""

    def predict(self, encoded: Encoded) -> Floats:
        """Predictions for rows that `encoding` has encoded; the same bits as for one row alone."""

    def thresholds(self, name: str) -> Floats:
        """Where the answer may jump as the number of that name grows, sorted."""

    @property
    def takes_missing(self) -> bool:
        """Whether a number may be NaN."""

    def to_arrays(self) -> Arrays:
        """All that it is made of, besides its encoding."""


FORMS: dict[str, Any] = {form.name: form for form in (Linear, Steps, Trees)}


def to_arrays(form: Form) -> Arrays:
    """A form with its encoding as plain arrays."""
    encoding = {f"{_ENCODING}{name}": array for name, array in form.encoding.to_arrays().items()}
    return {**encoding, **form.to_arrays()}


def from_arrays(name: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Form:
    """What `to_arrays` wrote of a form of that name; raises KeyError or ValueError for others."""
    parts = {key.removeprefix(_ENCODING): array for key, array in arrays.items()
             if key.startswith(_ENCODING)}  # fmt: skip
    form: Form = FORMS[name].from_arrays(Encoding.from_arrays(parts), arrays)
    return form


def size_of(arrays: Arrays) -> int:
    """Bytes of the arrays."""
    return int(np.sum([array.nbytes for array in arrays.values()]))
