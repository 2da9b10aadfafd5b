"""What a person reads after `helm install`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart_render import CHART, FULL, named, template

pytestmark = pytest.mark.platform


@pytest.fixture
def notes(tmp_path: Path) -> Any:
    """The notes for some values, in an object: Helm shows them to a cluster's users only."""
    chart = tmp_path / "slipway"
    shutil.copytree(CHART, chart)
    text = (chart / "templates" / "NOTES.txt").read_text()
    (chart / "templates" / "_notes.tpl").write_text(
        f'{{{{- define "test.notes" -}}}}\n{text}\n{{{{- end -}}}}\n'
    )
    (chart / "templates" / "notes.yaml").write_text(
        "kind: ConfigMap\nmetadata: {name: notes}\n"
        'data:\n  notes: {{ include "test.notes" . | toJson }}\n'
    )

    def of(values: dict[str, Any]) -> str:
        done = template(values, chart=chart)
        assert done.returncode == 0, done.stderr
        objects = [found for found in yaml.safe_load_all(done.stdout) if found]
        return str(named(objects, "ConfigMap", "notes")["data"]["notes"])

    return of


def test_an_idle_installation_is_told_how_to_name_a_model(notes: Any) -> None:
    said = notes({})
    assert "no model is named yet" in said
    assert "kubectl -n ml patch configmap slipway-model --type merge" in said
    assert "kubectl -n ml port-forward svc/slipway 9696:9696" in said
    assert "curl http://127.0.0.1:9696/predict" in said
    assert [f"  {n}. " in said for n in (1, 2, 3, 4)] == [True, True, True, False]


def test_one_with_a_model_is_told_how_to_watch_it(notes: Any) -> None:
    said = notes(dict(FULL))
    assert f"{'a' * 32} is wanted" in said
    assert "get configmap slipway-state" in said


def test_the_promise_of_the_cache_is_the_one_in_force(notes: Any) -> None:
    assert "cache.persistence is off" in notes({})
    said = notes({"cache": {"persistence": {"enabled": True}}})
    assert "while the tracking server and the store are down" in said


def test_how_far_each_consumer_is_can_be_asked_by_its_name(notes: Any) -> None:
    own = {"name": "tip", "application": "tips", "stream": "rides"}
    stream = {"enabled": True, "consumers": [{"name": "duration"}, own]}
    said = notes({**FULL, "stream": stream})
    assert "slipway stream lag slipway-duration --stream ride_events" in said
    assert "slipway stream lag tips --stream rides" in said
    assert "stream lag" not in notes({})


def test_what_uninstall_leaves_is_named(notes: Any) -> None:
    for name in ("state", "routing", "blue", "green", "control"):
        assert f"configmap/slipway-{name}" in notes({})
    assert "pod/slipway-test-smoke" in notes({})
    assert "lease/slipway-controller" in notes({})


def test_risky_values_are_warned_of_and_others_are_not(notes: Any) -> None:
    assert "WARNING" not in notes(dict(FULL))
    for values in (
        {"model": {"allowPickle": True}},
        {"router": {"forceRole": True}},
        {"router": {"replicas": 1}},
        {"networkPolicy": {"enabled": False}},
    ):
        assert notes(values).count("WARNING") == 1, values


def test_without_the_web_nobody_is_sent_to_a_service(notes: Any) -> None:
    said = notes({**FULL, "web": {"enabled": False}})
    assert "create job --from=cronjob/slipway-batch" in said
    assert "port-forward" not in said
