"""gunicorn's own talk is of the same kind as the service's."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from gunicorn.config import Config
from tests.unit.web.conftest import Lines

from slipway.web.server_log import ServerLog


@pytest.fixture
def server_log(log_lines: Lines) -> Iterator[ServerLog]:
    config = Config()
    config.set("loglevel", "info")
    yield ServerLog(config)
    for name in ("gunicorn.error", "gunicorn.access"):
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True


def test_a_message_is_one_line_of_json(server_log: ServerLog, log_lines: Lines) -> None:
    server_log.info("Listening at: %s", "x\ny")
    server_log.debug("not asked for")
    (line,) = log_lines()
    assert (line["event"], line["level"], line["logger"]) == (
        "Listening at: x\ny",
        "info",
        "gunicorn.error",
    )


def test_gunicorns_own_errors_are_told_with_their_text(
    server_log: ServerLog, log_lines: Lines
) -> None:
    try:
        raise OSError("the port is in use")
    except OSError:
        server_log.exception("Exception in worker process")
    (line,) = log_lines()
    assert line["level"] == "error"
    assert line["exception"].endswith("OSError: the port is in use")


def test_a_client_that_fell_silent_is_no_error(server_log: ServerLog, log_lines: Lines) -> None:
    try:
        raise BlockingIOError
    except BlockingIOError:
        server_log.exception("Error handling request")
    assert log_lines() == []


def test_A16_there_is_no_second_line_for_a_request(server_log: ServerLog, log_lines: Lines) -> None:
    server_log.access(None, None, {}, None)
    logging.getLogger("gunicorn.access").info("GET /")
    assert log_lines() == []
