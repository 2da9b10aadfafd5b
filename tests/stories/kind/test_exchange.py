"""Given load on an installation, when its pods are exchanged or killed, then nobody notices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster_worlds import FULLNAME
from tests.kind_installation import RELEASE, Installation, other_image
from tests.load_test import WIDE, LoadTest, load_test
from tests.pod_counters import PodCounters
from tests.waiting import until

pytestmark = [pytest.mark.platform, pytest.mark.kind, pytest.mark.timeout(400)]

LOAD = ("--rate", "30", "--seconds", "600")


@pytest.fixture
def other_tag(shop: Installation) -> Iterator[str]:
    """The same image under another tag on the node; what was installed is so again afterwards."""
    before = shop.revision()
    with other_image(shop) as tag:
        yield tag
        shop.helm("rollback", RELEASE, str(before), "--wait", "--timeout=3m")
        settled(shop)


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
        until(lambda: shop.images() == {f"{shop.image}-next"}, 60, "the last old pod to leave")
        settled(shop)
        assert_nothing_lost(load, counted)


def test_A2_a_slots_pod_killed_under_load_fails_no_request(
    shop: Installation, tmp_path: Path
) -> None:
    """A2: one of two, without a grace; the router asks the other."""
    with PodCounters(shop) as counted, load_test(shop.url, tmp_path, *LOAD) as load:
        under_way(shop, counted)
        kill(shop, "slot")
        verdict = load.interrupt()
    assert verdict.code == 0, verdict.said


def test_C4_a_router_killed_under_load_costs_only_what_was_on_its_connections(
    shop: Installation, tmp_path: Path
) -> None:
    """C4: at most 1 % of the requests, and serving again within 5 s."""
    limits = WIDE.replace("failed_share = 0.0", "failed_share = 0.01")
    with (
        PodCounters(shop) as counted,
        load_test(shop.url, tmp_path, *LOAD, limits=limits) as load,
    ):
        under_way(shop, counted)
        kill(shop, "router", lambda: all(shop.predict()[0] == 200 for _ in range(20)))
        verdict = load.interrupt()
    assert verdict.code == 0, verdict.said


def kill(shop: Installation, part: str, serves: Callable[[], bool] = lambda: True) -> None:
    """End one of two pods at once; another is ready in its place afterwards."""
    before = shop.pods(part)
    shop.kubectl("delete", "pod", min(before), "--grace-period=0", "--force")
    until(serves, 5, "twenty answers in a row")
    new = until(lambda: set(shop.pods(part)) - set(before), 30, "another pod").pop()
    shop.kubectl("wait", f"pod/{new}", "--for=condition=Ready", "--timeout=90s")


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
