"""A router that is told to end, and clients that keep their connections."""

from __future__ import annotations

import http.client
import signal
from collections.abc import Iterator

import pytest
from tests.raw_http import HOST, chunked, exchange
from tests.router_process import RouterProcess, routing, table
from tests.stub_pods import stub_pods
from tests.waiting import until

RIDE = b'{"PULocationID": 10, "DOLocationID": 50, "trip_distance": 4}'
JSON = {"Content-Type": "application/json"}
HEAD = b"POST /predict HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"


@pytest.fixture
def router() -> Iterator[RouterProcess]:
    with stub_pods("blue") as pods, routing(table(1), {"blue": pods}) as running:
        yield running


def test_C4_a_leaving_router_ends_connections_with_an_answer_never_before_one(
    router: RouterProcess,
) -> None:
    """C4: a client that keeps its connection is told, so no request of it meets a closed one."""
    client = http.client.HTTPConnection(HOST, router.port, timeout=10)
    assert not last_answer(client)
    router.process.send_signal(signal.SIGTERM)
    until(lambda: last_answer(client), what="an answer that ends the connection")
    # The same holds for those who come only now, as long as anybody is let in.
    assert last_answer(client)
    assert router.process.wait(40) == 0


def test_C4_a_leaving_router_still_says_what_is_wrong(router: RouterProcess) -> None:
    client = http.client.HTTPConnection(HOST, router.port, timeout=10)
    router.process.send_signal(signal.SIGTERM)
    until(lambda: last_answer(client), what="it to leave")
    large = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b" " * (2 << 20))
    answer = exchange(router.port, large)
    assert (answer.status, answer.json()["title"]) == (413, "Content Too Large")


def last_answer(client: http.client.HTTPConnection) -> bool:
    """Whether the answer to a ride, which must be good, is the connection's last."""
    client.request("POST", "/predict", RIDE, JSON)
    answer = client.getresponse()
    assert answer.read()
    assert answer.status == 200
    return answer.getheader("Connection") == "close"
