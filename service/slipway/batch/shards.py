"""Which month is scored, from where, to where, and what its rides are called. Pure."""

from __future__ import annotations

import string
import uuid
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from slipway.errors import InvalidConfig

TAXI_TYPES: Final = ("green", "yellow")
FIRST_YEAR = 2009
# The namespace of `--ids uuid5`; fixed for ever, or the same ride would get another id.
NAMESPACE = uuid.UUID("5b3c1f3e-7d0c-5b6e-9d5a-2f6a3f0c9e11")


@dataclass(frozen=True)
class Shard:
    """One month of one kind of taxi."""

    taxi_type: str
    year: int
    month: int

    def __post_init__(self) -> None:
        """Refuse what is no month."""
        if self.taxi_type not in TAXI_TYPES:
            raise InvalidConfig(f"the taxi type must be green or yellow, not {self.taxi_type!r}")
        if not 1 <= self.month <= 12:
            raise InvalidConfig(f"the month must be from 1 to 12, not {self.month}")
        if not FIRST_YEAR <= self.year <= 2200:
            raise InvalidConfig(f"the year must be from {FIRST_YEAR}, not {self.year}")

    def __str__(self) -> str:
        """As people name it: `green 2021-03`."""
        return f"{self.taxi_type} {self.year:04d}-{self.month:02d}"

    @property
    def input_name(self) -> str:
        """The TLC's name for the month's file."""
        return f"{self.taxi_type}_tripdata_{self.year:04d}-{self.month:02d}.parquet"

    def input_uri(self, given: str) -> str:
        """The month's file, or a pattern of its files: what is given if that is one, else below it.

        `{taxi_type}`, `{year}` and `{month}` stand for the month's own: `{year:04d}-{month:02d}`.
        """
        filled = self.fill(given)
        if names_file(filled):
            return filled
        return f"{filled.rstrip('/')}/{self.input_name}"

    def fill(self, given: str) -> str:
        """The text with the month in its fields; raises InvalidConfig for any other field."""
        values: dict[str, Any] = {
            "taxi_type": self.taxi_type,
            "year": self.year,
            "month": self.month,
        }
        try:
            fields = {name for _, name, _, _ in string.Formatter().parse(given)} - {None}
            if fields <= set(values):
                return given.format(**values)
        except ValueError as error:
            raise InvalidConfig(f"{given!r} cannot be filled in: {error}") from error
        raise InvalidConfig(
            f"{given!r} has fields other than {{taxi_type}}, {{year}} and {{month}}"
        )

    def output_key(self, version: str) -> str:
        """Where the month's predictions lie below the output's root, without an ending."""
        return f"taxi_type={self.taxi_type}/year={self.year:04d}/month={self.month:02d}/{version}"

    def ride_ids(self, rows: npt.NDArray[np.int64], *, as_uuid: bool = False) -> pa.Array:
        """The rides' ids; `rows` are positions in the source before any filter."""
        prefix = f"{self.taxi_type}-{self.year:04d}-{self.month:02d}-"
        digits = pc.utf8_lpad(pc.cast(pa.array(rows), pa.string()), width=9, padding="0")
        ids = pc.binary_join_element_wise(pa.scalar(prefix), digits, "")
        if not as_uuid:
            return ids
        named = (str(uuid.uuid5(NAMESPACE, name)) for name in ids.to_pylist())
        return pa.array(named, pa.string(), size=len(rows))

    def homework_ids(self, rows: npt.NDArray[np.int64]) -> pa.Array:
        """The rides' ids as the course's homework has them: `2021/03_7`."""
        digits = pc.cast(pa.array(rows), pa.string())
        prefix = pa.scalar(f"{self.year:04d}/{self.month:02d}_")
        return pc.binary_join_element_wise(prefix, digits, "")


def names_file(uri: str) -> bool:
    """Whether a URI is that of a Parquet file and not of a folder."""
    path = urlsplit(uri).path if uri.startswith(("http://", "https://")) else uri
    return path.endswith(".parquet")


def month_before(day: date) -> tuple[int, int]:
    """Year and month before the one that the day lies in (R34)."""
    return (day.year, day.month - 1) if day.month > 1 else (day.year - 1, 12)
