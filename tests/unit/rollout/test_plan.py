"""What follows from a state alone."""

from __future__ import annotations

import dataclasses

import pytest
from msgspec.structs import replace
from tests.unit.rollout.scene import Scene, release, serving
from tests.unit.rollout.windows import CANDIDATE, STABLE, state

from slipway.rollout.plan import fills_of, measure_of, routing_of, wants_resolution, watched
from slipway.rollout.snapshot import Desired, Problem
from slipway.rollout.state import Accepted, Phase, State


@pytest.mark.parametrize("phase", ["shadow", "canary", "promoted"])
def test_the_weights_add_up_to_the_whole(phase: Phase) -> None:
    table = routing_of(state(phase))
    assert sum(row["weight"] for row in table["slots"].values()) == 10_000
    assert table["epoch"] == 5


def test_a_failed_or_prepared_candidate_is_not_in_the_table() -> None:
    prepared = replace(state("shadow"), phase="preparing")
    failed = replace(state("shadow"), phase="aborted", spare=replace(CANDIDATE, role="failed"))
    for found in (prepared, failed):
        assert list(routing_of(found)["slots"]) == ["blue"]
        assert routing_of(found)["shadow"] is None


def test_policy_numbers_reach_the_table() -> None:
    policy = replace(State().policy, force_role=True, sample=50.0)
    table = routing_of(State(policy=policy))
    assert (table["force_role"], table["sample"]) == (True, 5000)


def test_a_direct_promotion_is_not_watched() -> None:
    assert watched(state("promoted"))
    assert watched(replace(state("promoted"), path="direct")) is None


def test_what_is_measured_names_both_sides() -> None:
    canary, watch = measure_of(state("canary")), measure_of(state("promoted"))
    assert canary
    assert watch
    assert (canary.candidate, canary.control, canary.mirrored) == (CANDIDATE, STABLE, False)
    assert (watch.candidate, watch.mirrored) == (STABLE, True)
    assert measure_of(State()) is None


def test_a_slot_with_traffic_is_never_filled() -> None:
    """I3, whatever its pods and document say."""
    scene = serving("careful")
    scene.want(release("b"))
    scene.tick(4)
    assert scene.phase() == "shadow"
    scene.slots["green"].digest = scene.slots["green"].release = None  # type: ignore[assignment]
    assert fills_of(scene.stored, scene.snapshot(), acked=True) == ()


def test_an_empty_slot_that_somebody_scaled_up_goes_back_to_zero() -> None:
    scene = serving("fast")
    scene.slots["green"].replicas = 3
    scene.settle()
    assert scene.slots["green"].replicas == 0


def test_D16_stables_size_is_the_users_and_a_candidate_takes_it_over() -> None:
    scene = serving("careful")
    scene.slots["blue"].replicas = 5
    scene.want(release("b"))
    scene.tick(6)
    assert (scene.slots["blue"].replicas, scene.slots["green"].replicas) == (5, 5)


@pytest.mark.parametrize(
    ("reference", "mark", "wanted"),
    [
        ("models:/ride/1", "1", False),
        ("models:/ride/1", "2", True),
        ("models:/ride@champion", "1", True),
        ("", "1", False),
    ],
)
def test_a_reference_is_resolved_once_unless_it_moves(
    reference: str, mark: str, wanted: bool
) -> None:
    known = State(desired=Accepted(reference, "1", "sha256:1"))
    desired = Desired(reference, mark)
    assert wants_resolution(known, desired) == wanted
    assert wants_resolution(None, desired) == bool(reference)
    problem = dataclasses.replace(desired, problem=Problem("InvalidConfig", ""))
    assert not wants_resolution(known, problem)


def test_a_place_without_deployments_is_left_alone() -> None:
    scene = Scene(slots={})
    scene.want(release("a"))
    scene.tick(20)
    assert scene.phase() == "preparing"
    assert scene.stored.condition
    assert "no Deployment" in scene.stored.condition.message
