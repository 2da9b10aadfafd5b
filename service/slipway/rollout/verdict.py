"""What a gate says: PASS, FAIL or UNKNOWN, with the interval that says so. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

import msgspec

GateName = Literal["ready", "errors", "latency", "mean", "correlation", "distance"]


class Outcome(StrEnum):
    """PASS: wholly inside the limit. FAIL: wholly outside. UNKNOWN: neither, or no data."""

    PASS = "PASS"  # noqa: S105 - a verdict
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One gate's verdict. The interval's ends may be missing; `needed` is an estimate.

    `samples` and `needed` count the candidate's requests, or pairs where both answer each request.
    """

    gate: GateName
    outcome: Outcome
    sentence: str
    estimate: float | None = None
    lower: float | None = None
    upper: float | None = None
    limit: float | None = None
    samples: int = 0
    needed: int | None = None
    decides: bool = True
