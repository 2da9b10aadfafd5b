"""C2, C3: the shadow gets copies, and whatever it does with them no user notices."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.load import Load, ride
from tests.raw_http import exchange
from tests.router_process import DIGESTS, RouterProcess, routing, table
from tests.stub_pods import StubPod, stub_pods
from tests.waiting import until

from slipway.router.table import table_of

REQUESTS = 1500


@pytest.fixture(scope="module")
def pods() -> Iterator[tuple[StubPod, StubPod]]:
    with stub_pods("blue", "green") as (stable, shadow):
        yield stable, shadow


@pytest.fixture
def router(pods: tuple[StubPod, StubPod]) -> Iterator[RouterProcess]:
    for pod in pods:
        pod.turn("ok")
    with routing(table(shadow=10_000), {"blue": [pods[0]], "green": [pods[1]]}) as running:
        yield running


def copies(router: RouterProcess) -> tuple[int, int]:
    """Copies that were sent, and those that were dropped."""
    sent = sum(n for (_, source, _), n in router.answers().items() if source == "shadow")
    return sent, int(router.counted()["slipway_router_shadow_dropped_total"].get((), 0))


def test_a_copy_has_the_same_body_and_pair_id_and_is_told_apart(
    router: RouterProcess, pods: tuple[StubPod, StubPod]
) -> None:
    answer = exchange(router.port, ride(1, "X-Request-Id: mine"))
    assert answer.headers["x-slipway-role"] == "stable"
    until(lambda: copies(router) == (1, 0), what="the copy to be counted")
    live, copy = (pod.last() for pod in pods)
    assert (live["x-slipway-source"], copy["x-slipway-source"]) == ("live", "shadow")
    for same in ("line", "length", "x-slipway-pair", "x-slipway-key", "x-request-id"):
        assert copy[same] == live[same]


def pairs(router: RouterProcess) -> dict[str, int]:
    """Who failed -> copied requests."""
    found = router.counted().get("slipway_router_pairs_total", {})
    return {failed: int(n) for (failed, _release, _slot), n in found.items()}


@pytest.mark.parametrize(
    ("live", "copy", "failed"),
    [(200, 200, "none"), (200, 500, "shadow"), (500, 200, "live"), (422, 422, "both")],
)
def test_both_answers_to_a_request_are_counted_as_one_pair(
    live: int, copy: int, failed: str, router: RouterProcess, pods: tuple[StubPod, StubPod]
) -> None:
    for pod, status in zip(pods, (live, copy), strict=True):
        pod.turn("status", status)
    with Load(router.port, limit=300, clients=2) as load:
        load.wait(300)
    until(lambda: sum(copies(router)) == 300, what="all copies to be counted")
    until(lambda: pairs(router) == {failed: copies(router)[0]}, what="them to be pairs")


@pytest.mark.parametrize(
    ("mode", "value", "code"),
    [
        ("hang", 0, "504"),
        ("slow", 1, "200"),
        ("status", 500, "500"),
        ("big", 10 << 20, "200"),
        ("close", 0, "502"),
        ("cut", 0, "200"),
        ("garbage", 0, "502"),
    ],
)
def test_C2_C3_a_shadow_that_misbehaves_changes_nothing_for_users(
    mode: str, value: float, code: str, router: RouterProcess, pods: tuple[StubPod, StubPod]
) -> None:
    """Copies beyond the limit are dropped and counted; none waits, none is lost from the books."""
    pods[1].turn(mode, value)
    with Load(router.port, limit=REQUESTS, clients=8) as load:
        load.wait(REQUESTS)
    assert load.failed == 0, load.told()
    assert load.phases["begin"].slots == {"blue": REQUESTS}
    until(lambda: sum(copies(router)) == REQUESTS, what="all copies to be counted")
    assert router.answers()["blue", "live", "200"] == REQUESTS
    assert router.answers()["green", "shadow", code] > 0
    assert "slipway_router_fallbacks_total" not in router.counted()


def test_C3_copies_beyond_the_limit_are_dropped_and_counted(
    router: RouterProcess, pods: tuple[StubPod, StubPod]
) -> None:
    pods[1].turn("hang")
    before = pods[1].seen().get("shadow", 0)
    with Load(router.port, limit=REQUESTS, clients=8) as load:
        load.wait(REQUESTS)
    assert load.failed == 0, load.told()
    until(lambda: sum(copies(router)) == REQUESTS, what="all copies to be counted")
    sent, dropped = copies(router)
    assert dropped > 0
    assert pods[1].seen()["shadow"] - before == sent


def test_C2_a_dead_shadow_changes_nothing_for_users(
    router: RouterProcess, pods: tuple[StubPod, StubPod]
) -> None:
    with stub_pods("green") as (shadow,):
        router.pods({"blue": [pods[0]], "green": [shadow]})
        until(lambda: router.status()["pods"]["green"] == [shadow.address], what="the new pod")
        with Load(router.port, limit=REQUESTS) as load:
            load.wait(200)
            load.phase("dead")
            shadow.kill()
            load.wait(500)
        assert load.failed == 0, load.told()
        until(lambda: sum(copies(router)) == load.sent, what="all copies to be counted")
        assert router.answers()["green", "shadow", "502"] > 0


def test_a_hung_shadow_survives_reloads(
    router: RouterProcess, pods: tuple[StubPod, StubPod]
) -> None:
    """Old workers that still hold copies take no more requests, and end."""
    pods[1].turn("hang")
    with Load(router.port, limit=50_000) as load:
        for epoch in (2, 3):
            router.route(table(epoch, shadow=10_000))
            router.wait(epoch)
            load.phase(f"epoch {epoch}")
            load.wait(200)
    assert load.failed == 0, load.told()


def test_only_the_share_is_copied_and_only_predictions(pods: tuple[StubPod, StubPod]) -> None:
    """As after a promotion: a quarter of the requests goes to the warm slot as well."""
    pods[1].turn("ok")
    warm = table_of(1, ("blue", DIGESTS["blue"]), warm=("green", DIGESTS["green"]), shadow=2500)
    with routing(warm, {"blue": [pods[0]], "green": [pods[1]]}) as router:
        with Load(router.port, limit=4000) as load:
            load.wait(4000)
        exchange(router.port, b"GET /model HTTP/1.1\r\nHost: t\r\n\r\n")
        until(lambda: router.requests() == 4001, what="all to be counted")
        assert 800 < sum(copies(router)) < 1200
        assert pairs(router) == {"none": copies(router)[0]}
        assert pods[1].last()["line"].startswith("POST /predict")
