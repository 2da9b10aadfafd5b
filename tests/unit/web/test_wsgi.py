"""The entry of the service: what a start does, and how one that fails says why."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.in_process import RIDE, loaded_for
from tests.service_process import HOST, free_port, get
from tests.stub_models import RUN_ID, loaded
from tests.unit.web.conftest import Lines
from werkzeug.test import Client

from slipway.errors import DigestMismatch, InvalidConfig, ModelFailed, SlipwayError
from slipway.models.obtain import Loaded
from slipway.settings import ServeSettings
from slipway.usecases.rides import Rides
from slipway.web.wsgi import application


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, log_lines: Lines) -> None:
    monkeypatch.setenv("SLIPWAY_ADMIN_PORT", "-1")
    monkeypatch.setenv("SLIPWAY_HOST", HOST)


def obtaining(found: Loaded | SlipwayError | None) -> Callable[[ServeSettings], Loaded | None]:
    def obtain(_settings: ServeSettings) -> Loaded | None:
        if isinstance(found, SlipwayError):
            raise found
        return found

    return obtain


def test_it_serves_what_was_obtained_and_says_so(log_lines: Lines) -> None:
    client = Client(application(obtaining(loaded())))
    (line,) = log_lines()
    assert line["event"] == "serving"
    assert (line["run_id"], line["idle"], line["url"]) == (RUN_ID, False, f"http://{HOST}:9696")
    answer = client.post("/predict", data=json.dumps(RIDE), content_type="application/json")
    assert json.loads(answer.data)["duration"] == 80.0


def test_B9_what_is_shown_as_an_example_is_what_was_predicted_before_it_was_ready() -> None:
    model = json.loads(Client(application(obtaining(loaded()))).get("/model").data)
    assert model["example"] == {"PULocationID": 1, "DOLocationID": 1, "trip_distance": 1.0}


def test_without_a_model_it_is_idle(log_lines: Lines) -> None:
    client = Client(application(obtaining(None)))
    assert log_lines()[0]["idle"] is True
    assert json.loads(client.get("/readyz").data) == {"ready": True, "idle": True}


def test_who_drains_says_so_and_serves_on() -> None:
    service = application(obtaining(loaded()))
    service.drain()
    assert Client(service).get("/readyz").status_code == 503
    assert Client(service).get("/model").status_code == 200


def test_the_admin_port_is_served_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("SLIPWAY_ADMIN_PORT", str(port))
    service = application(obtaining(None))
    assert get(f"http://{HOST}:{port}/readyz")[0] == 200
    service.drain()
    assert get(f"http://{HOST}:{port}/readyz")[0] == 503


def cannot_predict() -> Loaded:
    def predict(_features: Any) -> Any:
        raise RuntimeError("a secret")

    return loaded_for(Rides(), predict)


@pytest.mark.parametrize(
    ("environment", "found", "kind", "said"),
    [
        ({"SLIPWAY_PORT": "x", "SLIPWAY_THREADS": "0"}, None, InvalidConfig, "SLIPWAY_THREADS"),
        ({"MODEL_RUN_ID": "../x"}, None, InvalidConfig, "MODEL_RUN_ID"),
        ({}, DigestMismatch("not these bytes"), DigestMismatch, "not these bytes"),
        ({}, cannot_predict(), ModelFailed, "the model cannot predict a row of its own schema"),
    ],
)
def test_B1_a_start_that_fails_raises_after_it_has_told_why(
    environment: dict[str, str],
    found: Any,
    kind: type[SlipwayError],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    log_lines: Lines,
) -> None:
    """FAULTS finding 7: an exception, never an exit; the reason is where Kubernetes looks."""
    termination = tmp_path / "termination-log"
    monkeypatch.setenv("SLIPWAY_TERMINATION_LOG", str(termination))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(kind, match=said):
        application(obtaining(found))
    (line,) = log_lines()
    assert (line["level"], line["reason"]) == ("error", kind.reason)
    assert said in line["detail"]
    assert termination.read_text().startswith(f"{kind.reason}: ")
    assert "secret" not in termination.read_text()


def test_an_admin_port_that_is_taken_is_told_like_any_bad_setting(
    monkeypatch: pytest.MonkeyPatch, log_lines: Lines
) -> None:
    with socket.create_server((HOST, 0)) as taken:
        monkeypatch.setenv("SLIPWAY_ADMIN_PORT", str(taken.getsockname()[1]))
        with pytest.raises(InvalidConfig, match="SLIPWAY_ADMIN_PORT"):
            application(obtaining(None))
    assert log_lines()[0]["event"] == "the service cannot start"


@pytest.mark.parametrize(
    ("host", "shown"),
    [("", "127.0.0.1"), ("::", "127.0.0.1"), ("::1", "[::1]"), ("10.1.2.3", "10.1.2.3")],
)
def test_the_address_that_it_tells_can_be_opened(
    host: str, shown: str, monkeypatch: pytest.MonkeyPatch, log_lines: Lines
) -> None:
    monkeypatch.setenv("SLIPWAY_HOST", host)
    application(obtaining(None))
    assert log_lines()[0]["url"] == f"http://{shown}:9696"
