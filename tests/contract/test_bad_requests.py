"""A8: the table of bad requests over raw sockets, against the real service in its own process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.bad_requests import CASES, GOOD, MIB, ROUTER_ONLY, Case, check_shape
from tests.raw_http import chunked, exchange, post
from tests.service_process import ServiceProcess, serving, stub

OURS = [case for case in CASES if case.number not in ROUTER_ONLY]


@pytest.fixture(scope="module", params=["application", "by_flask_alone"])
def service(request: pytest.FixtureRequest) -> Iterator[ServiceProcess]:
    """Both faces of `answer`: the callable in front of Flask, and Flask's view."""
    with serving(command=stub("good", face=request.param)) as running:
        yield running


def test_the_table_is_whole() -> None:
    assert [case.number for case in CASES] == list(range(1, 109))


@pytest.mark.parametrize("case", OURS, ids=str)
def test_A8_a_request_gets_the_answer_of_the_table(case: Case, service: ServiceProcess) -> None:
    answer = exchange(service.port, case.request, end=case.end)
    assert answer.status in case.status, answer.body[:300]
    assert answer.status < 500 or answer.status == 501
    check_shape(case, answer)
    assert exchange(service.port, post(GOOD)).status == 200


def test_a_bare_array_is_answered_with_the_word_that_is_missing(service: ServiceProcess) -> None:
    answer = exchange(service.port, post(b"[" + GOOD + b"]"))
    assert "instances" in answer.json()["detail"]


def test_of_a_key_that_comes_twice_the_last_value_counts(service: ServiceProcess) -> None:
    answer = exchange(service.port, post(GOOD[:-1] + b', "trip_distance": 9}'))
    assert answer.json()["duration"] == 18.0


def test_the_client_is_asked_to_go_on_before_it_sends_its_body(service: ServiceProcess) -> None:
    answer = exchange(service.port, post(GOOD, "Expect: 100-continue"))
    assert (answer.interim, answer.status) == ((100,), 200)


@pytest.mark.parametrize("framing", ["fixed", "chunked"])
def test_A7_a_body_over_the_limit_is_413_and_the_connection_ends(
    framing: str, service: ServiceProcess
) -> None:
    """A7: what is left of such a body must not be read as the next request."""
    inner = post(GOOD)
    body = b" " * MIB + inner
    request = post(body) if framing == "fixed" else _chunked_post(body)
    answer = exchange(service.port, request)
    assert answer.status == 413
    assert answer.headers["connection"] == "close"
    assert str(MIB) in answer.json()["detail"]


@pytest.mark.parametrize("framing", ["fixed", "chunked"])
def test_A7_a_body_of_just_the_limit_is_read(framing: str, service: ServiceProcess) -> None:
    body = GOOD + b" " * (MIB - len(GOOD))
    request = post(body) if framing == "fixed" else _chunked_post(body)
    assert exchange(service.port, request).status == 200


def _chunked_post(body: bytes) -> bytes:
    sound = post(b"", "Transfer-Encoding: chunked").replace(b"Content-Length: 0\r\n", b"")
    return sound + chunked(body)
