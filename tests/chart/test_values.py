"""The values: every key has a comment and a place in the schema, and none is needed twice."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from tests.chart_render import (
    CHART,
    FULL,
    ROOT,
    named,
    refusal,
    render,
    template,
    value_files,
)

from slipway.rollout.policy import PRESETS, Policy
from slipway.rollout.policy_document import parse_policy

pytestmark = pytest.mark.platform

VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
# Below these Kubernetes says what may stand there.
OPEN = ("resources", "podSecurityContext", "securityContext")
# Helm's own key, for charts that have this one in them.
OF_HELM = {"global"}


def keys(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Dotted keys of all that can be set; a section is none."""
    for key, value in tree.items():
        if isinstance(value, dict) and value and key not in OPEN:
            yield from keys(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def schema_keys(schema: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, part in schema["properties"].items():
        found = resolved(part)
        if "properties" in found:
            yield from schema_keys(found, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    return SCHEMA["$defs"][reference.rpartition("/")[2]] if reference else schema


def commented_keys() -> Iterator[str]:
    """Dotted keys that have a `# --` line above them."""
    path: list[str] = []
    comment = False
    for line in (CHART / "values.yaml").read_text().splitlines():
        found = re.match(r"( *)([A-Za-z]+):", line)
        if found:
            path = [*path[: len(found[1]) // 2], found[2]]
            if comment:
                yield ".".join(path)
        comment = line.lstrip().startswith("# -- ") and line.rstrip().endswith(".")


def test_schema_values_and_comments_have_the_same_keys() -> None:
    known = set(keys(VALUES))
    assert set(schema_keys(SCHEMA)) - OF_HELM == known
    assert set(commented_keys()) == known


def test_the_schema_is_closed_wherever_it_names_keys() -> None:
    def closed(schema: Any) -> Iterator[bool]:
        if isinstance(schema, dict):
            if "properties" in schema:
                yield schema.get("additionalProperties") is False
            for part in schema.values():
                yield from closed(part)

    assert all(closed(SCHEMA))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"modle": {}}, "'modle' not allowed"),
        ({"model": {"runid": "a" * 32}}, "'runid' not allowed"),
        ({"router": {"resurces": {}}}, "'resurces' not allowed"),
        ({"rollout": {"gates": {"latency": {"limits": 1.5}}}}, "'limits' not allowed"),
        ({"router": {"replicas": 0}}, "/router/replicas"),
        ({"slots": {"logLevel": "loud"}}, "/slots/logLevel"),
        ({"stream": {"consumers": [{"name": "a", "modle": "b"}]}}, "'modle' not allowed"),
        ({"stream": {"consumers": [{"model": "b"}]}}, "missing property 'name'"),
        ({"rollout": {"preset": "brave"}}, "/rollout/preset"),
    ],
)
def test_an_unknown_key_or_a_wrong_value_is_refused_by_its_name(
    values: dict[str, Any], said: str
) -> None:
    assert said in refusal(values)


@pytest.mark.parametrize("file", value_files(), ids=lambda file: file.name)
def test_the_values_that_come_with_the_chart_render(file: Path) -> None:
    assert render(None, f"--values={file}")


def test_there_are_value_files_to_try() -> None:
    assert len(value_files()) >= 4


# The pods' security has no second home, resources and peers are empty where nobody gives them, and
# without a preset the policy's reader takes the same one.
OWN_DEFAULT = {
    "podSecurityContext", "securityContext", "networkPolicy.metricsFrom", "rollout.preset",
    *(f"{part}.resources" for part in ("slots", "router", "controller", "batch", "stream", "test")),
}  # fmt: skip


@pytest.fixture(scope="module")
def full() -> str:
    return template(FULL).stdout


@pytest.mark.parametrize("top", sorted(VALUES))
def test_an_old_release_that_lacks_keys_renders_as_with_their_defaults(top: str, full: str) -> None:
    """`--reuse-values` after an upgrade: what is new to the chart is not in the old values."""
    missing = [
        key
        for key in keys({top: VALUES[top]})
        if not _is_given(FULL, key) and key not in OWN_DEFAULT
    ]
    assert template(FULL, *(f"--set={key}=null" for key in missing)).stdout == full


def _is_given(values: Mapping[str, Any], key: str) -> bool:
    return any(key == given or key.startswith(f"{given}.") for given in keys(values))


def test_an_old_release_that_lacks_all_keys_renders() -> None:
    """Without what it must have to run, but without a nil pointer."""
    done = template(None, *(f"--set={key}=null" for key in VALUES))
    assert done.returncode == 0, done.stderr


def test_the_version_is_the_packages() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chart["appVersion"] == project["version"]


def test_the_same_values_render_to_the_same_bytes() -> None:
    assert template(FULL).stdout == template(FULL).stdout


def test_every_number_of_the_policy_is_a_value() -> None:
    """But the two that belong to other parts, and are put in from there."""
    numbers = set(keys(msgspec.to_builtins(Policy())))
    elsewhere = {"replicas", "forceRole"}
    assert set(keys(VALUES["rollout"])) == numbers - elsewhere


def test_what_is_not_set_has_the_presets_number() -> None:
    for preset, policy in PRESETS.items():
        text = policy_of({"rollout": {"preset": preset}})
        assert parse_policy(text) == policy


def test_a_policys_numbers_reach_the_controller() -> None:
    text = policy_of(
        {
            "rollout": {
                "preset": "careful",
                "steps": [2.5, 50],
                "watch": {"seconds": 0},
                "auto": False,
                "gates": {"errors": {"decides": False, "limit": 0.02}},
            },
            "slots": {"replicas": 3},
            "router": {"forceRole": True},
        }
    )
    policy = parse_policy(text)
    assert list(policy.steps) == [2.5, 50]
    assert (policy.watch.seconds, policy.auto) == (0, False)
    assert (policy.gates.errors.decides, policy.gates.errors.limit) == (False, 0.02)
    assert policy.gates.errors.budget == PRESETS["careful"].gates.errors.budget
    assert (policy.replicas, policy.force_role) == (3, True)


def policy_of(values: dict[str, Any]) -> str:
    found = named(render(values), "ConfigMap", "slipway-policy")
    return str(found["data"]["policy.yaml"])
