"""How a row's features become a model's columns: what a fitted vectoriser does, as plain tables.

A model's matrix has a column for each value of a category (1 where a row has that value) and one
for each number. Here a row keeps only what differs from nought: for each category the column of
its value, and the numbers. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
# The place of each row's value among the distinct values, and these.
Category = tuple[npt.NDArray[np.integer[Any]], Sequence[Any]]
# What forms are kept as: numpy arrays of plain numbers and texts by name.
Arrays = dict[str, npt.NDArray[Any]]

# The column of a value that the model does not know.
UNKNOWN = -1

# Of single precision: what is larger overflows, and numpy warns of it.
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Categories:
    """A category: the column of each value that the model knows.

    `strict` is for a vectoriser that refuses values which it does not know.
    """

    name: str
    columns: Mapping[Any, int]
    strict: bool = False

    def place(self, value: Any) -> int:
        """A value's column, or UNKNOWN; raises ValueError where that is refused."""
        found = self.columns.get(value, UNKNOWN)
        if found == UNKNOWN and self.strict:
            raise ValueError(f"the model knows no such value of {self.name}")
        return found


@dataclass(frozen=True)
class Number:
    """A number, and its column."""

    name: str
    column: int


Term = Categories | Number


@dataclass(frozen=True)
class Encoded:
    """Rows as terms: a category's columns (int64) or a number's values (float64), (rows,) each."""

    terms: Sequence[npt.NDArray[Any]]
    count: int


class Encoding:
    """The terms of a model in the order of its columns, and how many columns there are.

    `single` is for models that take numbers in single precision: each is rounded to that first.
    """

    def __init__(self, terms: Sequence[Term], width: int, *, single: bool) -> None:
        self.terms = tuple(terms)
        self.width = width
        self.single = single

    @property
    def categories(self) -> list[Categories]:
        """The terms that are categories."""
        return [term for term in self.terms if isinstance(term, Categories)]

    @property
    def numbers(self) -> list[Number]:
        """The terms that are numbers."""
        return [term for term in self.terms if isinstance(term, Number)]

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> Encoded:
        """Rows as mappings of names to values; raises ValueError for a value that is refused."""
        found: list[npt.NDArray[Any]] = []
        for term in self.terms:
            if isinstance(term, Number):
                found.append(self.rounded(np.array([row[term.name] for row in rows], dtype=float)))
            else:
                places = [term.place(row[term.name]) for row in rows]
                found.append(np.array(places, dtype=np.int64))
        return Encoded(found, len(rows))

    def columns(
        self, categories: Mapping[str, Category], numbers: Mapping[str, Floats], count: int
    ) -> Encoded:
        """`count` rows by columns; raises as `rows` does, also for a value that no row has."""
        found: list[npt.NDArray[Any]] = []
        for term in self.terms:
            if isinstance(term, Number):
                found.append(self.rounded(numbers[term.name]))
            else:
                codes, values = categories[term.name]
                places = np.array([term.place(value) for value in values], dtype=np.int64)
                found.append(places[codes])
        return Encoded(found, count)

    def rounded(self, numbers: Any) -> Any:
        """Numbers as the model takes them."""
        if not self.single:
            return numbers
        # What is too large becomes infinite, and is refused by who uses it.
        with np.errstate(over="ignore"):
            return numbers.astype(np.float32).astype(np.float64)

    def rounded_one(self, number: Any) -> float:
        """One number as a model with `single` takes it: as `rounded` gives it, to the bit."""
        if type(number) is float and -_LARGEST <= number <= _LARGEST:
            return float(np.float32(number))
        return float(self.rounded(np.float64(number)))

    def to_arrays(self) -> Arrays:
        """The encoding as arrays; `from_arrays` reads them."""
        arrays: Arrays = {
            "names": np.array([term.name for term in self.terms], dtype=np.str_),
            "kinds": np.array([isinstance(term, Categories) for term in self.terms], dtype=bool),
            "width": np.array([self.width, self.single], dtype=np.int64),
        }
        for place, term in enumerate(self.terms):
            if isinstance(term, Number):
                arrays[f"term{place}"] = np.array([term.column], dtype=np.int64)
            else:
                arrays[f"term{place}"] = np.array([*term.columns.values(), term.strict], np.int64)
                arrays[f"values{place}"] = np.array(list(term.columns))
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Encoding:
        """What `to_arrays` wrote."""
        terms: list[Term] = []
        kinds = arrays["kinds"].tolist()
        for place, (name, is_category) in enumerate(
            zip(arrays["names"].tolist(), kinds, strict=True)
        ):
            if is_category:
                *columns, strict = arrays[f"term{place}"].tolist()
                known = dict(zip(arrays[f"values{place}"].tolist(), columns, strict=True))
                terms.append(Categories(name, known, bool(strict)))
            else:
                terms.append(Number(name, int(arrays[f"term{place}"][0])))
        width, single = arrays["width"].tolist()
        return cls(terms, width, single=bool(single))
