"""The policy as people write it (B18)."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.service_process import ROOT

from slipway.cluster.protocol import Document
from slipway.errors import InvalidConfig
from slipway.rollout.policy import PRESETS
from slipway.rollout.policy_document import KEY, RULES, parse_policy, parse_values, read_policy

CHART = ROOT / "helm" / "slipway"


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_preset_is_read_by_its_name(preset: str) -> None:
    assert parse_policy(f"preset: {preset}") == PRESETS[preset]


@pytest.mark.parametrize("text", ["", "# nothing", "preset: careful"])
def test_nothing_written_is_the_careful_policy(text: str) -> None:
    assert parse_policy(text) == PRESETS["careful"]


def test_every_number_replaces_the_presets_own_and_no_other() -> None:
    policy = parse_policy("preset: test\nkeepWarm: 10\ngates: {errors: {limit: 0.02}}")
    assert policy.keep_warm == 10
    assert policy.gates.errors.limit == 0.02
    assert policy.gates.errors.ceiling == PRESETS["test"].gates.errors.ceiling
    assert policy.steps == PRESETS["test"].steps


def test_the_policy_in_the_charts_values_is_what_the_chart_makes_of_them() -> None:
    shipped = (CHART / "values.yaml").read_text()
    assert parse_values(shipped) == PRESETS["careful"]
    assert parse_values((CHART / "values-kind.yaml").read_text()) == PRESETS["fast"]
    mine = "slots: {replicas: 3}\nrollout:\n  preset: test\n  watch: {seconds: 7, share: null}\n"
    assert parse_values(mine) == parse_policy("preset: test\nwatch: {seconds: 7}")
    assert parse_values("rollout: null") == PRESETS["careful"]


def test_an_error_in_the_charts_values_names_the_line_there() -> None:
    with pytest.raises(InvalidConfig, match=r"keepWarm \(line 3\): expected"):
        parse_values("web: {enabled: true}\nrollout:\n  keepWarm: soon\n")


def test_steps_are_percent_with_two_decimals() -> None:
    assert parse_policy("steps: [0.25, 5, 99.99]").weights == (25, 500, 9999)
    assert parse_policy("steps: []").weights == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("steps: [5, 101]", "steps (line 1)"),
        ("steps: [25, 5]", "must rise"),
        ("steps: [5, 5]", "must rise"),
        ("steps: [0.001]", "two decimals"),
        ("steps: 5", "steps (line 1)"),
        ("preset: carefull", "one of careful"),
        ("preset: [careful]", "one of careful"),
        ("preset: fast\nkeepWarn: 3", "unknown key keepWarn (line 2); did you mean keepWarm?"),
        ("gates:\n  errors:\n    limt: 1", "gates.errors.limt (line 3)"),
        ("gates: {errors: {limit: 2}}", "gates.errors.limit"),
        ("gates: {errors: {limit: .nan}}", "gates.errors.limit"),
        ("gates: {errors: {limit: 0.1}}", "gates.errors.ceiling"),
        ("gates:\n  latency:\n    limit: 1.4", "1.31 or 1.5"),
        ("gates: {latency: {limit: 1}}", "gates.latency.limit"),
        ("keepWarm: soon", "keepWarm (line 1): expected `float`"),
        ("keepWarm: -1", "keepWarm"),
        ("keepWarm: .inf", "keepWarm"),
        ("replicas: 1.5", "replicas"),
        ("auto: 1", "auto"),
        ("onDeadline: maybe", "onDeadline"),
        ("timeouts: {candidate: 40}", "timeouts.total"),
        ("timeouts: {total: 90}", "timeouts.total"),
        ("shadow: true", "shadow"),
        ("- a", "mapping"),
        ("a: [", "line"),
        ("a: b: c", "line 1"),
        ("x" * 70_000, "longer"),
    ],
)
def test_B18_a_wrong_value_names_the_key_and_the_line(text: str, words: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        parse_policy(text)
    assert words in caught.value.message


def test_a_missing_document_and_a_missing_key_are_said() -> None:
    with pytest.raises(InvalidConfig, match="gone"):
        read_policy(None)
    with pytest.raises(InvalidConfig, match=KEY):
        read_policy(Document("policy", {"other": ""}))
    assert read_policy(Document("policy", {KEY: ""})) == PRESETS["careful"]


def test_every_preset_keeps_the_rules() -> None:
    for name in PRESETS:
        parse_policy(f"preset: {name}")
    assert len(RULES) > 30


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=100))
def test_B18_any_text_is_a_policy_or_a_sentence(text: str) -> None:
    with contextlib.suppress(InvalidConfig):
        parse_policy(text)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(RULES)),
    st.one_of(
        st.floats(),
        st.integers(),
        st.none(),
        st.booleans(),
        st.text(max_size=3),
        st.lists(st.none()),
    ),
)
def test_B18_any_value_for_any_key_is_taken_or_named(name: str, value: object) -> None:
    *parents, last = name.split(".")
    text = f"{last}: {value!r}"
    for parent in reversed(parents):
        text = f"{parent}: {{{text}}}"
    with contextlib.suppress(InvalidConfig):
        parse_policy(text)
