"""/openapi.json: what is in it for each kind of model. That it is true is shown by schemathesis."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tests.in_process import RIDE, by_columns, by_tensor, in_process, loaded_for
from tests.stub_models import RUN_ID, loaded

from slipway.models.obtain import Loaded
from slipway.settings import ServeSettings, read_settings
from slipway.web.openapi import reading_page
from slipway.web.routes import documents, formats
from slipway.web.warmup import warm_up

MODEL = "/v2/models/slipway"
KINDS = {
    "rides": loaded(),
    "columns": loaded_for(by_columns()),
    "a tensor": loaded_for(by_tensor("float32", 2, 3)),
}


def document_of(model: Loaded, **given: Any) -> Any:
    settings = read_settings(ServeSettings, **given)
    shown = documents(model, warm_up(model.scorer), settings)["/openapi.json"]
    assert shown
    return json.loads(shown.body)


@pytest.mark.parametrize("kind", KINDS)
def test_every_path_that_predicts_or_shows_is_in_it(kind: str) -> None:
    settings = read_settings(ServeSettings)
    model = KINDS[kind]
    document = document_of(model)
    assert document["openapi"].startswith("3.1")
    assert set(formats(model, settings)) == {
        path for path, methods in document["paths"].items() if "post" in methods
    }
    assert set(documents(model, None, settings)) <= set(document["paths"])


@pytest.mark.parametrize("kind", KINDS)
def test_its_examples_are_answered_and_fit_its_own_schemas(kind: str) -> None:
    model = KINDS[kind]
    client, _ = in_process(model)
    document = document_of(model)
    seen = 0
    for path, methods in document["paths"].items():
        for media, body in (
            methods.get("post", {}).get("requestBody", {}).get("content", {}).items()
        ):
            schema = {**body["schema"], "components": document["components"]}
            for example in body.get("examples", {}).values():
                Draft202012Validator(schema).validate(example["value"])
                answer = client.post(path, json=example["value"])
                assert answer.status_code == 200, answer.text
                seen += 1
            if "example" in body:
                answer = client.post(path, data=body["example"], content_type=media)
                assert answer.status_code == 200, answer.text
                seen += 1
    assert seen >= 4


def test_F17_a_row_is_as_the_model_takes_it() -> None:
    document = document_of(loaded(), max_rows=7)
    ride = document["components"]["schemas"]["Ride"]
    assert ride["required"] == list(RIDE)
    assert ride["additionalProperties"] is False
    assert ride["properties"]["trip_distance"] == {
        "type": "number",
        "minimum": 0,
        "maximum": 10_000,
    }
    assert "at most 7 rows" in document["info"]["description"].lower()
    assert RUN_ID in document["info"]["description"]


def test_the_page_fetches_nothing_from_elsewhere() -> None:
    page = reading_page()
    assert b"http" not in page.body.replace(b"http-equiv", b"")
    assert b"innerHTML" not in page.body
    policy = dict(page.headers)["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
