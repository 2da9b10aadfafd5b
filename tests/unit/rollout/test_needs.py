"""The least data, computed from the limits; GATES 2 has the measured figures beside it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from tests.unit.rollout.windows import state

from slipway.rollout.needs import least_samples
from slipway.rollout.policy import PRESETS, Errors, Gates
from slipway.rollout.state import Phase
from slipway.rollout.verdict import GateName


@pytest.mark.parametrize(
    ("gate", "phase", "step", "least", "most"),
    [
        ("errors", "shadow", 0, 78, 84),
        ("errors", "canary", 0, 98, 105),
        ("errors", "canary", 1, 198, 206),
        ("errors", "canary", 2, 396, 410),
        ("latency", "canary", 0, 80, 250),
        ("latency", "canary", 1, 150, 500),
        ("mean", "shadow", 0, 100, 100),
        ("correlation", "shadow", 0, 100, 100),
        ("mean", "canary", 0, 60, 120),
        ("mean", "canary", 1, 250, 450),
        ("mean", "canary", 2, 350, 700),
        ("distance", "canary", 0, 50, 120),
    ],
)
def test_the_least_number_of_requests(
    gate: GateName, phase: Phase, step: int, least: int, most: int
) -> None:
    found = least_samples(gate, state(phase, step))
    assert found
    assert least <= found <= most


def test_ready_needs_no_requests() -> None:
    assert least_samples("ready", state("shadow")) is None


def test_a_tighter_limit_needs_more() -> None:
    gates = replace(Gates(), errors=Errors(limit=0.001, budget=0.001))
    tight = replace(PRESETS["careful"], gates=gates)
    found = least_samples("errors", state("canary", 2, tight))
    assert found
    assert found == pytest.approx(4040, rel=0.05)
