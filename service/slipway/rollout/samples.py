"""Reads the pages of /sample: each row once, and only what came while it was watched. Pure.

A cursor names a process and how many rows it had made. What a process made before it was first
seen belongs to no measure; a process that began anew is a new one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np

from slipway.rollout.measures import Earlier


class Row(NamedTuple):
    """One prediction; `key` is 0 where the request had none."""

    pair: int
    row: int
    key: int
    value: Any
    source: str


Cursor = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-zA-Z]{1,40}\.[0-9]{1,18}$")]


class Page(msgspec.Struct):
    """An answer of /sample, as far as it is used here. The cursor goes into an address."""

    digest: str
    next: Cursor
    rows: list[tuple[int, int, int, Any, str]]


@dataclass
class Reader:
    """Where one pod's ring was read to; several worker processes may answer in turn."""

    cursor: str = ""
    _made: dict[str, int] = field(default_factory=dict)

    def read(self, page: Page) -> tuple[list[Row], list[Row]]:
        """The rows from before this process was first seen, and those that are new since then."""
        process, _, count = page.next.partition(".")
        made = int(count)
        rows = [Row(*row) for row in page.rows]
        self.cursor = page.next
        known = self._made.get(process)
        self._made[process] = made
        if known is None:
            return rows, []
        return [], rows[max(0, len(rows) - max(0, made - known)) :]


def page_of(body: bytes, digest: str) -> Page | None:
    """The page, None if it is none or of another release."""
    try:
        page = msgspec.json.decode(body, type=Page)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return page if page.digest == digest else None


def is_number(value: Any) -> bool:
    """Whether an answer can be compared: one finite number."""
    return isinstance(value, (int, float)) and math.isfinite(value)


def earlier_of(rows: Iterable[Row]) -> Earlier | None:
    """The live answers from before, as a scale; None without any."""
    values = np.asarray([float(r.value) for r in rows if r.source == "live" and is_number(r.value)])
    if not len(values):
        return None
    return Earlier(len(values), float(values.mean()), float(values.std()))
