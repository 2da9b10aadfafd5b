"""`slipway controller` against the cluster of `make up`: real Deployments, real pods.

The pods only have to run: they are of an image that every node has, and there is no router.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster_worlds import FULLNAME, KubeWorld, deployment
from tests.controller_process import Slipway, digest_of, two_models
from tests.waiting import until

from slipway.cluster.protocol import SLOTS

pytestmark = [pytest.mark.platform, pytest.mark.kind]


@pytest.fixture(scope="module")
def models(ride_model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return two_models(ride_model, tmp_path_factory.mktemp("models"))


@pytest.fixture
def installed(kind_world: KubeWorld) -> KubeWorld:
    """The chart's objects, as far as they matter here."""
    nodes = kind_world.server.ask("GET", "/api/v1/nodes")["items"]
    # An image whose last tag was taken away has no names.
    names = [name for image in nodes[0]["status"]["images"] for name in image["names"] or ()]
    image = next(name for name in names if "/pause:" in name)
    for slot in SLOTS:
        body = deployment(slot)
        (container,) = body["spec"]["template"]["spec"]["containers"]
        container["image"] = image
        kind_world.server.ask("POST", f"{kind_world.apps}/deployments", body)
    for name, data in (
        ("model", {"MODEL_RUN_ID": "", "MODEL_URI": ""}),
        ("policy", {"policy.yaml": "preset: fast\ntick: 0.5"}),
    ):
        body = {"metadata": {"name": f"{FULLNAME}-{name}"}, "data": data}
        kind_world.server.ask("POST", f"{kind_world.core}/configmaps", body)
    return kind_world


@pytest.fixture
def slipway(installed: KubeWorld) -> Iterator[Slipway]:
    with tempfile.TemporaryDirectory() as folder:
        yield Slipway(installed, Path(folder))


def table(world: KubeWorld) -> dict[str, Any]:
    found = world.server.ask("GET", f"{world.core}/configmaps/{FULLNAME}-routing")
    slots: dict[str, Any] = json.loads(found["data"]["routing.json"])["slots"]
    return {slot: (row["role"], row["weight"]) for slot, row in slots.items()}


def test_a_slot_is_filled_and_gets_the_traffic_when_its_pods_are_ready(
    installed: KubeWorld, slipway: Slipway, models: list[str]
) -> None:
    with slipway.controlling():
        first = slipway.run("set-model", models[0], "--wait", "--timeout", "50")
        assert first.returncode == 0, first.stderr
        assert table(installed) == {"blue": ("stable", 10_000)}
        workload = installed.view().workload("blue")
        assert workload is not None
        assert [(pod.digest, pod.ready) for pod in workload.pods] == [
            (digest_of(models[0]), True)
        ] * 2

        second = slipway.run("set-model", models[1], "--wait", "--timeout", "50")
        assert second.returncode == 0, second.stderr
        assert table(installed) == {"blue": ("warm", 0), "green": ("stable", 10_000)}
        until(lambda: "WatchEnded" in slipway.run("status", "-o", "wide").stdout, 30)
    told = {(kind, reason) for kind, reason, _ in installed.events()}
    assert ("Normal", "Promoted") in told


def test_a_user_scales_stable_and_the_controller_leaves_it(
    installed: KubeWorld, slipway: Slipway, models: list[str]
) -> None:
    """The next candidate gets stable's live size."""
    with slipway.controlling():
        slipway.run("set-model", models[0], "--wait", "--timeout", "50")
        path = f"{installed.apps}/deployments/{FULLNAME}-blue/scale"
        installed.server.ask("PATCH", path, {"spec": {"replicas": 3}}, "merge-patch+json")
        until(lambda: ready(installed, "blue") == 3, 40, "three pods")
        assert slipway.run("set-model", models[1], "--wait", "--timeout", "50").returncode == 0
        assert (ready(installed, "blue"), ready(installed, "green")) == (3, 3)


def ready(world: KubeWorld, slot: Any) -> int:
    workload = world.view().workload(slot)
    return sum(pod.ready for pod in workload.pods) if workload else 0
