"""What a use case is: the knowledge of one kind of input, shared by web, batch and stream.

Pure: no clock, no environment, no files, no library of a model. A use case turns requests into
*rows* (plain dicts, checked) and rows into what the model's `predict` takes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Row = Mapping[str, Any]

# The kinds of features that a compiled model may take by name.
TEXT, NUMBER, WHOLE, OPTIONAL = "text", "number", "whole number", "number or nothing"


@dataclass(frozen=True)
class InputField:
    """One input of a model: its name, its type word, and whether a request may leave it out."""

    name: str
    type: str
    required: bool = True


class UseCase(Protocol):
    """Seven members; `rides` and `tabular` are the built-in ones."""

    # The word in the release lock.
    name: str
    # What a request must hold, in the order in which the model takes it.
    inputs: tuple[InputField, ...]
    # The name of the prediction in the answer for a single row.
    answer: str

    def row_type(self) -> type[Any]:
        """A msgspec type for one row: decoding a request with it is the whole validation."""

    def features(self, rows: Sequence[Any]) -> Any:
        """Checked rows (instances of `row_type`) -> what the model's `predict` takes."""

    def kinds(self) -> Mapping[str, str] | None:
        """The features' kinds in the model's order; None where they are of others too."""

    def named(self, rows: Sequence[Any]) -> list[dict[str, Any]]:
        """Checked rows -> their features by name, as a compiled model takes them.

        Only for a use case that has kinds; a number that is missing is NaN.
        """
