"""Given load on an installation, when all its pods are exchanged, then nobody notices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster_worlds import FULLNAME
from tests.containers import docker
from tests.kind_installation import NODE, RELEASE, Installation
from tests.load_test import LoadTest, load_test
from tests.pod_counters import PodCounters
from tests.waiting import until

pytestmark = [pytest.mark.kind, pytest.mark.timeout(400)]

LOAD = ("--rate", "30", "--seconds", "600")


@pytest.fixture
def other_tag(shop: Installation) -> Iterator[str]:
    """The same image under another tag on the node; what was installed is so again afterwards."""
    before = shop.revision()
    repository, _, tag = shop.image.partition(":")
    whole = f"docker.io/library/{repository}"
    docker("exec", NODE, *CTR, "tag", f"{whole}:{tag}", f"{whole}:{tag}-next")
    yield f"{tag}-next"
    shop.helm("rollback", RELEASE, str(before), "--wait", "--timeout=3m")
    settled(shop)
    docker("exec", NODE, *CTR, "rm", f"{whole}:{tag}-next")


CTR = ("ctr", "--namespace=k8s.io", "images")


def test_R4_row_14_a_rolling_restart_of_all_pods_fails_no_request_and_loses_no_count(
    shop: Installation, tmp_path: Path
) -> None:
    """R4 (pod replaced), A1, C9: slots and routers at once; counters add up to locust's count."""
    with PodCounters(shop) as counted, load_test(shop.url, tmp_path, *LOAD) as load:
        under_way(shop, counted)
        for part in ("blue", "router"):
            shop.kubectl("rollout", "restart", f"deployment/{FULLNAME}-{part}")
        for part in ("blue", "router"):
            shop.kubectl("rollout", "status", f"deployment/{FULLNAME}-{part}", "--timeout=180s")
        settled(shop)
        assert_nothing_lost(load, counted)
        assert (counted.pods("slot"), counted.pods("router")) == (4, 4)


def test_row_14_another_image_by_helm_upgrade_fails_no_request_and_loses_no_count(
    shop: Installation, tmp_path: Path, other_tag: str
) -> None:
    """Router, slots and controller: all pods are of the other image then."""
    with PodCounters(shop) as counted, load_test(shop.url, tmp_path, *LOAD) as load:
        under_way(shop, counted)
        shop.upgrade("--set-string", f"image.tag={other_tag}")
        until(lambda: images(shop) == {f"{shop.image}-next"}, 60, "the last old pod to leave")
        settled(shop)
        assert_nothing_lost(load, counted)


def under_way(shop: Installation, counted: PodCounters) -> None:
    """The load has begun."""
    until(lambda: counted.total("slot") > 60, 60, "load")


def settled(shop: Installation) -> None:
    """Those that leave are gone: until then they may have something to answer."""

    def leaving() -> list[str]:
        pods = shop.pods("slot") | shop.pods("router")
        return [name for name, pod in pods.items() if "deletionTimestamp" in pod["metadata"]]

    until(lambda: not leaving(), 60, "the old pods to be gone")


def assert_nothing_lost(load: LoadTest, counted: PodCounters) -> None:
    """No request failed, and locust's count is what slots and routers have counted."""
    verdict = load.interrupt()
    assert verdict.report, verdict.said
    figures: dict[str, Any] = verdict.report["figures"]
    assert figures["failed"] == 0, verdict.said
    assert verdict.code == 0, verdict.said
    totals = {part: counted.total(part) for part in ("slot", "router")}
    assert totals == {"slot": figures["requests"], "router": figures["requests"]}


def images(shop: Installation) -> set[str]:
    """Of all pods of the chart."""
    pods = shop.pods("slot") | shop.pods("router") | shop.pods("controller")
    return {
        container["image"]
        for pod in pods.values()
        if "deletionTimestamp" not in pod["metadata"]
        for container in pod["spec"]["containers"]
    }
