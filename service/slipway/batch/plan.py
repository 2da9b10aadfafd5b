"""What a backfill is: months of one kind of taxi, in order, and how each of them ended. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from slipway.batch.shards import Shard
from slipway.errors import InvalidConfig

# More is a slip of the pen: the TLC's files begin in 2009.
MAX_MONTHS = 600
_MONTH = re.compile(r"(\d{4})-(\d{1,2})")


@dataclass(frozen=True)
class Ended:
    """How one month ended: the exit code of its run, and what it said if that is not 0."""

    shard: Shard
    code: int
    said: str = ""


def months(text: str, taxi_type: str) -> list[Shard]:
    """The months of `2021-03..2022-04`, both ends included, or of `2021-03` alone."""
    first, dots, last = text.partition("..")
    start, end = _month(first, text), _month(last if dots else first, text)
    if start > end:
        raise InvalidConfig(f"{text}: the first month comes after the last")
    if end - start >= MAX_MONTHS:
        raise InvalidConfig(f"{text}: these are more than {MAX_MONTHS} months")
    return [Shard(taxi_type, month // 12, month % 12 + 1) for month in range(start, end + 1)]


def _month(text: str, whole: str) -> int:
    """Months since the year 0."""
    found = _MONTH.fullmatch(text.strip())
    if found is None or not 1 <= int(found[2]) <= 12:
        raise InvalidConfig(f"{whole!r} is no range of months: write 2021-03..2022-04")
    return int(found[1]) * 12 + int(found[2]) - 1


def indexes(text: str) -> list[int]:
    """Kubernetes' way to write a set: `0-2,5` is 0, 1, 2 and 5."""
    found: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    return found


def exit_code(ended: Iterable[Ended]) -> int:
    """0 if all months are there; the code that all failures share, else 1."""
    codes = {each.code for each in ended} - {0}
    return codes.pop() if len(codes) == 1 else int(bool(codes))


def as_document(ended: Iterable[Ended], release: Mapping[str, str]) -> dict[str, object]:
    """The backfill's summary as JSON."""
    return {
        **release,
        "months": [
            {
                "taxi_type": each.shard.taxi_type,
                "year": each.shard.year,
                "month": each.shard.month,
                "exit_code": each.code,
                **({"said": each.said} if each.said else {}),
            }
            for each in ended
        ],
    }
