"""Given an installation without a model, when people and Helm name one, the last change wins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cluster_worlds import FULLNAME
from tests.kind_installation import RELEASE, Installation, edit_script
from tests.load_test import load_test
from tests.waiting import until

pytestmark = [pytest.mark.platform, pytest.mark.kind, pytest.mark.timeout(400)]

LOAD = ("--rate", "20", "--seconds", "600")
NOBODY = "f" * 32
KEPT = ("state", "routing", "blue", "green")


def test_R49_installed_empty_it_says_so_then_a_run_id_written_by_kubectl_serves(
    empty: Installation, runs: tuple[str, str]
) -> None:
    """R49: `kubectl wait` on the state then comes back too."""
    said = empty.install_chart({"controller": {"logLevel": "debug"}})
    assert "no model is named yet" in said
    status, problem, headers = until(lambda: answered(empty), 60, "an answer")
    assert (status, headers["Retry-After"]) == (503, "5")
    assert "no model" in problem["detail"]

    empty.want(runs[0])

    empty.serves(runs[0])
    empty.kubectl("wait", f"configmap/{FULLNAME}-state", "--timeout=60s",
                  f"--for=jsonpath={{.data.stable}}={runs[0]}")  # fmt: skip


def test_R13_R20_R49_another_run_id_by_kubectl_edit_reaches_the_answers_under_load(
    empty: Installation, runs: tuple[str, str], tmp_path: Path
) -> None:
    """R13, R20, R49: no request fails, and each answer names the run that made it."""
    empty.serves(runs[0])
    router = set(empty.pods("router"))
    with load_test(empty.url, tmp_path, *LOAD) as load:
        editor = edit_script(tmp_path, *runs)
        empty.kubectl("edit", "configmap", f"{FULLNAME}-model", EDITOR=editor)
        empty.serves(runs[1])
        load.go_on(3)
        verdict = load.interrupt()
    assert verdict.code == 0, verdict.said
    assert verdict.report
    by_version = {row["model_version"] for row in verdict.report["answered_by"]}
    assert by_version == set(runs)
    assert set(empty.pods("router")) == router


def test_an_upgrade_that_changes_nothing_moves_nothing_and_one_that_does_wins(
    empty: Installation, runs: tuple[str, str]
) -> None:
    """DESIGN 5, "who wins": after `kubectl edit`, `--reuse-values`, `helm rollback`."""
    empty.want(runs[1])
    empty.serves(runs[1])
    table = empty.routing

    empty.upgrade()
    empty.upgrade("--set", "controller.logLevel=info")
    assert empty.document("model")["MODEL_RUN_ID"] == runs[1]
    empty.serves(runs[1])
    assert empty.routing["slots"] == table["slots"]

    empty.upgrade("--set", f"model.runId={runs[0]}")
    empty.serves(runs[0])
    named = empty.revision()

    empty.upgrade("--set", f"model.runId={runs[1]}")
    empty.serves(runs[1])

    empty.helm("rollback", RELEASE, str(named), "--wait", "--timeout=3m")
    empty.serves(runs[0])


def test_B1_a_wrong_reference_leaves_the_old_one_serving_and_says_why(
    empty: Installation, runs: tuple[str, str]
) -> None:
    """B1: in status, in the state and as an Event."""
    before = empty.routing
    empty.want(NOBODY)

    until(lambda: told(empty, "Unresolvable"), 60, "an Event")

    status = json.loads(empty.slipway("status", "-o", "json"))
    assert "Unresolvable" in json.dumps(status)
    assert NOBODY in empty.slipway("status", "-o", "wide")
    assert empty.predict()[1]["model_version"] == before_version(empty)
    assert empty.routing["slots"] == before["slots"]
    empty.want(runs[0])
    empty.serves(runs[0])


def test_uninstalled_it_leaves_what_the_controller_wrote_and_installed_anew_it_takes_it_up(
    empty: Installation, runs: tuple[str, str]
) -> None:
    before = empty.document("state")["promoted"]
    empty.helm("uninstall", RELEASE, "--wait", "--timeout=3m")

    kinds = "deployments,services,pods,persistentvolumeclaims,cronjobs,roles,networkpolicies"
    left = {(each["kind"], each["metadata"]["name"]) for each in empty.get(kinds)}
    assert left == {("Role", "makes-roles")}
    assert empty.document("model") == {}
    assert all(empty.document(name) for name in KEPT)

    empty.install_chart({"model": {"runId": runs[0]}})
    empty.serves(runs[0])
    assert empty.document("state")["promoted"] == before


def answered(shop: Installation) -> tuple[int, dict[str, str], dict[str, str]] | None:
    """An answer of any status; None while nobody answers."""
    found = shop.predict()
    return found if found[0] else None


def told(shop: Installation, reason: str) -> bool:
    """Whether there is such an Event on the model's ConfigMap."""
    return any(
        event["reason"] == reason and event["involvedObject"]["name"] == f"{FULLNAME}-model"
        for event in shop.get("events")
    )


def before_version(shop: Installation) -> str:
    """The run that the state calls stable."""
    return shop.document("state")["stable"]
