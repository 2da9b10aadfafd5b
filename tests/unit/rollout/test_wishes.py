"""What people write in the model's and the control document."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.cluster.protocol import Document
from slipway.rollout.snapshot import BadRequest, Request
from slipway.rollout.wishes import (
    REQUEST_KEY,
    REQUESTED_AT,
    read_desired,
    read_request,
    request_data,
)

RUN = "0" * 32


def model(requested: str = "", **data: str) -> Document:
    return Document("model", data, {REQUESTED_AT: requested} if requested else {})


def test_a_run_id_or_a_uri_is_wanted() -> None:
    assert read_desired(model(MODEL_RUN_ID=RUN)).reference == RUN
    assert read_desired(model(MODEL_URI="models:/ride@champion")).reference == (
        "models:/ride@champion"
    )


def test_nothing_named_is_no_problem() -> None:
    for document in (model(), model(MODEL_RUN_ID="", MODEL_URI="  ")):
        found = read_desired(document)
        assert (found.reference, found.problem) == ("", None)


def test_the_mark_changes_when_the_reference_is_written_again_and_only_then() -> None:
    once = read_desired(model(MODEL_RUN_ID=RUN))
    assert read_desired(model(MODEL_RUN_ID=RUN)).mark == once.mark
    assert read_desired(model("10:00", MODEL_RUN_ID=RUN)).mark != once.mark
    assert read_desired(model(MODEL_RUN_ID="1" * 32)).mark != once.mark


@pytest.mark.parametrize(
    "document",
    [
        None,
        model(MODEL_RUN_ID=RUN, MODEL_URI="models:/ride/1"),
        model(MODEL_RUN_ID="../etc"),
        model(MODEL_URI="http://elsewhere/model"),
        model(MODEL_URI="model.pkl"),
        model(MODEL_URI="models:/a b\n/1"),
        model(MODEL_URI="s3://bucket/" + "x" * 10_000),
    ],
)
def test_B1_B18_B19_what_cannot_be_wanted_is_a_problem_with_a_sentence(
    document: Document | None,
) -> None:
    found = read_desired(document)
    assert found.reference == ""
    assert found.problem
    assert found.problem.reason == "InvalidConfig"
    assert len(found.problem.message) < 400


def control(text: str) -> Document:
    return Document("control", {REQUEST_KEY: text})


def test_a_request_survives_its_document() -> None:
    request = Request("7", "promote", "canary", "sha256:1", "ada", "looks good", force=True)
    assert read_request(control(json.dumps(request_data(request)))) == request


def test_no_request_is_none() -> None:
    assert read_request(None) is None
    assert read_request(control(" ")) is None


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"id": "\udc80"}', '{"verb": "abort"}', '{"id": "", "verb": "abort"}',
             '{"id": "1", "verb": "explode"}', json.dumps({"id": "x" * 101, "verb": "abort"})]
)  # fmt: skip
def test_a_request_that_cannot_be_read_has_an_id_of_its_own(text: str) -> None:
    found = read_request(control(text))
    assert isinstance(found, BadRequest)
    assert found == read_request(control(text))
    assert found.id


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=100))
def test_any_text_is_a_request_or_none_or_refused(text: str) -> None:
    read_request(control(text))
    read_desired(model(MODEL_URI=text))
