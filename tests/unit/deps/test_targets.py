"""Which pods the local Prometheus scrapes."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[3] / "k8s" / "deps" / "prometheus" / "targets.py"
WISHES = {"prometheus.io/scrape": "true", "prometheus.io/port": "9697"}
targets = runpy.run_path(str(SCRIPT))["targets"]


def pod(wishes: dict[str, str] | None = None, **status: str) -> dict[str, Any]:
    about: dict[str, Any] = {"name": "blue-1", "namespace": "here"}
    about["labels"] = {"app.kubernetes.io/component": "slot"}
    if wishes is not None:
        about["annotations"] = wishes
    return {"metadata": about, "status": {"phase": "Running", "podIP": "10.1.2.3"} | status}


def test_a_running_pod_that_asks_is_scraped_where_it_says() -> None:
    [group] = targets([pod(WISHES | {"prometheus.io/path": "/m"})])
    assert group["targets"] == ["10.1.2.3:9697"]
    assert group["labels"] == {
        "__metrics_path__": "/m",
        "pod": "blue-1",
        "namespace": "here",
        "component": "slot",
    }


def test_the_path_is_metrics_and_an_address_of_version_6_is_bracketed() -> None:
    [group] = targets([pod(WISHES, podIP="fd00::1")])
    assert group["targets"] == ["[fd00::1]:9697"]
    assert group["labels"]["__metrics_path__"] == "/metrics"


@pytest.mark.parametrize(
    "silent",
    [
        pod(),
        pod({}),
        pod(WISHES | {"prometheus.io/scrape": "false"}),
        pod(WISHES | {"prometheus.io/port": "http"}),
        pod({"prometheus.io/scrape": "true"}),
        pod(WISHES, phase="Succeeded"),
        pod(WISHES, phase="Pending", podIP=""),
    ],
)
def test_a_pod_that_does_not_ask_or_cannot_answer_is_left_out(silent: dict[str, Any]) -> None:
    assert targets([silent, pod(WISHES)]) == targets([pod(WISHES)])
