"""Reads what nginx logs of a request into what is counted of it. Pure.

`route` writes a line for each request and for each copy, `front` one for each answer of its own.
A client's request counts once as `live` or `forced`, for the slot that was asked first; if stable
answered in the candidate's place it counts once more, as `fallback`, for the slot that answered.
So the sum over `live` and `forced` is the number of requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Reason = Literal["connect", "timeout", "5xx", "422"]
Outcome = Literal["answered", "failed"]

_FIELDS = 14
# nginx's word for "there is none".
_NONE = "-"
# What a pod is said to have answered when that was not HTTP, or only the beginning of an answer.
_NO_ANSWER = "502"


@dataclass(frozen=True)
class Answer:
    """One slot's answer; `seconds` is the time spent on its pods, None if none was asked."""

    slot: str
    release: str
    code: str
    source: str
    seconds: float | None = None


@dataclass(frozen=True)
class Counted:
    """What one line says: answers, a fallback as (reason, outcome), a copy that was dropped."""

    answers: tuple[Answer, ...] = ()
    fallback: tuple[Reason, Outcome] | None = None
    dropped: bool = False
    # The id of a request that was copied: of the client's line and of the copy's.
    pair: str = ""


@dataclass(frozen=True)
class _Try:
    """The attempts within one slot: last status, whether a head came, seconds, bytes of body."""

    status: str
    answered: bool
    seconds: float | None
    body_bytes: str


def read_front_line(line: str) -> Counted | None:
    """The line of an answer that `front` gave by itself: its status code."""
    code = line.strip()
    return Counted((Answer("none", "none", code, "live"),)) if _is_code(code) else None


def read_route_line(line: str) -> Counted | None:
    """A line of `route` (see route_conf.py); None for one that is no such line."""
    fields = line.rstrip("\n").split("|", _FIELDS - 1)
    if len(fields) < _FIELDS:
        return None
    slot, release, source, other_slot, other_release, limit, status, *measured, pair, _id = fields
    pair = pair if pair != _NONE else ""
    if limit == "REJECTED":
        return Counted(dropped=True, pair=pair)
    *lists, length = measured[0], measured[1], measured[2], measured[4], measured[3]
    tries = _tries(*lists)
    if tries is None:
        return None
    code = _code(status, tries[-1], length)
    if len(tries) == 1 or other_slot == "none":
        return Counted((Answer(slot, release, code, source, tries[-1].seconds),), pair=pair)
    failed, last = tries[0], tries[-1]
    outcome: Outcome = "answered" if code < "400" else "failed"
    return Counted(
        (
            Answer(slot, release, failed.status, source, failed.seconds),
            Answer(other_slot, other_release, code, "fallback", last.seconds),
        ),
        (_reason(failed), outcome),
    )


def _tries(statuses: str, heads: str, seconds: str, lengths: str) -> list[_Try] | None:
    """nginx separates attempts by commas, and what came after another location by colons."""
    lists = [text.split(" : ") for text in (statuses, heads, seconds, lengths)]
    try:
        return [
            _Try(
                status=_last(status),
                answered=_last(head) != _NONE,
                seconds=_sum(took),
                body_bytes=_last(length),
            )
            for status, head, took, length in zip(*lists, strict=True)
        ]
    except ValueError:
        return None


def _last(text: str) -> str:
    return text.rpartition(", ")[2]


def _sum(text: str) -> float | None:
    found = [float(each) for each in text.split(", ") if each != _NONE]
    return sum(found) if found else None


def _code(status: str, last: _Try, length: str) -> str:
    if not _is_code(status):
        return _NO_ANSWER
    cut_off = length.isdigit() and last.body_bytes.isdigit() and int(last.body_bytes) < int(length)
    return _NO_ANSWER if cut_off and status < "400" else status


def _is_code(text: str) -> bool:
    return len(text) == 3 and text.isdigit() and text >= "100"


def _reason(failed: _Try) -> Reason:
    if failed.status == "422":
        return "422"
    if failed.answered:
        return "5xx"
    return "timeout" if failed.status == "504" else "connect"
