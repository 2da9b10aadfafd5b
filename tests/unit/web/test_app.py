"""The Flask application: its routes, its refusals, and that no valid JSON is ever a 5xx."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.in_process import RIDE, by_columns, by_tensor, in_process, loaded_for, series
from tests.stub_models import loaded
from tests.unit.web.conftest import Lines

from slipway.models.obtain import Loaded
from slipway.usecases.rides import MAX_DISTANCE


@pytest.fixture
def client(log_lines: Lines) -> FlaskClient:
    return in_process(loaded())[0]


def test_R7_the_course_request_gets_a_duration(client: FlaskClient) -> None:
    answer = client.post("/predict", json=RIDE)
    assert (answer.status_code, answer.get_json()["duration"]) == (200, 80.0)
    assert answer.content_type == "application/json"


def test_the_model_is_described_to_get_and_head(client: FlaskClient) -> None:
    shown, head = client.get("/model"), client.head("/model")
    assert shown.get_json()["example"] == RIDE
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == str(len(shown.data))


def test_the_probes_and_the_metrics_are_on_the_api_port_too(client: FlaskClient) -> None:
    assert (client.get("/livez").json, client.get("/readyz").json) == (
        {"live": True},
        {"ready": True},
    )
    metrics = client.get("/metrics")
    assert metrics.content_type.startswith("text/plain; version=")
    assert b"slipway_release_info" in metrics.data


def test_who_drains_is_not_ready_and_says_when_to_ask_again() -> None:
    client, service = in_process(loaded())
    service.health.drain()
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert client.post("/predict", json=RIDE).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "allowed"),
    [
        ("GET", "/predict", 405, {"OPTIONS", "POST"}),
        ("PUT", "/predict", 405, {"OPTIONS", "POST"}),
        ("HEAD", "/predict", 405, {"OPTIONS", "POST"}),
        ("TRACE", "/predict", 405, {"OPTIONS", "POST"}),
        ("POST", "/model", 405, {"GET", "HEAD", "OPTIONS"}),
        ("DELETE", "/invocations", 405, {"OPTIONS", "POST"}),
        ("OPTIONS", "/predict", 200, {"OPTIONS", "POST"}),
        ("OPTIONS", "/model", 200, {"GET", "HEAD", "OPTIONS"}),
        ("OPTIONS", "/odd", 404, set()),
        ("POST", "/predict/", 404, set()),
        ("POST", "/Predict", 404, set()),
        ("GET", "/", 404, set()),
        ("GET", "/sample", 404, set()),
        ("GET", "/../etc/passwd", 404, set()),
        ("GET", "/\xe2\x80\xae\n", 404, set()),
    ],
)
def test_A8_A16_what_is_not_served_is_refused_in_the_one_shape_and_logged(
    method: str, path: str, status: int, allowed: set[str], client: FlaskClient, log_lines: Lines
) -> None:
    """No redirect either: a client would repeat its request as a GET without the body."""
    answer = client.open("/", method=method, environ_overrides={"PATH_INFO": path})
    assert answer.status_code == status
    assert set(answer.allow) == allowed
    (line,) = log_lines()
    assert (line["status"], line["method"], line["request_id"]) == (
        status,
        method,
        answer.headers["X-Request-Id"],
    )
    if status >= 400 and method != "HEAD":
        assert answer.content_type == "application/problem+json"
        assert answer.get_json()["status"] == status
        assert path == "/" or path[1:] not in answer.text


def test_A7_a_body_over_the_limit_is_413_and_is_counted() -> None:
    client, service = in_process(loaded(), max_body_bytes=1024)
    answer = client.post("/predict", data=b" " * 1025, content_type="application/json")
    assert (answer.status_code, answer.headers["Connection"]) == (413, "close")
    labels = 'code="413",release="5e5e5e5e5e5e",slot="local",source="live"'
    assert series(service)[f"slipway_requests_total{{{labels}}}"] == 1.0


def test_the_limit_of_rows_is_a_setting() -> None:
    client, _ = in_process(loaded(), max_rows=2)
    statuses = [
        client.post("/predict", json={"instances": [RIDE] * rows}).status_code for rows in (2, 3)
    ]
    assert statuses == [200, 422]


def test_A14_paths_methods_and_headers_make_no_series() -> None:
    client, service = in_process(loaded())
    client.post("/predict", json=RIDE)
    client.post("/predict", json={})
    before = set(series(service))
    for number in range(20):
        odd = {"X-Slipway-Source": f"s{number}", "X-Slipway-Key": f"k{number}"}
        client.get(f"/odd/{number}", headers=odd)
        client.open("/predict", method=f"ODD{number}", headers=odd)
        client.post("/predict", json=RIDE, headers=odd)
        client.post("/predict", json={f"field{number}": 1}, headers=odd)
    assert set(series(service)) == before


def test_an_application_knows_only_its_own_model() -> None:
    """HABITS 8: nothing is kept at import, so two of them do not mix."""
    (first, _), (second, idle) = in_process(loaded(run_id="1" * 32)), in_process(None)
    assert first.post("/predict", json=RIDE).get_json()["model_version"] == "1" * 32
    assert second.post("/predict", json=RIDE).status_code == 503
    assert not [name for name in series(idle) if name.startswith("slipway_release_info")]


numbers = (
    st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([2**31, 2**63 - 1, -(2**63), 2**63, 2**64, 3.5e38, 10**400])
)
times = st.datetimes().map(lambda time: f"{time.isoformat()}Z") | st.sampled_from(
    ["1678-01-01T00:00:00+23:59", "2261-12-31T23:59:59.999999-23:59", "0001-01-01T00:00:00Z"]
)
scalars = st.none() | st.booleans() | numbers | st.text() | times
anything = scalars | st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
zones = st.integers(0, 300) | st.integers(0, 300).map(float) | st.text(min_size=1, max_size=64)
rides = st.fixed_dictionaries(
    {"PULocationID": zones, "DOLocationID": zones, "trip_distance": st.floats(0, MAX_DISTANCE)}
)
column_rows = st.fixed_dictionaries(
    {
        "truth": st.booleans(),
        "small": st.integers(-(2**31), 2**31 - 1),
        "large": st.integers(-(2**63), 2**63 - 1),
        "single": st.floats(width=32, allow_nan=False, allow_infinity=False),
        "double": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70),
        "text": st.text(),
        "time": times,
    },
    optional={"some large": st.none() | st.integers(-9, 9), "some.text[0]": st.none() | st.text()},
)


def pairs(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(values, min_size=2, max_size=2)


# A model, and the rows that fit it.
KINDS: dict[str, tuple[Loaded, st.SearchStrategy[Any]]] = {
    "rides": (loaded(), rides),
    "columns": (loaded_for(by_columns()), column_rows),
    "tensor": (
        loaded_for(by_tensor("float64", 2, 2)),
        pairs(pairs(st.floats(allow_nan=False, allow_infinity=False))),
    ),
    "whole numbers": (loaded_for(by_tensor("uint64", 2)), pairs(st.integers(0, 2**63 - 1))),
    "narrow numbers": (
        loaded_for(by_tensor("float32", 2)),
        pairs(st.floats(width=32, allow_nan=False, allow_infinity=False)),
    ),
    "truths": (loaded_for(by_tensor("bool", 2)), pairs(st.booleans())),
}


@functools.cache
def client_of(kind: str) -> FlaskClient:
    return in_process(KINDS[kind][0])[0]


@st.composite
def bodies(draw: st.DrawFn, kind: str) -> Any:
    """Anything at all, or rows that fit in one of the forms, half of them with one thing wrong."""
    if draw(st.integers(0, 9)) == 0:
        return draw(anything)
    rows = draw(st.lists(KINDS[kind][1], min_size=1, max_size=3))
    columns = list(rows[0])
    if draw(st.booleans()):
        flawed = draw(st.sampled_from(rows))
        place = draw(st.sampled_from(range(len(flawed)) if isinstance(flawed, list) else columns))
        flawed[place] = draw(anything)
    if not isinstance(rows[0], dict):
        return {draw(st.sampled_from(["instances", "inputs"])): rows}
    data = [[row.get(name) for name in columns] for row in rows]
    by_name = {name: [row.get(name) for row in rows] for name in columns}
    forms = [rows[0], {"instances": rows}, {"dataframe_records": rows}, {"inputs": by_name}]
    split = {"dataframe_split": {"columns": columns, "data": data}}
    return draw(st.sampled_from([*forms, split]))


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_A8_no_valid_json_gives_a_5xx_and_every_answer_is_json(
    kind: str, data: st.DataObject
) -> None:
    """Whatever a client sends, the error gate of a rollout must not blame the model for it."""
    body = json.dumps(data.draw(bodies(kind)))
    for path in ("/predict", "/invocations"):
        answer = client_of(kind).post(path, data=body, content_type="application/json")
        assert answer.status_code in (200, 400, 422), answer.text
        told = json.loads(answer.text, parse_constant=pytest.fail)
        if answer.status_code != 200:
            assert told["status"] == answer.status_code
            assert told["pointer"] == "" or told["pointer"].startswith("/")
            assert len(answer.data) < 4_096
