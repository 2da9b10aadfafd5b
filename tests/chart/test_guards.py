"""Values that cannot work together are refused before anything is installed, with what to do."""

from __future__ import annotations

from typing import Any

import pytest
from tests.chart_render import refusal, render

pytestmark = pytest.mark.platform

RUN = "a" * 32
MODEL = {"model": {"runId": RUN}, "tracking": {"uri": "http://mlflow:5000"}}
STORE = {"store": {"ambientCredentials": True}}


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        ({"model": {"runId": RUN, "uri": "models:/a/1"}}, "model.uri are both set: keep one"),
        ({"model": {"runId": "models:/a/1"}}, "put any other reference into model.uri"),
        ({"model": {"uri": RUN}}, "set model.runId"),
        ({"model": {"uri": "/home/me/model"}}, "write models:/name/3"),
        ({"model": {"uri": "s3:///no-bucket"}}, "s3://bucket/path"),
        ({"model": {"runId": RUN}}, "tracking.uri is missing: set it"),
        (MODEL, "set store.existingSecret"),
        ({"store": {"endpoint": "http://s3:9000"}}, "set store.existingSecret"),
        ({"store": {"endpoint": "s3:9000"}}, "store.endpoint \"s3:9000\" must begin with http"),
        ({"tracking": {"uri": "mlflow"}}, "tracking.uri \"mlflow\" must begin with http"),
        ({"store": {"artifactPrefixes": ["models/"]}}, "write s3://bucket/prefix"),
        ({**STORE, "batch": {"enabled": True, "input": "s3://a/b"}}, "batch.output names no"),
        ({**STORE, "batch": {"enabled": True, "output": "s3://"}}, "batch.output names no bucket"),
        ({"web": {"enabled": False}}, "set one of them to true"),
        ({**STORE, "stream": {"enabled": True}}, "stream.consumers is empty: name one"),
        ({"stream": {"enabled": True, "consumers": [{"name": "a"}]}}, "set store.existingSecret"),
        (
            {**STORE, "stream": {"enabled": True, "consumers": [{"name": "a"}, {"name": "a"}]}},
            "two are called \"a\"",
        ),
        (
            {**STORE, "stream": {"enabled": True, "consumers": [{"name": "a", "model": "/m"}]}},
            "the model \"/m\" of a is no reference",
        ),
        (
            {
                **STORE,
                "fullnameOverride": "a" * 46,
                "stream": {"enabled": True, "consumers": [{"name": "of-ten-abc"}]},
            },
            "the name \"of-ten-abc\" is too long",
        ),
        ({"rollout": {"steps": [5, 150]}}, "the weight 150 is out of range"),
        ({"rollout": {"steps": [0]}}, "the weight 0 is out of range"),
        ({"rollout": {"steps": [100]}}, "100 is the promotion itself"),
        ({"rollout": {"steps": [0.015]}}, "more than two decimals"),
        ({"rollout": {"steps": [25, 5]}}, "must rise from one to the next: 5 comes after 25"),
        ({"service": {"nodePort": 30696}}, "set service.type to NodePort"),
        ({"fullnameOverride": "9lives"}, "set fullnameOverride to lower-case letters"),
        ({"fullnameOverride": "a" * 47}, "shorten it"),
    ],
)  # fmt: skip
def test_values_that_cannot_work_are_refused_with_what_to_change(
    values: dict[str, Any], advice: str
) -> None:
    said = refusal(values)
    assert advice in said
    assert "Nothing was installed" in said


def test_all_that_is_wrong_is_said_at_once() -> None:
    said = refusal({"rollout": {"steps": [150]}, "service": {"nodePort": 30696}})
    assert "out of range" in said
    assert "service.type" in said


@pytest.mark.parametrize(
    "values",
    [
        {},
        {**MODEL, **STORE},
        {"model": {"uri": "s3://bucket/model"}, **STORE},
        {"rollout": {"steps": [0.01, 0.29, 33.33, 99.99]}},
        {"rollout": {"steps": []}},
        {"fullnameOverride": "a" * 46},
        {
            **STORE,
            "web": {"enabled": False},
            "stream": {"enabled": True, "consumers": [{"name": "a"}]},
        },
    ],
)
def test_values_that_can_work_are_taken(values: dict[str, Any]) -> None:
    assert render(values)
