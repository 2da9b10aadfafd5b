"""Ready means "as its slot should be"; live means that the process answers."""

from __future__ import annotations

import threading

import pytest
from tests.waiting import until

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


def test_A4_with_all_threads_at_one_request_for_too_long_it_is_not_live() -> None:
    health = Health(idle=False, threads=2, stuck_seconds=0.0)
    begun, done = threading.Event(), threading.Event()

    def answer() -> None:
        health.begin()
        begun.set()
        done.wait(30)
        health.end()

    other = threading.Thread(target=answer)
    other.start()
    assert begun.wait(10)
    assert health.live()[0] == 200
    health.begin()
    until(lambda: health.live() == (503, {"live": False, "stuck": 2}), 5, "both to be lost")
    health.end()
    assert health.live()[0] == 200
    done.set()
    other.join(10)
