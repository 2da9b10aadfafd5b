"""Given an installation whose gates decide, when a version is named under load, they do."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from tests.cluster_worlds import FULLNAME
from tests.kind_installation import Installation
from tests.kind_rollout import NAME, answered, state, tracking, wait
from tests.kind_server import KindServer
from tests.load_test import load_test
from tests.waiting import until

pytestmark = [pytest.mark.platform, pytest.mark.kind, pytest.mark.timeout(400)]

# More than enough for the policy `test`, and no more than two cores can do beside a cluster.
LOAD = ("--rate", "60", "--seconds", "600")
# Seconds between two looks at an alias.
POLL = 3
ALIAS = "followed"
GATED = {"rollout": {"preset": "test"}, "slots": {"replicas": 1}}


@pytest.fixture(scope="module")
def gated(kind: KindServer, versions: Mapping[str, str]) -> Iterator[Installation]:
    """An installation with the policy `test` that serves the sound model."""
    place = Installation(kind, f"story-{os.getpid()}-gated")
    try:
        place.install_chart({"model": {"runId": versions["sound"]}, **GATED})
        place.serves(versions["sound"])
        yield place
    finally:
        place.remove()


def test_D13_R20_a_biased_version_is_stopped_in_shadow_and_the_registry_says_why(
    kind: KindServer, gated: Installation, versions: Mapping[str, str], tmp_path: Path
) -> None:
    """Row 4: its run and its version are tagged with the gate."""
    sound, biased = versions["sound"], versions["x 1.3"]
    with load_test(gated.url, tmp_path, *LOAD) as load:
        gated.want(biased)
        stopped = wait(gated, "GateFailed", biased)
        verdict = load.interrupt()
    assert stopped.message.startswith("mean: ")
    assert set(answered(verdict)) == {sound}
    with tracking(kind) as address:
        client = MlflowClient(address, address)

        def tags() -> Mapping[str, str] | None:
            found: Mapping[str, str] = client.get_run(biased).data.tags
            return found if "slipway.outcome" in found else None

        told = until(tags, 30, "the run to be tagged")
        [version] = client.search_model_versions(f"run_id = '{biased}'")
    assert told["slipway.outcome"] == version.tags["slipway.outcome"] == "refused"
    assert told["slipway.outcome_because"].startswith("GateFailed: mean: ")
    assert told["slipway.outcome_in"] == f"{gated.namespace}/{FULLNAME}"


def test_R13_row_15_a_third_version_supersedes_and_rollback_is_back_at_the_client_within_5_seconds(
    gated: Installation, versions: Mapping[str, str], tmp_path: Path
) -> None:
    """The first is warm, so its answers are back as fast as routers load a table."""
    sound, second, third = versions["sound"], versions["2 % higher"], versions["1 % lower"]
    with load_test(gated.url, tmp_path, *LOAD) as load:
        gated.want(second)
        wait(gated, "ShadowStarted", second)
        gated.want(third)
        wait(gated, "Promoted", third)
        assert "Promoted" not in {e.reason for e in state(gated).history if e.run_id == second}
        gated.serves(third, 10)
        gated.slipway("rollback", "--reason", "the story says so")

        def back() -> bool:
            return all(gated.predict()[1]["model_version"] == sound for _ in range(5))

        until(back, 5, "the answers of before")
        verdict = load.interrupt()
    assert answered(verdict).keys() <= {sound, second, third}


def test_D14_row_1_a_version_that_fails_one_in_five_is_off_and_no_client_sees_it(
    gated: Installation, versions: Mapping[str, str], tmp_path: Path
) -> None:
    """Without a shadow: stable answers in its place, until the gate has seen enough."""
    sound, failing = versions["sound"], versions["fails a fifth"]
    gated.serves(sound)
    gated.upgrade("--set=rollout.shadow.enabled=false")
    with load_test(gated.url, tmp_path, *LOAD) as load:
        gated.want(failing)
        stopped = wait(gated, "GateFailed", failing)
        assert stopped.message.startswith("errors: ")
        gated.serves(sound, 10)
        verdict = load.interrupt()
    counts = answered(verdict)
    assert 0 < counts[failing] < counts[sound]
    assert verdict.report
    assert sum(row["fallbacks"] for row in verdict.report["answered_by"]) > 0


def test_row_4_B17_an_alias_that_moves_starts_a_rollout_and_a_refused_version_waits_for_it_to_move(
    kind: KindServer, gated: Installation, versions: Mapping[str, str], tmp_path: Path
) -> None:
    """Row 4: within one poll; the server says which version was refused, and which promoted."""
    sound, biased, better = versions["sound"], versions["x 0.7"], versions["2 % higher"]
    gated.upgrade("--set=rollout.shadow.enabled=true", f"--set=controller.aliasSeconds={POLL}")
    gated.serves(sound)
    with tracking(kind) as address, load_test(gated.url, tmp_path, *LOAD) as load:
        client = MlflowClient(address, address)

        def version(run_id: str) -> Any:
            [found] = client.search_model_versions(f"run_id = '{run_id}'")
            return found

        def move(run_id: str) -> None:
            client.set_registered_model_alias(NAME, ALIAS, version(run_id).version)

        move(sound)
        gated.slipway("set-model", f"models:/{NAME}@{ALIAS}")
        wait(gated, "AlreadyServing", sound)

        move(biased)
        wait(gated, "Started", biased, POLL + 2)
        wait(gated, "GateFailed", biased)
        load.go_on(2 * POLL)
        assert [e.reason for e in state(gated).history if e.run_id == biased].count("Started") == 1

        move(better)
        wait(gated, "Promoted", better)
        verdict = load.interrupt()
        until(lambda: "slipway.outcome" in version(better).tags, 30, "the version to be tagged")
        assert version(biased).tags["slipway.outcome"] == "refused"
        assert version(better).tags["slipway.outcome"] == "promoted"
        client.delete_registered_model_alias(NAME, ALIAS)
    assert set(answered(verdict)) == {sound, better}
