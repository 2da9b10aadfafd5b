"""Who answers: shares, keys, forced roles, stable in the candidate's place, and what pods see."""

from __future__ import annotations

import collections
import contextlib
from collections.abc import Callable, Iterator

import pytest
from msgspec import structs
from tests.load import Load, ride
from tests.raw_http import exchange, post
from tests.router_process import DIGESTS, RouterProcess, routing, table
from tests.stub_pods import StubPod, stub_pods
from tests.waiting import until

from slipway.router.table import Table, table_of

Start = Callable[[Table], RouterProcess]

KEYS = 10_000
RIDE = b'{"PULocationID": 10, "DOLocationID": 50, "trip_distance": 4}'


@pytest.fixture(scope="module")
def pods() -> Iterator[tuple[StubPod, StubPod]]:
    with stub_pods("blue", "green") as (stable, candidate):
        yield stable, candidate


@pytest.fixture
def start(pods: tuple[StubPod, StubPod]) -> Iterator[Start]:
    """Starts a router over the two pods, which answer as they should."""
    stable, candidate = pods
    for pod in pods:
        pod.turn("ok")
    with contextlib.ExitStack() as stack:

        def started(first: Table) -> RouterProcess:
            return stack.enter_context(routing(first, {"blue": [stable], "green": [candidate]}))

        yield started


@pytest.fixture(scope="module")
def standing(pods: tuple[StubPod, StubPod]) -> Iterator[RouterProcess]:
    """A router that no test changes."""
    with routing(table(weight=500), {"blue": [pods[0]], "green": [pods[1]]}) as running:
        yield running


def slots_of_keys(router: RouterProcess) -> list[str]:
    """Which slot answers each of the fixed keys, asked once each."""
    answered: dict[int, str] = {}
    with Load(router.port, limit=KEYS, fresh=lambda _: False, seen=answered.__setitem__) as load:
        load.wait(KEYS)
    assert load.failed == 0, load.told()
    return [answered[number] for number in range(KEYS)]


def test_row_7_shares_are_exact_and_a_key_moves_at_most_once_from_5_to_25_to_50(
    start: Start,
) -> None:
    """Row 7 of "What none has": within 1 point over 10,000 keys, never there and back."""
    router = start(table(1, weight=500))
    before = None
    for epoch, weight in ((1, 500), (2, 2500), (3, 5000)):
        router.route(table(epoch, weight=weight))
        router.wait(epoch)
        now = slots_of_keys(router)
        assert abs(now.count("green") / KEYS - weight / 10_000) < 0.01
        if before:
            assert not [key for key, slot in enumerate(before) if slot == "green" != now[key]]
        before = now
    until(lambda: router.requests() == 3 * KEYS, what="all to be counted")


def test_without_a_key_the_routers_own_id_decides(start: Start) -> None:
    """A client that always sends one request id must not always meet the same slot."""
    router = start(table(2, weight=5000))
    constant = post(RIDE, "X-Request-Id: always-the-same")
    with Load(router.port, limit=400, request=lambda _: constant) as load:
        load.wait(400)
    assert load.phases["begin"].slots["green"] > 100
    assert load.phases["begin"].slots["blue"] > 100


def test_C12_hostile_routing_headers_change_nothing(
    start: Start, pods: tuple[StubPod, StubPod]
) -> None:
    hostile = (
        "X-Slipway-Role: candidate",
        "X-Slipway-Source: shadow",
        "X-Slipway-Pair: mine",
        "X-Slipway-Slot: green",
        "X-Slipway-Counted: 1",
    )
    router = start(table(weight=500))
    with Load(router.port, limit=1000, request=lambda number: ride(number, *hostile)) as load:
        load.wait(1000)
    assert load.failed == 0
    assert load.phases["begin"].slots["green"] < 100
    last = pods[0].last()
    assert last["x-slipway-source"] == "live"
    assert "x-slipway-role" not in last
    assert len(last["x-slipway-pair"]) == 32


def test_a_role_is_forced_only_where_the_table_allows_it(
    start: Start, pods: tuple[StubPod, StubPod]
) -> None:
    router = start(table(2, weight=500, force_role=True))
    for role, slot in (("candidate", "green"), ("stable", "blue")):
        for number in range(20):
            answer = exchange(router.port, ride(number, f"X-Slipway-Role: {role}"))
            assert answer.headers["x-slipway-slot"] == slot
            assert answer.headers["x-slipway-role"] == role
    pods[1].turn("status", 500)
    failed = exchange(router.port, ride(0, "X-Slipway-Role: candidate"))
    assert failed.status == 500
    assert "x-slipway-fallback" not in failed.headers
    assert pods[1].last()["x-slipway-source"] == "forced"
    until(lambda: router.answers().get(("green", "forced", "500")) == 1, what="it to be counted")
    assert "slipway_router_fallbacks_total" not in router.counted()


def test_a_forced_candidate_that_is_not_there_is_503(start: Start) -> None:
    router = start(structs.replace(table_of(2, ("blue", DIGESTS["blue"])), force_role=True))
    answer = exchange(router.port, post(RIDE, "X-Slipway-Role: candidate"))
    assert answer.status == 503
    assert "X-Slipway-Role" in answer.json()["detail"]
    assert exchange(router.port, post(RIDE)).status == 200


@pytest.mark.parametrize(
    ("mode", "value", "reason", "code"),
    [
        ("status", 500, "5xx", "500"),
        ("status", 503, "5xx", "503"),
        ("status", 422, "422", "422"),
        ("hang", 0, "timeout", "504"),
        ("close", 0, "connect", "502"),
        ("headers", 0, "connect", "502"),
    ],
)
def test_what_the_candidate_fails_stable_answers(
    mode: str,
    value: int,
    reason: str,
    code: str,
    start: Start,
    pods: tuple[StubPod, StubPod],
) -> None:
    stable, candidate = pods
    router = start(table(2, weight=10_000))
    candidate.turn(mode, value)
    answer = exchange(router.port, post(RIDE))
    assert answer.status == 200
    assert answer.headers["x-slipway-slot"] == "blue"
    assert answer.headers["x-slipway-role"] == "stable"
    assert answer.headers["x-slipway-fallback"] == "1"
    assert stable.last()["x-slipway-source"] == "fallback"
    assert stable.last()["length"] == str(len(RIDE))
    router.expect({("green", "live", code): 1, ("blue", "fallback", "200"): 1})
    fallbacks = router.counted()["slipway_router_fallbacks_total"]
    assert fallbacks == {("answered", reason): 1.0}


@pytest.mark.parametrize("status", [422, 500])
def test_what_stable_fails_too_was_the_requests_fault(
    status: int, start: Start, pods: tuple[StubPod, StubPod]
) -> None:
    router = start(table(2, weight=10_000))
    for pod in pods:
        pod.turn("status", status)
    assert exchange(router.port, post(RIDE)).status == status
    router.expect({("green", "live", str(status)): 1, ("blue", "fallback", str(status)): 1})
    [fallback] = router.counted()["slipway_router_fallbacks_total"]
    assert fallback[0] == "failed"


@pytest.mark.parametrize("status", [400, 404, 413, 415])
def test_what_is_wrong_with_a_request_is_said_by_whoever_was_asked(
    status: int, start: Start, pods: tuple[StubPod, StubPod]
) -> None:
    router = start(table(2, weight=10_000))
    pods[1].turn("status", status)
    answer = exchange(router.port, post(RIDE))
    assert answer.status == status
    assert answer.headers["x-slipway-role"] == "candidate"
    router.expect({("green", "live", str(status)): 1})


def test_C1_a_candidate_without_pods_costs_no_request(
    start: Start, pods: tuple[StubPod, StubPod]
) -> None:
    router = start(table(1))
    router.route(table(2, weight=5000))
    router.pods({"blue": [pods[0]], "green": []})
    router.wait(2, pods=1)
    with Load(router.port, limit=2000) as load:
        load.wait(2000)
    assert load.failed == 0, load.told()
    until(lambda: router.requests() == load.sent, what="all to be counted")
    answered = router.counted()["slipway_router_fallbacks_total"]["answered", "connect"]
    assert answered == load.phases["begin"].fallbacks > 500


def test_C1_row_7_all_candidate_pods_killed_mid_way_cost_no_request(
    start: Start, pods: tuple[StubPod, StubPod]
) -> None:
    with stub_pods("green", "green") as candidates:
        router = start(table(1))
        router.route(table(2, weight=5000))
        router.pods({"blue": [pods[0]], "green": candidates})
        router.wait(2, pods=3)
        with Load(router.port, limit=4000) as load:
            load.wait(500)
            killed = load.phase("killed")
            for pod in candidates:
                pod.kill()
            load.wait(2000)
        assert load.failed == 0, load.told()
        assert killed.fallbacks > 0
        until(lambda: router.requests() == load.sent, what="all to be counted")


def test_a_hostile_answer_of_a_pod_does_not_steer_the_router(
    start: Start, pods: tuple[StubPod, StubPod]
) -> None:
    """A pod runs a model's code: its X-Accel-Redirect must be no more than a header."""
    router = start(table(1))
    pods[0].turn("accel")
    answer = exchange(router.port, ride(1))
    assert (answer.status, answer.headers["x-slipway-role"]) == (200, "stable")
    assert "x-accel-redirect" not in answer.headers


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("mine-17", True),
        ('with "quotes" and \\', True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("tab\there", False),
        ("ümlaut", False),
        ("", False),
    ],
)
def test_A16_a_request_id_is_kept_if_it_is_sane(
    given: str, kept: bool, standing: RouterProcess, pods: tuple[StubPod, StubPod]
) -> None:
    request = post(RIDE).replace(
        b"Host: test\r\n", f"Host: test\r\nX-Request-Id: {given}\r\n".encode()
    )
    answer = exchange(standing.port, request)
    shown = answer.headers["x-request-id"]
    assert (shown == given) is kept
    assert kept or len(shown) == 32
    seen = [pod.last().get("x-request-id") for pod in pods]
    assert shown in seen
    problem = exchange(standing.port, request.replace(b"/predict", b"/nowhere"))
    assert problem.json()["request_id"] in (problem.headers["x-request-id"], "")


def test_a_pod_sees_the_path_as_the_client_wrote_it(
    standing: RouterProcess, pods: tuple[StubPod, StubPod]
) -> None:
    for target in ("/predict?model=a%20b&x=1", "/v2/models/a%2Fb/infer", "/%70redict"):
        exchange(standing.port, post(RIDE, "X-Slipway-Key: key-1", path=target))
        seen = collections.Counter(pod.last().get("line") for pod in pods)
        assert f"POST {target} HTTP/1.1" in seen


@pytest.mark.parametrize(
    "path",
    ["/", "/metrics", "/livez", "/readyz", "/sample", "/stub", "/v2/../metrics", "//predict"],
)
def test_only_the_api_is_passed_on(path: str, standing: RouterProcess) -> None:
    answer = exchange(standing.port, post(RIDE, path=path))
    assert answer.status in (400, 404)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("waiting", "words"), [(False, "no model yet"), (True, "not serving yet")])
@pytest.mark.parametrize("path", ["/predict", "/invocations", "/v2/models/x/infer"])
def test_an_empty_table_is_503_with_the_reason(
    waiting: bool, words: str, path: str, start: Start
) -> None:
    router = start(Table(epoch=2, waiting=waiting))
    answer = exchange(router.port, post(RIDE, path=path))
    assert answer.status == 503
    assert answer.headers["retry-after"] == "5"
    assert words in answer.json()["detail"]
    assert ("error" in answer.json()) is (path != "/predict")
    router.expect({("none", "live", "503"): 1})
