"""gunicorn's settings: known to gunicorn, from the environment, each as FAULTS 1.4 reasons it."""

from __future__ import annotations

import queue
import runpy
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import KNOWN_SETTINGS, Config
from gunicorn.errors import HaltServer
from tests.unit.web.conftest import Lines

from slipway.cli.become_gunicorn import APPLICATION, CONFIG
from slipway.errors import InvalidConfig
from slipway.web.server_log import ServerLog
from slipway.web.worker import Worker


def configured(monkeypatch: pytest.MonkeyPatch, **environment: str) -> dict[str, Any]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return runpy.run_module("slipway.web.gunicorn_conf")


def given(found: dict[str, Any]) -> dict[str, Any]:
    """What of a module's names is a setting, as gunicorn itself picks it out."""
    return {name: found[name] for name in Config().settings if name in found}


@pytest.fixture(autouse=True)
def _log_is_put_back(log_lines: Lines) -> None:
    """The module sets up logging for the process that it is the entry of."""


def test_gunicorn_takes_every_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that gunicorn does not know would be ignored in silence."""
    found = configured(monkeypatch)
    known = {setting.name for setting in KNOWN_SETTINGS}
    public = {
        name
        for name, value in found.items()
        if not name.startswith("_")
        and getattr(value, "__module__", None) in (None, found["__name__"])
    }
    modules = {"os", "signal", "sys", "logs", "annotations", "Any"}
    assert public - modules - known == set()
    config = Config()
    for name, value in given(found).items():
        config.set(name, value)
    assert config.worker_class is Worker
    assert config.logger_class is ServerLog


def test_the_reasons_of_1_4_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    found = given(configured(monkeypatch))
    assert (found["workers"], found["preload_app"], found["max_requests"]) == (1, False, 0)
    assert 4 <= found["threads"] <= 8
    # The side that reuses a connection gives up first: the router, after 60 s.
    assert found["keepalive"] > 60
    assert found["timeout"] > 0
    assert found["control_socket_disable"] is True
    assert found["accesslog"] is None
    assert found["forwarded_allow_ips"] == ""


def test_the_environment_decides_where_and_how_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    found = configured(
        monkeypatch,
        SLIPWAY_HOST="::1",
        SLIPWAY_PORT="1234",
        SLIPWAY_THREADS="8",
        SLIPWAY_WORKERS="2",
        SLIPWAY_GRACEFUL_TIMEOUT="7",
        SLIPWAY_LOG_LEVEL="warning",
    )
    assert found["bind"] == "[::1]:1234"
    assert (found["threads"], found["workers"], found["graceful_timeout"]) == (8, 2, 7)
    assert found["loglevel"] == "warning"


def test_a_bad_setting_is_an_exception_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(InvalidConfig, match="SLIPWAY_THREADS"):
        configured(monkeypatch, SLIPWAY_THREADS="none")


@pytest.mark.parametrize(
    ("sent", "queued"),
    [
        (signal.SIGTERM, signal.SIGTERM),
        (signal.SIGINT, signal.SIGTERM),
        (signal.SIGHUP, signal.SIGTERM),
        (signal.SIGCHLD, signal.SIGCHLD),
        (signal.SIGUSR1, signal.SIGUSR1),
    ],
)
def test_A15_every_signal_that_means_stop_drains(
    sent: int, queued: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = SimpleNamespace(SIG_QUEUE=queue.SimpleQueue())
    configured(monkeypatch)["on_starting"](server)
    server.signal(sent, None)
    assert server.SIG_QUEUE.get_nowait() == queued


def test_a_start_that_fails_ends_with_1_and_a_stop_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_exit = configured(monkeypatch)["on_exit"]
    on_exit(None)
    try:
        raise HaltServer("App failed to load.", 4)
    except HaltServer:
        with pytest.raises(SystemExit) as ended:
            on_exit(None)
    assert ended.value.code == 1


def test_R50_the_gauges_of_a_worker_that_ended_are_forgotten(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = ["gauge_livesum_7.db", "gauge_livesum_8.db", "counter_7.db"]
    for name in names:
        (tmp_path / name).touch()
    found = configured(monkeypatch)
    found["child_exit"](None, SimpleNamespace(pid=7))
    assert len(list(tmp_path.iterdir())) == 3
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    found["child_exit"](None, SimpleNamespace(pid=7))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["counter_7.db", names[1]]


def test_it_is_what_slipway_serve_starts_gunicorn_with() -> None:
    assert CONFIG == "python:slipway.web.gunicorn_conf"
    assert APPLICATION == "slipway.web.wsgi:application()"
