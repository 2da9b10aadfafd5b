"""The open inference protocol: the same rows as on /predict, its own documents and errors."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.in_process import COLUMNS, by_columns, by_tensor, in_process, loaded_for, series
from tests.stub_models import CURSED, RUN_ID, loaded

from slipway.errors import InvalidInput
from slipway.usecases.rides import Rides
from slipway.web.decode import predict_decoder
from slipway.web.open_inference import infer_format
from slipway.web.tensors import datatype_of_word, to_bytes

MODEL = "/v2/models/slipway"
ZONES = {"datatype": "INT64", "shape": [2]}
RIDES: list[dict[str, Any]] = [
    {"name": "PULocationID", "data": [10, 43], **ZONES},
    {"name": "DOLocationID", "data": [50, 151], **ZONES},
    {"name": "trip_distance", "data": [4.0, 2.5], "datatype": "FP64", "shape": [2]},
]


@pytest.fixture
def client() -> FlaskClient:
    return in_process(loaded())[0]


def changed(place: int, **members: Any) -> list[dict[str, Any]]:
    """The rides with members of one tensor changed; Ellipsis takes one away."""
    tensors = [dict(tensor) for tensor in RIDES]
    tensors[place] |= members
    tensors[place] = {name: value for name, value in tensors[place].items() if value is not ...}
    return tensors


@pytest.mark.parametrize("version", ["", f"/versions/{RUN_ID}"])
def test_F15_tensors_get_a_tensor(version: str, client: FlaskClient) -> None:
    body = {"id": "mine", "parameters": {"priority": 1}, "inputs": RIDES}
    answer = client.post(f"{MODEL}{version}/infer", json=body)
    assert answer.json == {
        "id": "mine",
        "model_name": "slipway",
        "model_version": RUN_ID,
        "outputs": [{"name": "duration", "datatype": "FP64", "shape": [2], "data": [8.0, 5.0]}],
    }
    assert answer.headers["X-Slipway-Run-Id"] == RUN_ID


@pytest.mark.parametrize(
    "tensors",
    [
        changed(0, datatype="BYTES", data=["10", "43"]),
        changed(0, datatype="FP64", data=[10, 43.0]),
        changed(0, datatype="UINT8"),
        changed(0, shape=[2, 1]),
        changed(0, shape=[2, 1], data=[[10], [43]]),
        RIDES[::-1],
    ],
)
def test_F15_a_zone_is_the_same_zone_in_any_datatype(tensors: Any, client: FlaskClient) -> None:
    answer = client.post(f"{MODEL}/infer", json={"inputs": tensors})
    assert answer.get_json()["outputs"][0]["data"] == [8.0, 5.0]


def test_F15_bytes_behind_the_json_are_read_and_written(client: FlaskClient) -> None:
    raw = [to_bytes(tensor["data"], tensor["datatype"]) for tensor in RIDES]
    tensors = [
        {**tensor, "parameters": {"binary_data_size": len(part)}}
        for tensor, part in zip(RIDES, raw, strict=True)
    ]
    for tensor in tensors:
        del tensor["data"]
    document: dict[str, Any] = {"inputs": tensors, "parameters": {"binary_data_output": True}}
    for media in ("application/octet-stream", "application/json", None):
        head = json.dumps(document).encode()
        answer = client.post(
            f"{MODEL}/infer",
            data=head + b"".join(raw),
            headers={"Inference-Header-Content-Length": str(len(head))},
            content_type=media,
        )
        length = int(answer.headers["Inference-Header-Content-Length"])
        output = json.loads(answer.data[:length])["outputs"][0]
        assert output["parameters"] == {"binary_data_size": 16}
        assert np.frombuffer(answer.data[length:]).tolist() == [8.0, 5.0]
        assert answer.content_type == "application/octet-stream"


@pytest.mark.parametrize(
    ("body", "pointer", "said"),
    [
        ([], "", "the body: expected object"),
        ({}, "/inputs", "inputs: is missing"),
        ({"inputs": []}, "/inputs", "inputs: expected array of length >= 1"),
        ({"inputs": RIDES, "x": 1}, "/x", "x: "),
        ({"inputs": RIDES, "id": 1}, "/id", "id: expected str"),
        ({"inputs": RIDES[:2]}, "/inputs", "trip_distance: is missing"),
        ({"inputs": [*RIDES, RIDES[0]]}, "/inputs", "inputs: a tensor is named twice"),
        ({"inputs": changed(1, name="x")}, "/inputs/1/name", "x: the model's input has no"),
        ({"inputs": changed(1, shape=[3])}, "/inputs/1/shape", "DOLocationID: shape must be [n]"),
        ({"inputs": changed(0, shape=[])}, "/inputs/0/shape", "PULocationID: shape must be [n]"),
        ({"inputs": changed(1, shape=[2, 2])}, "/inputs/1/shape", "DOLocationID: shape must be"),
        ({"inputs": changed(1, shape=[-2])}, "/inputs/1/shape/0", "row 1: expected"),
        ({"inputs": changed(1, shape=...)}, "/inputs/1/shape", "shape: is missing"),
        ({"inputs": changed(1, data=[1])}, "/inputs/1/data", "DOLocationID: data must hold"),
        ({"inputs": changed(2, data=[1, -1])}, "/inputs/2/data/1", "trip_distance: must be from"),
        (
            {"inputs": changed(2, shape=[2, 1], data=[[1], [-1]])},
            "/inputs/2/data/1/0",
            "trip_distance: must be from",
        ),
        (
            {"inputs": [{**tensor, "shape": [10**18]} for tensor in RIDES]},
            "/inputs/0/shape",
            "shape: must hold 1 to 1000 rows",
        ),
        ({"inputs": [{**tensor, "shape": [0]} for tensor in RIDES]}, "/inputs/0/shape", "shape: "),
        (
            {"inputs": changed(0, parameters={"binary_data_size": 8})},
            "/inputs/0/parameters/binary_data_size",
            "PULocationID: there are not so many bytes",
        ),
        (
            {"inputs": changed(0, parameters={"binary_data_size": 0})},
            "/inputs/0/parameters/binary_data_size",
            "PULocationID: has data and binary_data_size",
        ),
        (
            {"inputs": changed(0, parameters={"shared_memory_region": "x"})},
            "/inputs/0/parameters/shared_memory_region",
            "shared_memory_region: is not served here",
        ),
        (
            {"inputs": changed(0, parameters={"content_type": "base64"})},
            "/inputs/0/parameters/content_type",
            "content_type: send texts as they are",
        ),
        ({"inputs": RIDES, "outputs": [{"name": "x"}]}, "/outputs/0/name", "the model has one"),
        (
            {
                "inputs": RIDES,
                "outputs": [{"name": "duration", "parameters": {"binary_data": 1}}],
            },
            "/outputs/0/parameters/binary_data",
            "binary_data: must be true or false",
        ),
    ],
)
def test_A8_F15_what_does_not_fit_is_422_at_its_place(
    body: Any, pointer: str, said: str, client: FlaskClient
) -> None:
    answer = client.post(f"{MODEL}/infer", json=body)
    problem = answer.get_json()
    assert (answer.status_code, problem["pointer"]) == (422, pointer), problem
    assert problem["error"] == problem["detail"]
    assert problem["detail"][: len(said)] == said


@pytest.mark.parametrize(
    ("headers", "media", "body", "status"),
    [
        ({}, "application/json", b"{", 400),
        ({}, "application/octet-stream", b"{}", 400),
        ({"Inference-Header-Content-Length": "x"}, "application/octet-stream", b"{}", 400),
        ({"Inference-Header-Content-Length": "-1"}, "application/octet-stream", b"{}", 400),
        ({"Inference-Header-Content-Length": "3"}, "application/octet-stream", b"{}", 400),
        ({"Content-Encoding": "gzip"}, "application/json", b"{}", 415),
        ({}, "text/plain", b"{}", 415),
        ({}, "application/json", b"[" * 100_000, 422),
    ],
)
def test_A8_F15_what_cannot_be_read_has_the_codes_of_predict(
    headers: dict[str, str], media: str, body: bytes, status: int, client: FlaskClient
) -> None:
    answer = client.post(f"{MODEL}/infer", data=body, headers=headers, content_type=media)
    assert answer.status_code == status
    assert answer.get_json()["error"] == answer.get_json()["detail"]


def test_bytes_that_nothing_names_are_refused(client: FlaskClient) -> None:
    head = json.dumps({"inputs": RIDES}).encode()
    answer = client.post(
        f"{MODEL}/infer", data=head + b"x", headers={"Inference-Header-Content-Length": len(head)}
    )
    assert (answer.status_code, answer.get_json()["pointer"]) == (422, "/inputs")


@pytest.mark.parametrize(
    "path",
    ["/v2/models/other", "/v2/models/other/infer", f"{MODEL}/versions/1/infer", f"{MODEL}/config"],
)
def test_F15_another_model_or_version_is_404_that_names_this_one(
    path: str, client: FlaskClient
) -> None:
    answer = client.post(path, json={"inputs": RIDES})
    assert answer.status_code == 404
    assert MODEL in answer.get_json()["error"]


def test_F15_the_metadata_name_the_tensors(client: FlaskClient) -> None:
    told = client.get(MODEL).get_json()
    assert (told["name"], told["versions"]) == ("slipway", [RUN_ID])
    assert [tensor["name"] for tensor in told["inputs"]] == [field.name for field in Rides().inputs]
    assert told["outputs"] == [{"name": "duration", "datatype": "FP64", "shape": [-1]}]
    assert client.get("/v2").get_json()["extensions"] == ["binary_tensor_data"]


def test_F21_alive_ready_and_model_ready_are_three_things() -> None:
    """An idle slot is as it should be, but there is no model to ask."""
    idle, _ = in_process(None)
    paths = ("/v2/health/live", "/v2/health/ready", f"{MODEL}/ready")
    assert [idle.get(path).status_code for path in paths] == [200, 200, 503]
    assert idle.post(f"{MODEL}/infer", json={}).status_code == 503
    serving, service = in_process(loaded())
    assert [serving.get(path).status_code for path in paths] == [200] * 3
    service.health.drain()
    assert [serving.get(path).status_code for path in paths] == [200, 503, 503]


def test_A9_F67_a_failing_model_is_a_500_that_is_counted_as_on_predict() -> None:
    client, service = in_process(loaded("raises"))
    answer = client.post(f"{MODEL}/infer", json={"inputs": changed(2, data=[1.0, CURSED])})
    assert answer.status_code == 500
    assert answer.get_json()["error"].startswith("row 1: the model raised")
    client.post(f"{MODEL}/infer", json={"inputs": RIDES})
    labels = 'release="5e5e5e5e5e5e",slot="local",source="live"'
    counted = series(service)
    assert counted[f'slipway_requests_total{{code="500",{labels}}}'] == 1.0
    assert counted[f"slipway_prediction_count{{{labels}}}"] == 2.0


@pytest.mark.parametrize("nested", [True, False])
def test_a_model_of_a_tensor_takes_that_one(nested: bool) -> None:
    client, _ = in_process(loaded_for(by_tensor("float64", 2, 3)))
    data: Any = np.arange(12.0).reshape(2, 2, 3)
    tensor = {
        "name": "any",
        "shape": [2, 2, 3],
        "datatype": "FP64",
        "data": (data if nested else data.ravel()).tolist(),
    }
    answer = client.post(f"{MODEL}/infer", json={"inputs": [tensor]})
    assert answer.get_json()["outputs"][0]["data"] == [0.0, 1.0]
    for wrong in ([2, 3, 2], [2, 6], []):
        refused = client.post(f"{MODEL}/infer", json={"inputs": [{**tensor, "shape": wrong}]})
        assert refused.get_json()["pointer"] == "/inputs/0/shape"
    assert client.get(MODEL).get_json()["inputs"][0]["shape"] == [-1, 2, 3]


def test_labels_are_texts_and_several_outputs_a_tensor_of_two_axes() -> None:
    for answer, wanted in (
        (["yes"], {"datatype": "BYTES", "shape": [1], "data": ["yes"]}),
        ([[0.25, 0.75]], {"datatype": "FP64", "shape": [1, 2], "data": [0.25, 0.75]}),
    ):

        def predict(_features: Any, answer: Any = answer) -> Any:
            return answer

        model = loaded_for(by_columns(COLUMNS[:1]), predict)
        client, _ = in_process(model)
        body = {"inputs": [{"name": "truth", "datatype": "BOOL", "shape": [1], "data": [True]}]}
        output = client.post(f"{MODEL}/infer", json=body).get_json()["outputs"][0]
        assert output == {"name": "prediction", **wanted}


columns = by_columns()
read_columns = infer_format(columns, "m", "1", 3)
cells = st.fixed_dictionaries(
    {
        "truth": st.booleans(),
        "small": st.integers(-(2**31), 2**31 - 1),
        "large": st.integers(-(2**63), 2**63 - 1),
        "single": st.floats(allow_nan=False, allow_infinity=False),
        "double": st.floats(allow_nan=False, allow_infinity=False),
        "text": st.text(st.characters(exclude_categories=["Cs"])),
        "time": st.datetimes().map(lambda time: time.isoformat()) | st.just("now"),
        "some large": st.integers(-9, 9),
        "some.text[0]": st.just("x"),
    }
)


@settings(max_examples=200)
@given(st.lists(cells, min_size=1, max_size=3), st.booleans())
def test_tensors_give_the_same_verdict_as_predict(rows: list[dict[str, Any]], binary: bool) -> None:
    tensors: list[dict[str, Any]] = []
    blobs = b""
    for field in COLUMNS:
        # A float's own bytes hold it in double precision only.
        word = "double" if field.type == "float" else field.type
        values = [row[field.name] for row in rows]
        tensor = {"name": field.name, "shape": [len(rows)], "datatype": datatype_of_word(word)}
        if binary:
            raw = to_bytes(values, datatype_of_word(word))
            blobs += raw
            tensors.append(tensor | {"parameters": {"binary_data_size": len(raw)}})
        else:
            tensors.append(tensor | {"data": values})
    head = json.dumps({"inputs": tensors}).encode()

    def outcome(read: Any) -> Any:
        try:
            return list(read())
        except InvalidInput as error:
            return type(error)

    headers = {"Inference-Header-Content-Length": str(len(head))}
    found = outcome(lambda: read_columns(headers, head + blobs)[0].rows)
    body = json.dumps({"instances": rows}).encode()
    assert found == outcome(lambda: predict_decoder(columns.row_type(), 3)(body).rows)
