"""The server of an admin port."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.raw_http import HOST, exchange, post
from tests.service_process import get

from slipway.errors import InvalidConfig
from slipway.status_server import StatusServer, document


@pytest.fixture
def server() -> Iterator[StatusServer]:
    answers = {"/status": lambda _query: document(200, {"ready": True})}
    started = StatusServer(HOST, 0, answers, "PORT")
    started.start()
    yield started
    started.close()


def test_a_path_of_the_table_is_answered_with_or_without_a_query(server: StatusServer) -> None:
    for target in ("/status", "/status?a=1"):
        assert get(f"http://{HOST}:{server.port}{target}") == (200, b'{"ready":true}')


def test_everything_else_is_refused_with_what_there_is(server: StatusServer) -> None:
    answer = exchange(server.port, b"GET /secret HTTP/1.0\r\n\r\n")
    assert answer.status == 404
    assert answer.json()["detail"] == "GET is answered at /status"
    assert b"secret" not in answer.body
    assert exchange(server.port, post(b"{}", path="/status")).status == 405


def test_a_port_that_is_taken_names_the_setting(server: StatusServer) -> None:
    with pytest.raises(InvalidConfig, match="PORT: cannot listen"):
        StatusServer(HOST, server.port, {}, "PORT")
