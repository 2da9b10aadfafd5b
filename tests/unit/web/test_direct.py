"""The callable in front of Flask: the same answers as Flask's view, byte for byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.in_process import EXAMPLE, RIDE, series
from tests.stub_models import loaded
from tests.unit.web.conftest import Lines
from tests.unit.web.test_open_inference import RIDES, changed
from werkzeug.test import Client, TestResponse

from slipway.settings import ServeSettings, read_settings
from slipway.web.app import create_app, service_of
from slipway.web.direct import Direct

INFER = "/v2/models/slipway/infer"
CSV = "PULocationID,DOLocationID,trip_distance\n"
JSON = "application/json"
ROWS: list[tuple[str, str | None, Any]] = [
    ("/predict", JSON, RIDE),
    ("/predict", JSON, {}),
    ("/predict", JSON, b"{"),
    ("/predict", "text/plain", b""),
    ("/predict", None, RIDE),
    ("/predict", JSON, b" " * 2_000_000),
    ("/invocations", JSON, {"instances": [RIDE]}),
    ("/invocations", JSON, {"instances": [RIDE | {"trip_distance": -1}]}),
    ("/invocations", "text/csv", f"{CSV}1,2,3\n".encode()),
    ("/invocations", "text/csv", f"{CSV}1,2,3\n1,2,x\n".encode()),
    ("/invocations", "text/csv; header=absent", b"1,2,3\n"),
    ("/invocations", "text/csv; charset=latin-1", b"1,2,3\n"),
    (INFER, JSON, {"inputs": RIDES}),
    (INFER, None, {"inputs": RIDES, "parameters": {"binary_data_output": True}}),
    (INFER, JSON, {"inputs": RIDES[:1]}),
    (INFER, JSON, {"inputs": changed(2, data=[1, "x"])}),
    (INFER, JSON, b"nothing"),
    ("/v2/models/other/infer", JSON, {"inputs": RIDES}),
    ("/nowhere", JSON, {}),
]


@pytest.fixture
def faces(log_lines: Lines) -> tuple[Client, Client, Any]:
    settings = read_settings(ServeSettings)
    app = create_app(settings, loaded(), example=EXAMPLE)
    service = service_of(app)
    return Client(Direct(service.answers, settings, app.wsgi_app)), app.test_client(), service


def told(answer: TestResponse) -> tuple[int, bytes, list[tuple[str, str]]]:
    return answer.status_code, answer.data, sorted(answer.headers)


@pytest.mark.parametrize(
    ("path", "media", "body"), ROWS, ids=[f"{n}{row[0]}" for n, row in enumerate(ROWS)]
)
def test_A8_both_faces_give_one_answer(
    path: str, media: str | None, body: Any, faces: tuple[Client, Client, Any]
) -> None:
    before, flask, _ = faces
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"X-Request-Id": "one"}
    answers = [
        face.post(path, data=data, content_type=media, headers=headers) for face in (before, flask)
    ]
    assert told(answers[0]) == told(answers[1])


def test_A14_all_else_is_left_to_flask(faces: tuple[Client, Client, Any]) -> None:
    before, _, service = faces
    assert before.get("/predict").status_code == 405
    assert before.get("/model").status_code == 200
    assert before.get("/livez").json == {"live": True}
    before.post("/predict", json=RIDE, headers={"X-Slipway-Source": "shadow"})
    labels = 'code="200",release="5e5e5e5e5e5e",slot="local",source="shadow"'
    assert series(service)[f"slipway_requests_total{{{labels}}}"] == 1.0
