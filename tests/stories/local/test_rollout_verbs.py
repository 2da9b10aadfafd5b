"""Rollouts on one machine: the shipped processes under load, moved by the verbs that people type.

The policy `fast` (self-test, then all traffic) needs no measuring, so these stories are about what
happens to requests while slots fill, traffic moves, and people change their minds. They share one
installation: each begins with the version that the last one left.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from tests.artifacts import Versions
from tests.load import Load
from tests.local_installation import LocalInstallation, installed
from tests.waiting import until

pytestmark = pytest.mark.shared

# At so many a second: what is started needs the processors too, and one rollout still sees 2,000.
MOST, RATE = 200_000, 300
FAST = "preset: fast\nreplicas: 1\n"


@pytest.fixture(scope="module")
def shared(versions: Versions) -> Iterator[LocalInstallation]:
    with installed("--model", versions.first) as installation:
        installation.wait_idle()
        yield installation


@pytest.fixture
def place(shared: LocalInstallation) -> LocalInstallation:
    """One that serves a sound version, at rest."""
    shared.wait_rest()
    return shared


def test_verbs_that_cannot_be_done_say_why(place: LocalInstallation) -> None:
    """The first story: of the first version there is nothing to go back to."""
    for verb in ("promote", "pause", "resume", "abort", "rollback"):
        refused = place.run(verb)
        assert refused.returncode == 1, refused.stderr
        assert refused.stderr.startswith("slipway: RequestRefused: "), refused.stderr
    nowhere = place.run("set-model", "no reference")
    assert nowhere.returncode == 2


def test_R13_R20_a_good_model_gets_all_traffic_and_a_rollback_takes_5_s_without_a_failed_request(
    place: LocalInstallation, versions: Versions
) -> None:
    _, slot = place.stable()
    former, other = place.digest(slot), {"blue": "green", "green": "blue"}[slot]
    with Load(place.port, limit=MOST, rate=RATE) as load:
        load.wait(500)
        under_way = load.phase("rolling out")
        place.done("set-model", versions.next(), "--wait", "--timeout", "60")
        new = load.phase("new")
        load.wait(500)
        load.phase("rolling back")
        began = time.monotonic()
        told = place.done("rollback", "--reason", "a story", "--wait", "--timeout", "5")
        assert time.monotonic() - began < 10, "the command itself starts in some seconds"
        back = load.phase("back")
        load.wait(500)
    assert load.failed == 0, load.told()
    assert "its processes are ready: all traffic is back within 5 s" in told
    # Every answer names the version that the slot it came from has loaded, in mid-rollout too.
    before, after = (slot, former[:12]), (other, place.digest(other)[:12])
    assert set(load.phases["begin"].versions) == {before}, load.told()
    assert set(under_way.versions) == {before, after}, load.told()
    assert set(new.versions) == {after}, load.told()
    assert set(back.versions) == {before}, load.told()
    assert place.reasons()[-2:] == ["RolledBack", "ReturnToWarm"]


def test_what_was_rolled_back_is_not_tried_again_until_it_is_wanted_again(
    place: LocalInstallation, versions: Versions
) -> None:
    (first, _), second = place.stable(), versions.next()
    started = place.reasons().count("Started")
    place.done("set-model", second, "--wait", "--timeout", "60")
    place.done("rollback", "--wait")
    refused = place.run("status", "--wait", "--timeout", "5")
    assert refused.returncode == 5
    assert "is refused; `slipway retry` or `set-model` asks for it again" in refused.stderr
    assert place.stable()[0] == first
    assert place.reasons().count("Started") == started + 1
    place.done("set-model", second, "--wait", "--timeout", "60")
    assert place.stable()[0] == second


def test_a_third_release_supersedes_the_second(
    place: LocalInstallation, versions: Versions
) -> None:
    third = versions.next()
    with Load(place.port, limit=MOST, rate=RATE) as load:
        load.wait(200)
        place.done("set-model", versions.next())
        place.done("set-model", third, "--wait", "--timeout", "90")
        load.wait(200)
    assert load.failed == 0, load.told()
    assert place.stable()[0] == third


def test_a_cold_rollback_is_said_to_be_one_and_takes_less_than_60_s(
    place: LocalInstallation, versions: Versions
) -> None:
    _, slot = place.stable()
    place.set_policy(f"{FAST}keepWarm: 1\n")
    place.done("set-model", versions.next(), "--wait", "--timeout", "60")

    def released() -> bool:
        gone = not place.status()["slots"][slot]["ready"]
        return gone and place.reasons()[-1] == "WarmReleased"

    until(released, 40, "the warm version to be let go")
    place.set_policy(FAST)
    with Load(place.port, limit=MOST, rate=RATE) as load:
        load.wait(200)
        told = place.done("rollback", "--wait", "--timeout", "60")
        back = load.phase("back")
        load.wait(200)
    assert "have to be started: all traffic is back within 60 s" in told
    assert load.failed == 0, load.told()
    assert set(back.slots) == {slot}, load.told()
