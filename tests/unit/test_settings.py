"""Settings: names, bounds, and one sentence with everything that is wrong."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from slipway.errors import InvalidConfig
from slipway.settings import (
    ConsumeSettings,
    LambdaSettings,
    ModelSettings,
    ScoreSettings,
    ServeSettings,
    StoreSettings,
    read_settings,
)
from slipway.variables import Settings, fields_of, variable_of

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
    ours = {variable_of(kind, field) for field in fields_of(kind)} - set(COURSE_NAMES.values())
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
    settings = read_settings(ModelSettings)
    with pytest.raises(AttributeError, match="frozen"):
        settings.run_id = "x"
    with pytest.raises(AttributeError, match="frozen"):
        del settings.run_id
    assert settings == read_settings(ModelSettings) != read_settings(ModelSettings, uri="m")
    assert hash(settings) == hash(read_settings(ModelSettings))
    assert "cache_dir=PosixPath('~/.cache/slipway/models')" in repr(settings)


def field_of(kind: type[Settings], variable: str) -> str:
    return next(name for name in fields_of(kind) if variable_of(kind, name) == variable)


@pytest.mark.parametrize(
    ("kind", "variable", "text", "value"),
    [
        (ServeSettings, "SLIPWAY_PORT", " 96 ", 96),
        (ServeSettings, "SLIPWAY_PORT", "+1_000", 1000),
        (ServeSettings, "SLIPWAY_PORT", "9696.0", 9696),
        (ServeSettings, "SLIPWAY_PORT", "0096", 96),
        (ServeSettings, "SLIPWAY_HTTP_TIMEOUT", " 1e1 ", 10.0),
        (ServeSettings, "SLIPWAY_COMPILED", "off", False),
        (ServeSettings, "SLIPWAY_ALLOW_PICKLE", "TRUE", True),
        (ServeSettings, "SLIPWAY_ALLOW_PICKLE", "y", True),
        (ServeSettings, "SLIPWAY_RELEASE_FILE", "~/x", Path("~/x")),
        (ServeSettings, "SLIPWAY_POD", " ", " "),
        (ServeSettings, "SLIPWAY_ARTIFACT_PREFIXES", '["a","b"]', ("a", "b")),
        (ScoreSettings, "SLIPWAY_TAXI_TYPE", "green", "green"),
        (ScoreSettings, "SLIPWAY_MONTH", "9", 9),
        (ScoreSettings, "SLIPWAY_RUN_DATE", "2021-04-02", date(2021, 4, 2)),
        (LambdaSettings, "TEST_RUN", "1", True),
    ],
)
def test_a_text_is_read_as_its_field_s_type(
    kind: type[Settings],
    variable: str,
    text: str,
    value: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, text)
    found = getattr(read_settings(kind), field_of(kind, variable))
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("kind", "variable", "text", "said"),
    [
        *(
            (ServeSettings, "SLIPWAY_PORT", text,
             "Input should be a valid integer, unable to parse string as an integer")
            for text in ("abc", "1.5", "0x10", "1__0", "٣", "nan", "9.", "null")
        ),
        (ServeSettings, "SLIPWAY_PORT", "-1", "Input should be greater than or equal to 0"),
        (ServeSettings, "SLIPWAY_PORT", "70000", "Input should be less than or equal to 65535"),
        (ServeSettings, "SLIPWAY_MAX_BODY_BYTES", "9" * 30,
         "Input should be less than or equal to 1073741824"),
        (ServeSettings, "SLIPWAY_HTTP_TIMEOUT", "x",
         "Input should be a valid number, unable to parse string as a number"),
        (ServeSettings, "SLIPWAY_HTTP_TIMEOUT", "0", "Input should be greater than 0"),
        (ServeSettings, "SLIPWAY_HTTP_TIMEOUT", "nan", "Input should be less than or equal to 60"),
        (ServeSettings, "SLIPWAY_STUCK_SECONDS", "nan",
         "Input should be greater than or equal to 1"),
        (ServeSettings, "SLIPWAY_COMPILED", "maybe",
         "Input should be a valid boolean, unable to interpret input"),
        (ServeSettings, "SLIPWAY_COMPILED", " true ",
         "Input should be a valid boolean, unable to interpret input"),
        (ServeSettings, "SLIPWAY_SLOT", "a\n",
         "String should match pattern '^[A-Za-z0-9._-]{1,63}$'"),
        *(
            (ServeSettings, "SLIPWAY_ARTIFACT_PREFIXES", text,
             'Input should be a list of texts, as ["a", "b"]')
            for text in ("a", "[1]", '"a"', '{"a": 1}', "[null]")
        ),
        (ServeSettings, "MODEL_RUN_ID", "x",
         "must be a run id, 32 hex digits; any other reference is a MODEL_URI"),
        (ScoreSettings, "SLIPWAY_TAXI_TYPE", "Green", "Input should be '', 'green' or 'yellow'"),
        (ConsumeSettings, "SLIPWAY_START_AT", "x", "Input should be 'oldest' or 'newest'"),
        (ScoreSettings, "SLIPWAY_RUN_DATE", "2021-13-01",
         "Input should be a valid date, month must be in 1..12"),
        *(
            (ScoreSettings, "SLIPWAY_RUN_DATE", text, "Input should be a valid date as 2021-04-02")
            for text in ("x", "20210402", "2021-4-2", " 2021-04-02", "2021-W14-5", "٢٠٢١-٠٤-٠٢")
        ),
    ],
)  # fmt: skip
def test_B1_what_is_no_value_is_told_in_a_sentence(
    kind: type[Settings],
    variable: str,
    text: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(InvalidConfig) as refused:
        read_settings(kind)
    assert refused.value.message == f"{variable}: {said}"


@pytest.mark.parametrize(
    ("environment", "value"),
    [
        ({"AWS_ENDPOINT_URL": "x"}, "x"),
        ({"AWS_ENDPOINT_URL_S3": "y", "AWS_ENDPOINT_URL": "x"}, "y"),
        ({"MLFLOW_S3_ENDPOINT_URL": "", "AWS_ENDPOINT_URL": "x"}, "x"),
        ({"mlflow_s3_endpoint_url": "z"}, "z"),
        ({"SLIPWAY_S3_ENDPOINT": "own", "AWS_ENDPOINT_URL": "x"}, "x"),
        ({"SLIPWAY_S3_ENDPOINT": "own"}, "own"),
    ],
)
def test_of_several_variables_the_first_that_has_a_value_counts(
    environment: dict[str, str], value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    assert read_settings(StoreSettings).s3_endpoint == value


def test_what_code_gives_wins_over_the_environment_and_is_judged_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SLIPWAY_MONTH", "99")
    monkeypatch.setenv("MODEL_URI", "b")
    settings = read_settings(ScoreSettings, month=3, uri="", http_timeout=2, year=None)
    assert (settings.month, settings.uri, settings.http_timeout) == (3, "", 2.0)
    with pytest.raises(InvalidConfig, match="SLIPWAY_MONTH: Input should be less than"):
        read_settings(ScoreSettings, month=13)
    with pytest.raises(InvalidConfig, match="SLIPWAY_TABLE: Input should be of type str"):
        read_settings(ScoreSettings, table=3)
