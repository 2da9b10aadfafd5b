"""What clients send: the 108 requests through the router to a real pod, slow clients, counting."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest
from tests.bad_requests import CASES, GOOD, MIB, Case, check_shape
from tests.load import Load
from tests.raw_http import HOST, chunked, exchange, post
from tests.router_process import RouterProcess, routing, table
from tests.service_process import serving, stub
from tests.waiting import until

# What nginx does with these rows: closes without an answer, or answers HTTP/0.9 in HTTP/0.9, which
# is a body without a head.
WITHOUT_ANSWER = {97, 101}


@pytest.fixture(scope="module")
def router() -> Iterator[RouterProcess]:
    with (
        serving(command=stub("good")) as pod,
        routing(table(), {"blue": [f"{HOST}:{pod.port}"], "green": []}) as running,
    ):
        yield running


@pytest.mark.parametrize("case", CASES, ids=str)
def test_A8_C13_a_request_gets_the_answer_of_the_table(case: Case, router: RouterProcess) -> None:
    answer = exchange(router.port, case.request, end=case.end)
    allowed = case.status | {0} if case.number in WITHOUT_ANSWER else case.status
    assert answer.status in allowed, answer.body[:300]
    check_shape(case, answer)
    assert exchange(router.port, post(GOOD)).status == 200


@pytest.mark.parametrize("framing", ["fixed", "chunked"])
def test_A7_a_body_over_the_limit_is_413_before_any_pod_sees_it(
    framing: str, router: RouterProcess
) -> None:
    before = _settled(router)
    body = b" " * (MIB + 1)
    answer = exchange(router.port, post(body) if framing == "fixed" else _chunked_post(body))
    assert answer.status == 413
    assert answer.headers["connection"] == "close"
    assert str(MIB) in answer.json()["detail"]
    large = "none", "live", "413"
    router.expect({**before, large: before.get(large, 0) + 1})


@pytest.mark.parametrize("framing", ["fixed", "chunked"])
def test_A7_a_body_of_just_the_limit_reaches_the_pod(framing: str, router: RouterProcess) -> None:
    body = GOOD + b" " * (MIB - len(GOOD))
    request = post(body) if framing == "fixed" else _chunked_post(body)
    assert exchange(router.port, request).status == 200


def test_several_requests_on_one_connection_are_answered_in_order(router: RouterProcess) -> None:
    with socket.create_connection((HOST, router.port), 10) as connection:
        connection.sendall(post(GOOD, "X-Request-Id: a") + post(GOOD, "X-Request-Id: b"))
        received = b""
        while received.count(b"model_version") < 2:
            received += connection.recv(65536)
    assert received.index(b"X-Request-Id: a") < received.index(b"X-Request-Id: b")


def test_A6_slow_clients_are_closed_and_harm_nobody(router: RouterProcess) -> None:
    """200 connections that owe the rest of a head or a body; 20 of 20 others are answered."""
    with contextlib.ExitStack() as stack:
        stalled = []
        for number in range(200):
            connection = stack.enter_context(socket.create_connection((HOST, router.port), 20))
            half = b"POST /predict HTTP/1.1\r\nHost: t\r\n" if number % 2 else post(GOOD)[:-5]
            connection.sendall(half)
            stalled.append(connection)
        assert [exchange(router.port, post(GOOD)).status for _ in range(20)] == [200] * 20
        # The limit is 5 s; a closed connection reads as its end.
        assert all(_ends(connection) for connection in stalled)


def test_what_is_counted_adds_up_to_what_was_sent(router: RouterProcess) -> None:
    """Row 14 of "What none has": answers of the pods and of the router itself, each once."""
    requests = [post(GOOD), post(b"{}"), post(GOOD, path="/nowhere"), post(b" " * (MIB + 1))]
    before = sum(_settled(router).values())
    with Load(
        router.port, limit=800, request=lambda number: requests[number % 4], clients=3
    ) as load:
        load.wait(800)
    statuses = load.phases["begin"].statuses
    assert statuses == {200: 200, 422: 200, 404: 200, 413: 200}, load.told()
    until(lambda: router.requests() - before == 800, what="all to be counted")
    seconds = router.counted()["slipway_router_request_seconds_count"]
    asked = sum(n for (slot, _, _), n in router.answers().items() if slot != "none")
    assert sum(seconds.values()) == asked


def test_A14_odd_requests_make_no_series(router: RouterProcess) -> None:
    exchange(router.port, post(GOOD, path="/nowhere"))
    before = len(_settled(router))
    for number in range(100):
        odd = post(GOOD, f"X-Slipway-Key: {number}", f"X-{number}: 1", path=f"/nowhere-{number}")
        exchange(router.port, odd)
    assert len(_settled(router)) == before


def _settled(router: RouterProcess) -> dict[tuple[str, str, str], int]:
    """What is counted once nothing of earlier requests is on its way."""
    marked = router.answers().get(("none", "live", "404"), 0) + 1
    exchange(router.port, b"GET /mark HTTP/1.1\r\nHost: t\r\n\r\n")
    until(lambda: router.answers().get(("none", "live", "404"), 0) >= marked, what="the mark")
    return router.answers()


def _ends(connection: socket.socket) -> bool:
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        return True
    return True


def _chunked_post(body: bytes) -> bytes:
    sound = post(b"", "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
    return sound + chunked(body)
