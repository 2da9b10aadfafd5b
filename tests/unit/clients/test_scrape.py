"""GETs of admin ports end in time, whatever is on the other side."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from tests.fault_proxy import FaultProxy
from tests.service_process import free_port

from slipway.clients.scrape import Scraper
from slipway.errors import Unavailable
from slipway.status_server import StatusServer, document


@pytest.fixture
def server() -> Iterator[StatusServer]:
    server = StatusServer(
        "127.0.0.1",
        0,
        {
            "/status": lambda _query: document(200, {"ready": True}),
            "/long": lambda _query: document(200, "x" * 5000),
            "/no": lambda _query: document(503, {}),
        },
        "PORT",
    )
    server.start()
    yield server
    server.close()


@pytest.fixture
def scraper() -> Iterator[Scraper]:
    scraper = Scraper(timeout=1.0)
    yield scraper
    scraper.close()


def test_the_body_of_an_answer(server: StatusServer, scraper: Scraper) -> None:
    address = f"127.0.0.1:{server.port}"
    assert scraper.get(address, "/status") == b'{"ready":true}'
    assert scraper.get(address, "/status") == b'{"ready":true}'


@pytest.mark.parametrize("path", ["/no", "/missing"])
def test_an_answer_that_is_no_success_is_unavailable(
    server: StatusServer, scraper: Scraper, path: str
) -> None:
    with pytest.raises(Unavailable, match="answers"):
        scraper.get(f"127.0.0.1:{server.port}", path)


@pytest.mark.parametrize("mode", ["refuse", "silent", "reset", "cut"])
def test_a_broken_server_is_unavailable(server: StatusServer, scraper: Scraper, mode: str) -> None:
    with (
        FaultProxy(f"http://127.0.0.1:{server.port}", mode) as proxy,
        pytest.raises(Unavailable),
    ):
        scraper.get(proxy.url.removeprefix("http://"), "/long")


def test_an_answer_that_drips_ends_in_time(scraper: Scraper) -> None:
    """No single receive is slow here, only their sum."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while not stop.wait(0.1):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

    thread = threading.Thread(target=drip)
    thread.start()
    began = time.monotonic()
    with pytest.raises(Unavailable):
        scraper.get(f"127.0.0.1:{listener.getsockname()[1]}", "/status")
    assert time.monotonic() - began < 10
    stop.set()
    thread.join()
    listener.close()


def test_those_that_answer_are_had_and_the_others_left_out(
    server: StatusServer, scraper: Scraper
) -> None:
    good, bad = f"127.0.0.1:{server.port}", f"127.0.0.1:{free_port()}"
    assert scraper.get_all([good, bad, good], "/status") == {good: b'{"ready":true}'}
    assert scraper.get_all([], "/status") == {}


def test_several_paths_of_one_address_are_asked_at_once(
    server: StatusServer, scraper: Scraper
) -> None:
    place = f"127.0.0.1:{server.port}"
    found = scraper.get_each([(place, "/status"), (place, "/long"), (place, "/no")])
    assert found.keys() == {(place, "/status"), (place, "/long")}
    assert found[place, "/status"] == b'{"ready":true}'
