"""Settings: names, bounds, and one sentence with everything that is wrong."""

from __future__ import annotations

import pydantic
import pytest

from slipway.errors import InvalidConfig
from slipway.settings import ModelSettings, ScoreSettings, ServeSettings, read_settings, variable_of

RUN_ID = "0123456789abcdef0123456789abcdef"
COURSE_NAMES = {
    "run_id": "MODEL_RUN_ID",
    "uri": "MODEL_URI",
    "location": "MODEL_LOCATION",
    "file": "MODEL_FILE",
    "tracking_uri": "MLFLOW_TRACKING_URI",
}


@pytest.mark.parametrize(("field", "variable"), COURSE_NAMES.items())
def test_R18_the_names_that_users_know_are_kept(
    field: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, RUN_ID)
    assert getattr(read_settings(ModelSettings), field) == RUN_ID
    assert variable_of(ModelSettings, field) == variable


@pytest.mark.parametrize("kind", [ModelSettings, ServeSettings, ScoreSettings])
def test_all_other_names_begin_with_ours(kind: type[ModelSettings]) -> None:
    ours = {variable_of(kind, field) for field in kind.model_fields} - set(COURSE_NAMES.values())
    assert {name for name in ours if not name.startswith("SLIPWAY_")} == {"MLFLOW_S3_ENDPOINT_URL"}


def test_all_bad_variables_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_PORT", "abc")
    monkeypatch.setenv("SLIPWAY_THREADS", "0")
    with pytest.raises(InvalidConfig) as refused:
        read_settings(ServeSettings)
    assert "SLIPWAY_PORT" in refused.value.message
    assert "SLIPWAY_THREADS" in refused.value.message


def test_two_references_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_RUN_ID", RUN_ID)
    monkeypatch.setenv("MODEL_URI", "b")
    with pytest.raises(InvalidConfig, match="MODEL_RUN_ID and MODEL_URI are both set"):
        read_settings(ModelSettings)


def test_R46_a_local_folder_wins_over_every_other_reference() -> None:
    settings = read_settings(ModelSettings, location="/models/x", run_id=RUN_ID)
    assert settings.reference == "/models/x"


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_PORT", "")
    assert read_settings(ServeSettings).port == 9696


def test_settings_are_frozen() -> None:
    with pytest.raises(pydantic.ValidationError):
        read_settings(ModelSettings).run_id = "x"
