"""The rollout policy as people write it: YAML under `policy.yaml`, read into `Policy`. Pure.

Every error is an InvalidConfig that names the key, as `gates.errors.limit`, and its line.
"""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import yaml

from slipway.buckets import LATENCY_GROWTH
from slipway.cluster.protocol import Document
from slipway.errors import InvalidConfig
from slipway.rollout.policy import PRESETS, Policy

KEY = "policy.yaml"
# Where the chart's values have it.
VALUES_KEY = "rollout"
MAX_LENGTH = 64 * 1024
_DAY = 86_400.0


def read_policy(document: Document | None) -> Policy:
    """The policy of the document F-policy; raises InvalidConfig if there is none or it is wrong."""
    if document is None:
        raise InvalidConfig("the rollout policy's ConfigMap is gone; the last one read stays")
    if KEY not in document.data:
        raise InvalidConfig(f"the rollout policy's ConfigMap has no key {KEY}")
    return parse_policy(document.data[KEY])


def parse_policy(text: str) -> Policy:
    """Read a policy; raises InvalidConfig that names the key and the line."""
    return _policy(_load(text), _lines(text))


def parse_values(text: str) -> Policy:
    """Read the policy in values of the chart, its key `rollout`; a null there is not given.

    What has no such key is read as a policy. Raises InvalidConfig as `parse_policy` does.
    """
    tree, lines = _load(text), _lines(text)
    if not isinstance(tree, dict) or VALUES_KEY not in tree:
        return _policy(tree, lines)
    within = f"{VALUES_KEY}."
    named = {key.removeprefix(within): at for key, at in lines.items() if key.startswith(within)}
    return _policy(_given(tree[VALUES_KEY]), named)


def _given(tree: Any) -> Any:
    """Without the nulls, which the chart leaves out too."""
    if not isinstance(tree, dict):
        return tree
    return {key: _given(value) for key, value in tree.items() if value is not None}


def _policy(tree: Any, lines: Mapping[str, int]) -> Policy:
    if tree is None:
        return PRESETS["careful"]
    if not isinstance(tree, dict):
        raise InvalidConfig("the rollout policy must be a mapping of keys, as `preset: careful`")
    preset = tree.get("preset", "careful")
    if not isinstance(preset, str) or preset not in PRESETS:
        raise InvalidConfig(f"preset{_at(lines, 'preset')} must be one of {', '.join(PRESETS)}")
    base = msgspec.to_builtins(PRESETS[preset])
    try:
        policy = msgspec.convert(_merged(base, tree, "", lines), Policy)
    except msgspec.ValidationError as error:
        raise _named(error, lines) from error
    _check(policy, lines)
    return policy


def _load(text: str) -> Any:
    if len(text) > MAX_LENGTH:
        raise InvalidConfig(f"the rollout policy is longer than {MAX_LENGTH} characters")
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise InvalidConfig(f"the rollout policy is no valid YAML{where}") from error


def _lines(text: str) -> dict[str, int]:
    """Dotted key -> line, counted from 1."""
    found: dict[str, int] = {}

    def walk(node: Any, prefix: str) -> None:
        if not isinstance(node, yaml.MappingNode):
            return
        for key, value in node.value:
            name = f"{prefix}{key.value}"
            found[name] = key.start_mark.line + 1
            walk(value, f"{name}.")

    walk(yaml.compose(text, Loader=yaml.SafeLoader), "")
    return found


def _at(lines: Mapping[str, int], key: str) -> str:
    return f" (line {lines[key]})" if key in lines else ""


def _merged(base: Any, given: Any, prefix: str, lines: Mapping[str, int]) -> Any:
    """The preset's numbers with the given ones in their place; refuses keys that it lacks."""
    if not isinstance(base, dict) or not isinstance(given, dict):
        return given
    merged = dict(base)
    for key, value in given.items():
        name = f"{prefix}{key}"
        if key not in base:
            near = difflib.get_close_matches(str(key), base, n=1)
            hint = f"; did you mean {prefix}{near[0]}?" if near else ""
            raise InvalidConfig(f"unknown key {name[:200]}{_at(lines, name)}{hint}")
        merged[key] = _merged(base[key], value, f"{name}.", lines)
    return merged


def _named(error: msgspec.ValidationError, lines: Mapping[str, int]) -> InvalidConfig:
    said, _, path = str(error).partition(" - at `$.")
    name = path.rstrip("`").split("[")[0]
    return InvalidConfig(f"{name}{_at(lines, name)}: {said[0].lower()}{said[1:]}")


# Dotted key -> what it must be, as a test and in words.
_Rule = tuple[Callable[[float], bool], str]
_SHARE: _Rule = (lambda v: 0 < v <= 100, "above 0 and at most 100 percent")
_TIME: _Rule = (lambda v: 0 <= v <= 30 * _DAY, "from 0 to 2592000 seconds")
_MORE: _Rule = (lambda v: 0 < v <= _DAY, "above 0 and at most 86400 seconds")
# The router answers within a minute whatever it is told.
_TIMEOUT: _Rule = (lambda v: 0.1 <= v <= 60, "from 0.1 to 60 seconds")
_COUNT: _Rule = (lambda v: 1 <= v <= 10_000, "from 1 to 10000")
_PART: _Rule = (lambda v: 0 < v < 1, "above 0 and below 1")
_LEVEL: _Rule = (lambda v: 1e-6 <= v <= 0.2, "from 0.000001 to 0.2")
_LIMIT: _Rule = (lambda v: 0 < v <= 10, "above 0 and at most 10")
RULES: dict[str, _Rule] = {
    "shadow.share": _SHARE,
    "watch.share": _SHARE,
    "sample": _SHARE,
    "interval": _MORE,
    "tick": (lambda v: 0.1 <= v <= 60, "from 0.1 to 60 seconds"),
    "leastIntervals": _COUNT,
    "ready.deadline": _MORE,
    "ready.restarts": _COUNT,
    "ready.flaps": _COUNT,
    "watch.seconds": _TIME,
    "keepWarm": _TIME,
    "keepFailed": _TIME,
    "deadline": _TIME,
    "deadlineFactor": (lambda v: 1 <= v <= 100, "from 1 to 100"),
    "replicas": (lambda v: 1 <= v <= 1000, "from 1 to 1000"),
    "timeouts.candidate": _TIMEOUT,
    "timeouts.total": _TIMEOUT,
    "gates.errors.limit": _PART,
    "gates.errors.budget": _PART,
    "gates.errors.ceiling": _PART,
    "gates.latency.quantile": (lambda v: 0.5 <= v <= 0.999, "from 0.5 to 0.999"),
    "gates.latency.earlyQuantile": (lambda v: 0.5 <= v <= 0.999, "from 0.5 to 0.999"),
    "gates.latency.absolute": _TIME,
    "gates.latency.settle": _TIME,
    "gates.latency.leastIntervals": (lambda v: 1 <= v <= 240, "from 1 to 240"),
    "gates.mean.shadow": _LIMIT,
    "gates.mean.early": _LIMIT,
    "gates.mean.limit": _LIMIT,
    "gates.mean.deviation": _LIMIT,
    "gates.correlation.limit": _PART,
    "gates.distance.limit": _PART,
    "gates.passLevel": _LEVEL,
    "gates.failLevel": _LEVEL,
    "gates.earlyBelow": (lambda v: 0 <= v <= 100, "from 0 to 100 percent"),
    "gates.leastPairs": (lambda v: 10 <= v <= 100_000, "from 10 to 100000"),
    "gates.keyCap": _COUNT,
    "gates.tolerance": (lambda v: v > 0, "more than 0, in the answer's unit"),
}


def _check(policy: Policy, lines: Mapping[str, int]) -> None:
    tree = msgspec.to_builtins(policy)
    for name, (holds, words) in RULES.items():
        value = tree
        for part in name.split("."):
            value = value[part]
        if not (math.isfinite(value) and holds(value)):
            raise InvalidConfig(f"{name}{_at(lines, name)} must be {words}")
    _check_steps(policy, _at(lines, "steps"))
    _check_latency(policy.gates.latency.limit, _at(lines, "gates.latency.limit"))
    errors = policy.gates.errors
    if errors.ceiling < errors.limit:
        raise InvalidConfig(
            f"gates.errors.ceiling{_at(lines, 'gates.errors.ceiling')} must not be below "
            "gates.errors.limit"
        )
    if policy.timeouts.total < policy.timeouts.candidate:
        raise InvalidConfig(
            f"timeouts.total{_at(lines, 'timeouts.total')} must not be below timeouts.candidate"
        )


def _check_steps(policy: Policy, where: str) -> None:
    if len(policy.steps) > 20:
        raise InvalidConfig(f"steps{where} must be at most 20")
    for step in policy.steps:
        if not (0.01 <= step < 100) or abs(step * 100 - round(step * 100)) > 1e-6:
            raise InvalidConfig(
                f"steps{where} must each be from 0.01 to 99.99 percent with at most two decimals"
            )
    if any(after <= before for before, after in itertools.pairwise(policy.steps)):
        raise InvalidConfig(f"steps{where} must rise from one to the next")


def _check_latency(limit: float, where: str) -> None:
    # Between two powers a PASS would mean less than it says (GATES 2).
    power = math.log(limit) / math.log(LATENCY_GROWTH) if 1 < limit <= 100 else 0.0
    if power < 1 or abs(power - round(power)) > 0.01:
        near = sorted({max(1, math.floor(power)), max(1, math.ceil(power))})
        forms = " or ".join(f"{LATENCY_GROWTH**p:.4g}" for p in near)
        raise InvalidConfig(
            f"gates.latency.limit{where} must be a power of the histogram's factor: {forms}"
        )
