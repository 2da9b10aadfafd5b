"""What people may write to name a model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.errors import InvalidConfig
from slipway.models.reference import (
    ArtifactUri,
    LoggedModelId,
    PickleFile,
    Reference,
    RegisteredAlias,
    RegisteredVersion,
    RunModel,
    is_moving,
    parse_reference,
)

RUN = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (RUN, RunModel(RUN)),
        (f"runs:/{RUN}/model", RunModel(RUN, "model")),
        (f"runs:/{RUN}/nested/model/", RunModel(RUN, "nested/model")),
        ("models:/ride-duration/3", RegisteredVersion("ride-duration", "3")),
        ("models:/ride duration/03", RegisteredVersion("ride duration", "3")),
        ("models:/ride-duration@champion", RegisteredAlias("ride-duration", "champion")),
        (f"models:/m-{RUN}", LoggedModelId(f"m-{RUN}")),
        ("s3://bucket/1/models/m-1/artifacts/", ArtifactUri("s3://bucket/1/models/m-1/artifacts")),
        ("mlflow-artifacts:/1/a", ArtifactUri("mlflow-artifacts:/1/a")),
        ("file:///models/my%20model", ArtifactUri("/models/my model")),
        ("./model", ArtifactUri("./model")),
        ("/app/model", ArtifactUri("/app/model")),
        ("/app/model.bin", PickleFile("/app/model.bin")),
        ("lin_reg.bin", PickleFile("lin_reg.bin")),
    ],
)
def test_each_form_is_read_as_its_kind(text: str, expected: Reference) -> None:
    assert parse_reference(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        f" {RUN}",
        f"{RUN}\n",
        RUN[:-1],
        RUN.upper(),
        "../../etc/passwd\n",
        f"runs:/{RUN}/../other",
        f"runs:/{RUN}//etc",
        "s3://bucket/../other",
        "https://somewhere/model",
        "models:/name",
        "models:/name/latest",
        "models:/name@",
        "models:/@alias",
        "x" * 10_240,
        "model\x00",
    ],
)
def test_B1_a_text_that_is_no_reference_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        parse_reference(text)
    assert refused.value.message
    assert "\n" not in refused.value.message


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_reference(text)
    except InvalidConfig:
        return


def test_only_an_alias_moves() -> None:
    assert is_moving(parse_reference("models:/ride@champion"))
    assert not is_moving(parse_reference("models:/ride/3"))
