"""The chart as Helm renders it: `helm template` on the chart's folder, read back as objects."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from tests.programs import program

ROOT = Path(__file__).parent.parent
CHART = ROOT / "helm" / "slipway"
RELEASE, NAMESPACE = "slipway", "ml"
# The API of the cluster that the chart is tried on.
KUBERNETES = "1.34.4"

Object = dict[str, Any]


def helm(*arguments: str, text: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run Helm with `text` as standard input; its exit code is the caller's to judge."""
    return subprocess.run(
        [program("helm"), *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **variables},
        check=False,
    )


def template(
    values: Mapping[str, Any] | None = None,
    *options: str,
    chart: Path = CHART,
    release: str = RELEASE,
) -> subprocess.CompletedProcess[str]:
    """`helm template`, with these values over the chart's own."""
    text = yaml.safe_dump(dict(values or {}))
    return helm(
        "template", release, str(chart), f"--namespace={NAMESPACE}",
        f"--kube-version={KUBERNETES}", "--values=-", *options, text=text,
    )  # fmt: skip


def render(
    values: Mapping[str, Any] | None = None, *options: str, release: str = RELEASE
) -> list[Object]:
    """The objects that these values make."""
    done = template(values, *options, release=release)
    assert done.returncode == 0, done.stderr
    return [found for found in yaml.safe_load_all(done.stdout) if found]


def refusal(values: Mapping[str, Any]) -> str:
    """What Helm says where it refuses these values."""
    done = template(values)
    assert done.returncode != 0, "the values were taken"
    return done.stderr


def named(objects: list[Object], kind: str, name: str) -> Object:
    """The one object of this kind and name."""
    found = [o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name]
    assert len(found) == 1, f"{len(found)} objects {kind} {name}"
    return found[0]


def pod_templates(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """Name and pod (metadata and spec) of everything that makes pods."""
    for found in objects:
        name = found["metadata"]["name"]
        if found["kind"] == "Pod":
            yield name, found
        elif found["kind"] == "Deployment":
            yield name, found["spec"]["template"]
        elif found["kind"] == "CronJob":
            yield name, found["spec"]["jobTemplate"]["spec"]["template"]


def containers(objects: list[Object]) -> Iterator[tuple[str, Object]]:
    """`object/container` and container, init containers too."""
    for name, pod in pod_templates(objects):
        for each in [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]:
            yield f"{name}/{each['name']}", each


def value_files() -> list[Path]:
    """Files of values that come with the chart."""
    return sorted([*CHART.glob("values-*.yaml"), *CHART.glob("ci/*-values.yaml")])


# Everything on, so that every template says something.
FULL: Mapping[str, Any] = {
    "model": {"runId": "a" * 32, "useCase": "rides"},
    "tracking": {"uri": "http://mlflow:5000", "existingSecret": "mlflow-login"},
    "store": {
        "endpoint": "http://s3:7070",
        "existingSecret": "s3-credentials",
        "artifactPrefixes": ["s3://mlflow/"],
    },
    "batch": {"enabled": True, "input": "s3://rides/in", "output": "s3://rides/out"},
    "stream": {
        "enabled": True,
        "kinesisEndpoint": "http://kinesis:4566",
        "consumers": [
            {"name": "duration", "output": "durations", "deadLetters": "s3://rides/dead"},
            {"name": "tip", "model": "models:/ride-tip@champion", "output": "tips", "replicas": 2},
        ],
    },
    "cache": {"persistence": {"enabled": True}},
    "operator": {"subjects": [{"kind": "Group", "name": "people",
                               "apiGroup": "rbac.authorization.k8s.io"}]},
}  # fmt: skip
