"""Given the chart's own policy, when a version is named, then it goes all the way, or nowhere."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.kind_installation import Installation
from tests.kind_rollout import answered, state, wait
from tests.kind_server import KindServer
from tests.load_test import load_test

pytestmark = [
    pytest.mark.platform,
    pytest.mark.kind,
    pytest.mark.long,
    pytest.mark.timeout(2400),
]

LOAD = ("--rate", "60", "--seconds", "2400")


@pytest.fixture
def careful(kind: KindServer, versions: Mapping[str, str]) -> Iterator[Installation]:
    """An installation with the policy that the chart has by itself."""
    place = Installation(kind, f"story-{os.getpid()}-careful")
    try:
        place.install_chart(
            {
                "model": {"runId": versions["sound"]},
                "rollout": {"preset": "careful", "ready": {"deadline": 60}},
                "slots": {"replicas": 1},
            }
        )
        place.serves(versions["sound"])
        yield place
    finally:
        place.remove()


def test_row_1_careful_takes_a_good_version_through_its_steps_and_stops_one_that_cannot_load(
    careful: Installation, versions: Mapping[str, str], tmp_path: Path
) -> None:
    """Shadow, 5, 25, 50 and 100 %, no request failed; then a damaged one that never answers."""
    sound, second, damaged = (versions[n] for n in ("sound", "2 % higher", "damaged"))
    with load_test(careful.url, tmp_path, *LOAD) as load:
        careful.want(second)
        wait(careful, "Promoted", second, 1500)
        weights = [e.message for e in state(careful).history if e.run_id == second]
        assert len([e for e in state(careful).history if e.reason == "StepStarted"]) == 3, weights
        wait(careful, "WatchEnded", second, 600)
        careful.want(damaged)
        stopped = wait(careful, "NotReady", damaged, 150)
        verdict = load.interrupt()
    assert "ModelFailed" in stopped.message
    assert answered(verdict).keys() == {sound, second}
