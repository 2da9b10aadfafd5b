"""Rollouts on one machine: the shipped processes under load, moved by the verbs that people type.

The policy `fast` (self-test, then all traffic) needs no measuring, so these stories are about what
happens to requests while slots fill, traffic moves, and people change their minds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.artifacts import ride_pipeline, save_ride_model
from tests.load import Load
from tests.local_installation import LocalInstallation, installed
from tests.waiting import until

pytestmark = pytest.mark.alone

# At this many a second or fewer: the promise is that none fails, not how many there are.
MOST = 200_000


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Three sound models of different bytes, and one whose file is cut off."""
    folder = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(("a", "b", "c", "corrupt"), 1):
        save_ride_model(folder / name, pipeline=ride_pipeline(seed=seed))
    cut = folder / "corrupt" / "model.skops"
    cut.write_bytes(cut.read_bytes()[:1000])
    return {name: str(folder / name) for name in ("a", "b", "c", "corrupt", "missing")}


@pytest.fixture
def place(models: dict[str, str]) -> Iterator[LocalInstallation]:
    """One that serves the first model, at rest."""
    with installed("--model", models["a"]) as installation:
        installation.wait_idle()
        yield installation


def test_R13_a_good_model_gets_all_traffic_and_a_rollback_takes_5_s_without_a_failed_request(
    place: LocalInstallation, models: dict[str, str]
) -> None:
    with Load(place.port, limit=MOST, clients=2) as load:
        load.wait(500)
        load.phase("rolling out")
        place.done("set-model", models["b"], "--wait", "--timeout", "60")
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
    assert set(load.phases["begin"].slots) == {"blue"}, load.told()
    assert set(new.slots) == {"green"}, load.told()
    assert set(back.slots) == {"blue"}, load.told()
    assert place.reasons()[-2:] == ["RolledBack", "ReturnToWarm"]


def test_what_was_rolled_back_is_not_tried_again_until_it_is_wanted_again(
    place: LocalInstallation, models: dict[str, str]
) -> None:
    place.done("set-model", models["b"], "--wait", "--timeout", "60")
    place.done("rollback", "--wait")
    refused = place.run("status", "--wait", "--timeout", "5")
    assert refused.returncode == 5
    assert "is refused; `slipway retry` or `set-model` asks for it again" in refused.stderr
    assert place.status()["stable"]["reference"] == models["a"]
    assert place.reasons().count("Started") == 2
    place.done("set-model", models["b"], "--wait", "--timeout", "60")
    assert place.status()["stable"]["reference"] == models["b"]


@pytest.mark.parametrize("kind", ["corrupt", "missing"])
def test_a_model_that_cannot_be_had_leaves_the_old_one_serving(
    place: LocalInstallation, models: dict[str, str], kind: str
) -> None:
    with Load(place.port, limit=MOST, clients=2) as load:
        load.wait(200)
        wrong = place.run("set-model", models[kind], "--wait", "--timeout", "60")
        load.wait(200)
    assert wrong.returncode == {"corrupt": 5, "missing": 3}[kind], wrong.stderr
    assert load.failed == 0, load.told()
    assert place.status()["stable"]["reference"] == models["a"]
    said = place.done("explain")
    assert "What can be done:" in said
    if kind == "corrupt":
        assert place.status()["phase"] == "aborted"
        place.done("retry")
        assert "Retried" in place.reasons()


def test_a_third_release_supersedes_the_second(
    place: LocalInstallation, models: dict[str, str]
) -> None:
    with Load(place.port, limit=MOST, clients=2) as load:
        load.wait(200)
        place.done("set-model", models["b"])
        place.done("set-model", models["c"], "--wait", "--timeout", "90")
        load.wait(200)
    assert load.failed == 0, load.told()
    assert place.status()["stable"]["reference"] == models["c"]


def test_a_cold_rollback_is_said_to_be_one_and_takes_less_than_60_s(
    models: dict[str, str], tmp_path: Path
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("preset: fast\nreplicas: 1\nkeepWarm: 1\n")
    with installed("--model", models["a"], "--policy", str(policy)) as place:
        place.wait_idle()
        place.done("set-model", models["b"], "--wait", "--timeout", "60")

        def released() -> bool:
            gone = not place.status()["slots"]["blue"]["ready"]
            return gone and "WarmReleased" in place.reasons()

        until(released, 40, "the warm version to be let go")
        with Load(place.port, limit=MOST, clients=2) as load:
            load.wait(200)
            told = place.done("rollback", "--wait", "--timeout", "60")
            back = load.phase("back")
            load.wait(200)
        assert "have to be started: all traffic is back within 60 s" in told
        assert load.failed == 0, load.told()
        assert set(back.slots) == {"blue"}, load.told()


def test_verbs_that_cannot_be_done_say_why(place: LocalInstallation) -> None:
    for verb in ("promote", "pause", "resume", "abort", "rollback"):
        refused = place.run(verb)
        assert refused.returncode == 1, refused.stderr
        assert refused.stderr.startswith("slipway: RequestRefused: "), refused.stderr
    nowhere = place.run("set-model", "no reference")
    assert nowhere.returncode == 2
