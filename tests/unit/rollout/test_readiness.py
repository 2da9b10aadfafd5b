"""What is told of pods that are not ready."""

from __future__ import annotations

import dataclasses

import pytest
from tests.unit.rollout.scene import Scene, release

from slipway.cluster.protocol import Pod, Workload
from slipway.rollout.readiness import why_not_ready
from slipway.rollout.snapshot import SlotView
from slipway.rollout.state import Placement

NEW, OLD = release("n"), release("o")
LEAVING = Pod("old", "", "", OLD.digest, ready=False, restarts=3, why="is being deleted")
ENDED = Pod("new", "", "", NEW.digest, ready=False, restarts=1, why="made with another library")
READY = Pod("fine", "", "", NEW.digest, ready=True, restarts=0, why="")


@pytest.mark.parametrize(
    ("pods", "told"),
    [
        ((LEAVING, ENDED), "made with another library"),
        ((ENDED, LEAVING), "made with another library"),
        ((READY, LEAVING), "is being deleted"),
        ((READY,), "no progress"),
        ((), "no progress"),
    ],
)
def test_B8_the_releases_own_pods_say_why_before_those_that_leave_its_slot(
    pods: tuple[Pod, ...], told: str
) -> None:
    """What the slot held before may still be leaving when the candidate has failed already."""
    workload = Workload(1, NEW.digest, False, False, "no progress", pods)
    view = SlotView(NEW, workload)
    snapshot = dataclasses.replace(Scene().snapshot(), slots={"green": view})
    placement = Placement(slot="green", release=NEW, role="candidate")
    assert why_not_ready(snapshot, placement) == told
