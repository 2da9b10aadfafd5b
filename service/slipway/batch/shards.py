"""Which month or period is scored, from where, to where, and what its rows are called. Pure."""

from __future__ import annotations

import re
import string
import uuid
from dataclasses import asdict, dataclass
from datetime import date
from typing import Final
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
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Part:
    """What is scored at a time: a file, or several, with a name in both input and output.

    Subclasses say by which names: `fields` stand in what is given, `id_prefix` before a row's
    number, `output_key` below the output's root.
    """

    @property
    def fields(self) -> dict[str, str | int]:
        """What names it, for the summary and for `{name}` in an input or output."""
        return asdict(self)

    @property
    def input_name(self) -> str:
        """The file's name where only a folder is given."""
        raise NotImplementedError

    @property
    def id_prefix(self) -> str:
        """What a row's id begins with."""
        raise NotImplementedError

    def output_key(self, version: str) -> str:
        """Where the predictions lie below the output's root, without an ending."""
        raise NotImplementedError

    def input_uri(self, given: str) -> str:
        """The file, or a pattern of files: what is given if that is one, else below it.

        Names in braces stand for its own, as `{year:04d}-{month:02d}`.
        """
        filled = self.fill(given)
        if names_file(filled):
            return filled
        return f"{filled.rstrip('/')}/{self.input_name}"

    def fill(self, given: str) -> str:
        """The text with its fields filled in; raises InvalidConfig for any other field."""
        try:
            fields = {name for _, name, _, _ in string.Formatter().parse(given)} - {None}
            if fields <= set(self.fields):
                return given.format(**self.fields)
        except ValueError as error:
            raise InvalidConfig(f"{given!r} cannot be filled in: {error}") from error
        known = ", ".join(f"{{{name}}}" for name in self.fields)
        raise InvalidConfig(f"{given!r} has fields other than {known}")

    def row_ids(self, rows: npt.NDArray[np.int64], *, as_uuid: bool = False) -> pa.Array:
        """The rows' ids; `rows` are positions in the source before any filter."""
        digits = pc.utf8_lpad(pc.cast(pa.array(rows), pa.string()), width=9, padding="0")
        ids = pc.binary_join_element_wise(pa.scalar(f"{self.id_prefix}-"), digits, "")
        if not as_uuid:
            return ids
        named = (str(uuid.uuid5(NAMESPACE, name)) for name in ids.to_pylist())
        return pa.array(named, pa.string(), size=len(rows))


@dataclass(frozen=True)
class Shard(Part):
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

    @property
    def id_prefix(self) -> str:
        """The taxis and the month."""
        return f"{self.taxi_type}-{self.year:04d}-{self.month:02d}"

    def output_key(self, version: str) -> str:
        """Where the month's predictions lie below the output's root, without an ending."""
        return f"taxi_type={self.taxi_type}/year={self.year:04d}/month={self.month:02d}/{version}"

    def homework_ids(self, rows: npt.NDArray[np.int64]) -> pa.Array:
        """The rides' ids as the course's homework has them: `2021/03_7`."""
        digits = pc.cast(pa.array(rows), pa.string())
        prefix = pa.scalar(f"{self.year:04d}/{self.month:02d}_")
        return pc.binary_join_element_wise(prefix, digits, "")


@dataclass(frozen=True)
class Table(Part):
    """One period of a table of any kind: a week, a day, a delivery, whatever its name says."""

    table: str
    period: str

    def __post_init__(self) -> None:
        """Refuse what cannot be part of a path."""
        for name, value in self.fields.items():
            if not _NAME.fullmatch(str(value)):
                raise InvalidConfig(
                    f"the {name} must have 1 to 100 letters, digits, dots, dashes and underscores, "
                    f"of which the first is a letter or a digit, not {value!r}"
                )

    def __str__(self) -> str:
        """As people name it: `meters 2026-W48`."""
        return f"{self.table} {self.period}"

    @property
    def input_name(self) -> str:
        """Table and period."""
        return f"{self.table}_{self.period}.parquet"

    @property
    def id_prefix(self) -> str:
        """Table and period."""
        return f"{self.table}-{self.period}"

    def output_key(self, version: str) -> str:
        """Where the period's predictions lie below the output's root, without an ending."""
        return f"table={self.table}/period={self.period}/{version}"


def names_file(uri: str) -> bool:
    """Whether a URI is that of a Parquet file and not of a folder."""
    path = urlsplit(uri).path if uri.startswith(("http://", "https://")) else uri
    return path.endswith(".parquet")


def month_before(day: date) -> tuple[int, int]:
    """Year and month before the one that the day lies in (R34)."""
    return (day.year, day.month - 1) if day.month > 1 else (day.year - 1, 12)
