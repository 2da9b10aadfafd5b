"""`make bench-peers` starts Slipway as the chart does, with the same command and variables."""

from __future__ import annotations

from pathlib import Path

import pytest
from loadtest.bench.peers.systems import pod_environment
from tests.chart_render import render

pytestmark = pytest.mark.platform

# The addresses and places of this machine stand in for those of a pod.
PLACES = {
    *("SLIPWAY_RELEASE_FILE", "SLIPWAY_EXPECTED_DIGEST", "SLIPWAY_CACHE_DIR", "HOME"),
    *("SLIPWAY_SLOT", "SLIPWAY_POD", "SLIPWAY_SCRATCH_DIR"),
}
# Two pods share this machine's ports and its temporary folder.
OURS = {"SLIPWAY_HOST", "SLIPWAY_PORT", "SLIPWAY_ADMIN_PORT", "TMPDIR", "SLIPWAY_SCRATCH_DIR"}


def test_a_measured_pod_is_told_what_the_charts_container_is_told() -> None:
    (serve,) = [
        container
        for found in render()
        if found["kind"] == "Deployment" and found["metadata"]["name"] == "slipway-blue"
        for container in found["spec"]["template"]["spec"]["containers"]
    ]
    told = {each["name"]: each.get("value") for each in serve["env"]}
    here = pod_environment(0, 1, Path("lock"), "digest", Path("cache"), Path("tmp"))
    assert serve["args"] == ["serve"]
    assert told.keys() - here.keys() == set()
    assert here.keys() - told.keys() <= OURS
    assert {name: here[name] for name in told.keys() - PLACES} == {
        name: value for name, value in told.items() if name not in PLACES
    }
