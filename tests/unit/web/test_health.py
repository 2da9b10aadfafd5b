"""Ready means "as its slot should be"; live means that the process answers."""

from __future__ import annotations

import pytest

from slipway.web.health import Health


@pytest.mark.parametrize(
    ("idle", "document"), [(False, {"ready": True}), (True, {"ready": True, "idle": True})]
)
def test_an_idle_slot_is_ready_and_says_that_it_is_idle(
    idle: bool, document: dict[str, bool]
) -> None:
    assert Health(idle=idle).ready() == (200, document)


@pytest.mark.parametrize("idle", [False, True])
def test_who_drains_is_live_and_not_ready_however_often_it_is_told(idle: bool) -> None:
    health = Health(idle=idle)
    for _ in range(2):
        health.drain()
        assert health.ready() == (503, {"ready": False, "draining": True})
        assert health.live() == (200, {"live": True})
