"""Given an installation that serves, when what stands around it is gone, then it goes on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cluster_worlds import FULLNAME
from tests.containers import docker
from tests.kind_installation import NODE, Installation, scaled_to_zero
from tests.kind_server import KindServer
from tests.load_test import load_test
from tests.waiting import until

pytestmark = [pytest.mark.platform, pytest.mark.kind, pytest.mark.timeout(400)]

LOAD = ("--rate", "20", "--seconds", "600")


def test_R17_B10_without_the_tracking_server_pods_come_back_and_more_can_come(
    kind: KindServer, shop: Installation, tmp_path: Path
) -> None:
    """R17, B10, A1: a deleted pod and one more; who asks meanwhile notices nothing."""
    with load_test(shop.url, tmp_path, *LOAD) as load:
        with scaled_to_zero(kind, "mlflow"):
            replace_a_pod(shop)
            size(shop, 3)
            size(shop, 2)
        verdict = load.interrupt()
    assert verdict.code == 0, verdict.said


def test_R17_B9_C10_row_3_without_store_and_DNS_too_the_claim_is_enough(
    kind: KindServer, shop: Installation, tmp_path: Path
) -> None:
    """R17, B9, C10: with the cache kept in a claim a deleted pod serves the same bytes again."""
    digest = shop.routing["slots"]["blue"]["digest"]
    with load_test(shop.url, tmp_path, *LOAD) as load:
        with (
            scaled_to_zero(kind, "coredns", namespace="kube-system"),
            scaled_to_zero(kind, "mlflow", "s3"),
        ):
            new = replace_a_pod(shop)
            found = shop.server.text(f"{shop.core}/pods/{new}:9697/proxy/sample")
        verdict = load.interrupt()
    assert verdict.code == 0, verdict.said
    assert json.loads(found)["digest"] == digest


def test_F1_a_restart_of_the_node_changes_neither_state_nor_model(
    kind: KindServer, shop: Installation, runs: tuple[str, str]
) -> None:
    """F1: everything is back by itself within two minutes, with the same weights and run."""
    before = what_is_kept(shop)

    docker("restart", NODE)

    until(kind.answers, 120, "the API server to be ready")
    until(lambda: shop.predict()[0] == 200, 120, "an answer")
    shop.serves(runs[0])
    until(lambda: all_ready(shop), 120, "all pods to be ready")
    assert what_is_kept(shop) == before


def replace_a_pod(shop: Installation) -> str:
    """Delete one of stable's pods; the name of the one that is ready in its place."""
    before = shop.pods("slot")
    # One that a smaller size has already sent away is replaced by nobody.
    staying = {n for n, pod in before.items() if "deletionTimestamp" not in pod["metadata"]}
    shop.kubectl("delete", "pod", min(staying), "--wait=false")
    new = until(lambda: set(shop.pods("slot")) - set(before), 60, "another pod").pop()
    shop.kubectl("wait", f"pod/{new}", "--for=condition=Ready", "--timeout=90s")
    return new


def size(shop: Installation, replicas: int) -> None:
    """`kubectl scale` of stable's slot, and wait."""
    name = f"deployment/{FULLNAME}-blue"
    shop.kubectl("scale", name, f"--replicas={replicas}")
    shop.kubectl("rollout", "status", name, "--timeout=90s")


def all_ready(shop: Installation) -> bool:
    """Whether every Deployment has as many ready pods as it wants."""
    deployments = shop.server.ask("GET", f"{shop.apps}/deployments")["items"]
    return all(
        each["spec"]["replicas"] == each["status"].get("readyReplicas", 0) for each in deployments
    )


def what_is_kept(shop: Installation) -> dict[str, Any]:
    """Of the controller's documents: what no restart may change."""
    state = shop.document("state")
    kept = {key: state[key] for key in ("stable", "candidate", "weight", "promoted")}
    return {**kept, "slots": shop.routing["slots"]}
