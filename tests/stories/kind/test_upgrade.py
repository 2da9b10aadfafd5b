"""Given the chart and the image of an earlier Slipway, when it is upgraded and taken back."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.kind_installation import RELEASE, Installation
from tests.kind_server import KindServer
from tests.load_test import load_test
from tests.service_process import ROOT
from tests.waiting import until

pytestmark = [
    pytest.mark.platform,
    pytest.mark.kind,
    pytest.mark.long,
    pytest.mark.timeout(1200),
]

# The last commit before rollouts on Kubernetes were told in full.
EARLIER = "5b89f329f78d40c083a836a986e123cbd59df10b"
LOAD = ("--rate", "20", "--seconds", "900")
# Run with the checkout of then: its own programs build its image and bring it to the node.
BUILD = """
import os, sys
from k8s.local.bring_up import platform_that_is_up, setup
from k8s.local.images import ensure_images, product
with setup(os.environ, sys.stderr, "image.log") as ctx:
    platform = platform_that_is_up(ctx)
    assert platform, "the cluster is not up"
    platform.load(ensure_images(ctx, [product()], registry=platform.registry)[:1])
print(product().name)
"""


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The checkout of then, and its image, which is on the node."""
    folder = tmp_path_factory.mktemp("earlier")
    packed = folder / "tree.tar"
    subprocess.run(["git", "archive", f"--output={packed}", EARLIER], cwd=ROOT, check=True)
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    done = subprocess.run(
        [sys.executable, "-c", BUILD], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / "helm" / "slipway", done.stdout.strip()


@pytest.fixture
def place(kind: KindServer) -> Iterator[Installation]:
    """A namespace, removed afterwards."""
    installation = Installation(kind, f"story-{os.getpid()}-upgrade")
    yield installation
    installation.remove()


def test_F8_an_upgrade_and_the_way_back_fail_no_request(
    place: Installation, runs: tuple[str, str], earlier: tuple[Path, str], tmp_path: Path
) -> None:
    """F8: installed by then's chart, upgraded, a rollout, back to then's, a rollout."""
    chart, image = earlier
    now = place.image.partition(":")[2]
    place.install_chart(
        {
            "image": {"repository": "slipway", "tag": image.partition(":")[2]},
            "model": {"runId": runs[0]},
        },
        chart=chart,
    )
    place.serves(runs[0])
    before = place.revision()
    with load_test(place.url, tmp_path, *LOAD) as load:
        load.go_on(10)
        place.upgrade("--set-string", f"image.tag={now}")
        until(lambda: place.images() == {place.image}, 120, "the last pod of then to leave")
        place.want(runs[1])
        place.serves(runs[1])
        place.helm("rollback", RELEASE, str(before), "--wait", "--timeout=5m")
        until(lambda: place.images() == {image}, 120, "the last pod of now to leave")
        # `helm rollback` writes the model of then only where its values change it.
        place.want(runs[0])
        place.serves(runs[0])
        load.go_on(10)
        verdict = load.interrupt()
    assert verdict.code == 0, verdict.said
    assert place.document("state")["stable"] == runs[0]
