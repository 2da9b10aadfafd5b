"""The load test's own report: JSON for machines, a few lines for people. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from loadtest.tally import Tally
from loadtest.verdict import Limits, missed


def report(
    tally: Tally, asked: float, limits: Limits, *, checked: bool, began: datetime
) -> dict[str, Any]:
    """The whole result; `checked` says that every prediction was compared with the native model."""
    figures = tally.figures(asked)
    sentences = missed(figures, limits)
    return {
        "passed": not sentences,
        "missed": sentences,
        "checked_against_native": checked,
        "figures": asdict(figures),
        "limits": asdict(limits),
        "answered_by": tally.rows(),
        "began": began.isoformat(timespec="seconds"),
        "spells": tally.spells(),
    }


def lines(result: dict[str, Any]) -> Sequence[str]:
    """The result for a terminal: who answered, the figures, the verdict."""
    figures = result["figures"]
    said = [
        f"{row['model_version'][:12]:<12} {row['slot']:<6} {row['role']:<9} "
        f"{row['requests']:>8} requests {row['failed']:>5} failed {row['fallbacks']:>5} fallbacks  "
        f"p50 {row['p50']:.1f}  p95 {row['p95']:.1f}  p99 {row['p99']:.1f} ms"
        for row in result["answered_by"]
    ]
    said += _spells(result)
    failures = {
        (row["slot"], why): count
        for row in result["answered_by"]
        for why, count in row["failures"].items()
    }
    said += [f"failed {count} times ({slot}): {why}" for (slot, why), count in failures.items()]
    said.append(
        f"all: {figures['requests']} of {figures['asked']:.0f} asked requests, "
        f"{figures['failed']} failed, p50 {figures['p50']:.1f}, p95 {figures['p95']:.1f}, "
        f"p99 {figures['p99']:.1f} ms"
        + (", each prediction compared with the native model's" * result["checked_against_native"])
    )
    said += [f"MISSED: {sentence}" for sentence in result["missed"]]
    said += ["passed: all limits are met"] * result["passed"]
    return said


def _spells(result: dict[str, Any]) -> Sequence[str]:
    """Who answered when, if that has changed; in the times that `slipway history` shows."""
    if len(result["spells"]) < 2:
        return []
    began = datetime.fromisoformat(result["began"])
    return [
        f"{_clock(began, spell['from'])} to {_clock(began, spell['to'])}  "
        + ", ".join(f"{version[:12]} {n}" for version, n in sorted(spell["requests"].items()))
        for spell in result["spells"]
    ]


def _clock(began: datetime, seconds: int) -> str:
    return (began + timedelta(seconds=seconds)).strftime("%H:%M:%S")
