"""The admin port: it answers whatever the workers do, and no client can hold it up."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from tests.in_process import RIDE, in_process
from tests.raw_http import CLOSED, HOST, RawAnswer, exchange
from tests.service_process import get
from tests.stub_models import DIGEST, loaded
from tests.unit.web.conftest import Lines
from tests.waiting import until

from slipway import status_server
from slipway.errors import InvalidConfig
from slipway.status_server import MAX_CONNECTIONS, MAX_HEAD
from slipway.web.admin import AdminServer
from slipway.web.service import Service


class Admin:
    """A running admin server and the service that it tells of."""

    def __init__(self) -> None:
        self.client, self.service = in_process(loaded())
        self.server = AdminServer(self.service, HOST, 0)
        self.server.start()

    def ask(self, request: bytes) -> RawAnswer:
        return exchange(self.server.port, request, seconds=5)

    def get(self, path: str) -> RawAnswer:
        return self.ask(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


@pytest.fixture(scope="module")
def running() -> Iterator[Admin]:
    served = Admin()
    yield served
    served.server.close()


def test_it_tells_health_metrics_and_the_sample(running: Admin) -> None:
    before = running.get("/sample").json()["next"]
    running.client.post("/predict", json=RIDE)
    assert (running.get("/livez").status, running.get("/readyz").json()) == (200, {"ready": True})
    assert b"slipway_prediction_sum" in running.get("/metrics").body
    page = running.get(f"/sample?after={before}").json()
    assert (page["digest"], page["lost"], page["rows"][0][3]) == (DIGEST, 0, 80.0)
    assert running.get(f"/sample?after={page['next']}&x=1").json()["rows"] == []


def test_who_drains_is_told_here_too() -> None:
    draining = Admin()
    draining.service.health.drain()
    answer = draining.get("/readyz")
    draining.server.close()
    assert (answer.status, answer.json()["draining"]) == (503, True)


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET / HTTP/1.1", 404),
        ("GET /predict HTTP/1.1", 404),
        ("GET /livez/ HTTP/1.1", 404),
        ("GET http://[ HTTP/1.1", 404),
        ("GET /sample?after=nonsense HTTP/1.1", 400),
        ("POST /livez HTTP/1.1", 405),
        ("POST /predict HTTP/1.1", 405),
        ("DELETE /metrics HTTP/1.1", 405),
        ("GET /livez HTTP/3.0", 505),
    ],
)
def test_all_else_is_refused_in_the_one_shape_of_errors(
    request_line: str, status: int, running: Admin
) -> None:
    answer = running.ask(f"{request_line}\r\nHost: x\r\n\r\n".encode())
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.headers["server"] == "slipway"
    assert answer.headers.get("allow") == ("GET" if status == 405 else None)


def test_what_is_no_http_costs_nothing_and_the_next_one_is_answered(running: Admin) -> None:
    for odd in (b"\x16\x03\x01\r\n\r\n", b"\r\n\r\n", b"GET\r\n\r\n", b"x" * (MAX_HEAD + 1)):
        with socket.create_connection((HOST, running.server.port), timeout=5) as connection:
            connection.sendall(odd)
            try:
                while connection.recv(65536):
                    pass
            except ConnectionResetError:
                continue
    assert running.get("/livez").status == 200


def test_a_slow_head_is_given_up_at_the_deadline(
    running: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline is for the whole head: a byte now and then does not put it off."""
    monkeypatch.setattr(status_server, "DEADLINE", 0.3)
    with socket.create_connection((HOST, running.server.port), timeout=5) as slow:
        slow.sendall(b"GET /livez HTTP/1.1\r\n")
        assert slow.recv(1) == b""


def test_beyond_its_places_it_hangs_up_and_serves_again_when_one_is_free(running: Admin) -> None:
    silent = [
        socket.create_connection((HOST, running.server.port), timeout=5)
        for _ in range(MAX_CONNECTIONS)
    ]
    try:
        assert running.get("/livez") == CLOSED
    finally:
        for connection in silent:
            connection.close()
    until(lambda: running.get("/livez").status == 200, 5, "a place to be given back")


def test_what_fails_here_is_logged_and_the_next_one_is_answered(
    log_lines: Lines, running: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_query: str) -> Any:
        raise RuntimeError("out of files")

    monkeypatch.setitem(running.server.answers, "/metrics", broken)
    assert running.get("/metrics").status == 500
    (line,) = log_lines()
    assert (line["level"], line["path"]) == ("error", "/metrics")
    assert line["exception"].endswith("RuntimeError")
    assert running.get("/livez").status == 200


def test_a_port_that_is_taken_is_a_setting_that_is_wrong(running: Admin) -> None:
    with pytest.raises(InvalidConfig, match="SLIPWAY_ADMIN_PORT: cannot listen on port"):
        AdminServer(running.service, HOST, running.server.port)


def test_workers_may_share_a_port(running: Admin) -> None:
    service: Service = running.service
    first = AdminServer(service, HOST, 0, share_port=True)
    second = AdminServer(service, HOST, first.port, share_port=True)
    assert first.port == second.port
    for server in (first, second):
        server.close()


def test_it_listens_on_ipv6_where_the_host_is_such_an_address(running: Admin) -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    server = AdminServer(running.service, "::1", 0)
    server.start()
    status, body = get(f"http://[::1]:{server.port}/livez")
    server.close()
    assert (status, json.loads(body)) == (200, {"live": True})
