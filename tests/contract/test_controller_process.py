"""`slipway controller`, `set-model` and `status` as processes, against a real API server."""

from __future__ import annotations

import json
import re
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.cluster_worlds import KubeWorld
from tests.controller_process import Slipway, digest_of, two_models
from tests.documents import schemas
from tests.kube_apiserver import ApiServer, api_server
from tests.kube_hands import Hands, hands_on
from tests.service_process import get
from tests.waiting import until

pytestmark = pytest.mark.platform


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with api_server() as found:
        yield found


@pytest.fixture
def world(server: ApiServer, request: pytest.FixtureRequest) -> KubeWorld:
    return KubeWorld(server, re.sub("[^a-z0-9]+", "-", request.node.name.lower())[:60].strip("-"))


@pytest.fixture
def hands(world: KubeWorld) -> Iterator[Hands]:
    with hands_on(world) as found:
        yield found


@pytest.fixture(scope="module")
def models(ride_model: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return two_models(ride_model, tmp_path_factory.mktemp("models"))


@pytest.fixture
def slipway(world: KubeWorld) -> Iterator[Slipway]:
    with tempfile.TemporaryDirectory() as folder:
        yield Slipway(world, Path(folder))


def serves(hands: Hands, digest: str, seconds: float = 40) -> None:
    def look() -> bool:
        hands()
        return hands.serving() == {digest: 10_000}

    until(look, seconds, f"{digest} to serve")


def rests(hands: Hands, seconds: float = 40) -> None:
    def look() -> bool:
        hands()
        return (hands.read("state") or {}).get("phase") == "idle"

    until(look, seconds, "the rollout to be over")


def state(hands: Hands) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((hands.read("state") or {})["state.json"])
    return found


def steps(history: list[dict[str, Any]]) -> list[str]:
    """What happened; that it was being resolved is told only where that took a tick."""
    return [entry["reason"] for entry in history if entry["reason"] != "Resolving"]


def test_R49_installed_empty_then_a_model_named_then_another(
    hands: Hands, slipway: Slipway, models: list[str]
) -> None:
    with slipway.controlling() as controller:
        until(lambda: hands.read("routing"), 20, "the first table")
        hands()
        assert hands.loaded["waiting"] is False
        assert hands.serving() == {}
        empty = slipway.run("status")
        assert empty.returncode == 0
        assert "no model is named yet" in empty.stdout

        assert slipway.run("set-model", models[0]).returncode == 0
        serves(hands, digest_of(models[0]))
        rests(hands)
        assert slipway.run("set-model", models[1]).returncode == 0
        serves(hands, digest_of(models[1]))
        rests(hands)

        waited = slipway.run("status", "--wait", "--timeout", "30", "-o", "json")
        assert waited.returncode == 0
        shown = json.loads(waited.stdout)
        assert shown["stable"]["digest"] == digest_of(models[1])
        assert shown["spare"]["role"] == "warm"
        assert steps(shown["history"]) == ["Started", "Promoted", "WatchEnded"] * 2
        documents = {"state.json": state(hands)}
        documents["status.json"] = json.loads(get(f"{controller.url}/status")[1])
        for name, found in documents.items():
            jsonschema.validate(found, schemas()[name])
        assert (hands.read("state") or {})["promoted"]
        assert (hands.read("blue") or {})["MODEL_DIGEST"] == digest_of(models[0])
        assert (hands.read("green") or {})["MODEL_DIGEST"] == digest_of(models[1])


def test_the_controllers_port_tells_how_it_is(
    hands: Hands, slipway: Slipway, models: list[str]
) -> None:
    with slipway.controlling() as controller:
        slipway.run("set-model", models[0])
        serves(hands, digest_of(models[0]))
        rests(hands)
        assert get(f"{controller.url}/livez")[0] == 200
        assert get(f"{controller.url}/readyz")[0] == 200
        metrics = get(f"{controller.url}/metrics")[1].decode()
        assert 'slipway_rollout_phase{phase="idle"} 1.0' in metrics
        assert "slipway_rollout_weight 0.0" in metrics
        assert 'slipway_decisions_total{reason="Promoted",verb="none"} 1.0' in metrics
        assert get(f"{controller.url}/predict")[0] == 404
        status = json.loads(get(f"{controller.url}/status")[1])
        assert status["leads"] is True
        assert status["rollout"]["routers"][0]["loaded_epoch"] == hands.loaded["epoch"]


def test_a_wrong_reference_leaves_the_old_one_serving_and_says_why(
    hands: Hands, slipway: Slipway, models: list[str]
) -> None:
    with slipway.controlling():
        slipway.run("set-model", models[0])
        serves(hands, digest_of(models[0]))
        rests(hands)
        wrong = slipway.run("set-model", f"{models[0]}-not-there", "--wait", "--timeout", "40")
        assert wrong.returncode == 3
        assert "artifact missing" in wrong.stderr
        hands()
        assert hands.serving() == {digest_of(models[0]): 10_000}
        refused = slipway.run("set-model", "no reference")
        assert refused.returncode == 2
        assert "no model reference" in refused.stderr
        right = slipway.run("set-model", models[0], "--wait", "--timeout", "40")
        assert right.returncode == 0


def test_D11_a_candidate_that_cannot_start_is_aborted_and_stable_goes_on(
    hands: Hands, slipway: Slipway, models: list[str]
) -> None:
    hands.broken[digest_of(models[1])] = "VersionMismatch: made with another scikit-learn"
    with slipway.controlling():
        slipway.run("set-model", models[0])
        serves(hands, digest_of(models[0]))
        rests(hands)
        slipway.run("set-model", models[1])

        def look() -> bool:
            hands()
            return (hands.read("state") or {}).get("phase") == "aborted"

        until(look, 40, "the rollout to be aborted")
        waited = slipway.run("status", "--wait", "--timeout", "20")
        assert waited.returncode == 5
        assert "another scikit-learn" in waited.stderr
        assert hands.serving() == {digest_of(models[0]): 10_000}


@pytest.mark.parametrize("phase", ["at once", "preparing", "promoted"])
def test_D1_killed_in_the_middle_another_controller_goes_on(
    hands: Hands, slipway: Slipway, models: list[str], phase: str
) -> None:
    with slipway.controlling() as first:
        slipway.run("set-model", models[0])
        serves(hands, digest_of(models[0]))
        rests(hands)
        slipway.run("set-model", models[1])

        def look() -> bool:
            if phase == "promoted":
                hands()
            found = state(hands)
            # It may be over before it is seen; the kill is then at rest, which does no harm.
            return found["phase"] == phase or (found["phase"] == "idle" and phase == "promoted")

        if phase != "at once":
            until(look, 30, phase)
        first.process.send_signal(signal.SIGKILL)
        first.process.wait(10)
    with slipway.controlling():
        serves(hands, digest_of(models[1]))
        rests(hands)
    assert steps(state(hands)["history"]) == ["Started", "Promoted", "WatchEnded"] * 2


def test_D7_of_two_controllers_one_leads_and_the_other_follows_when_it_ends(
    hands: Hands, slipway: Slipway, models: list[str]
) -> None:
    with slipway.controlling() as first, slipway.controlling() as second:
        statuses = [json.loads(get(f"{each.url}/status")[1]) for each in (first, second)]
        assert [status["leads"] for status in statuses] == [True, False]
        slipway.run("set-model", models[0])
        serves(hands, digest_of(models[0]))
        assert first.stop() == 0

        def leads() -> bool:
            found: bool = json.loads(get(f"{second.url}/status")[1])["leads"]
            return found

        until(leads, 15, "the second to lead")
        slipway.run("set-model", models[1])
        serves(hands, digest_of(models[1]))
        assert not first.errors()
        assert not second.errors()


def test_D2_D3_the_api_server_silent_then_gone_then_back(
    server: ApiServer, hands: Hands, slipway: Slipway, models: list[str]
) -> None:
    with slipway.controlling() as controller:
        slipway.run("set-model", models[0])
        serves(hands, digest_of(models[0]))
        rests(hands)
        server.pause()

        def unready() -> bool:
            return get(f"{controller.url}/readyz")[0] == 503

        until(unready, 20, "the controller to say that it cannot look")
        assert get(f"{controller.url}/livez")[0] == 200
        server.resume()
        server.stop()
        until(unready, 20, "the controller to say that it cannot look")
        server.start()
        slipway.run("set-model", models[1])
        serves(hands, digest_of(models[1]), 30)
        assert controller.process.poll() is None
        assert not controller.errors()


def test_D17_a_missing_right_is_told_and_made_good_without_a_restart(
    world: KubeWorld, hands: Hands, slipway: Slipway, models: list[str]
) -> None:
    with slipway.controlling() as controller:
        slipway.run("set-model", models[0])
        serves(hands, digest_of(models[0]))
        world.unbind()

        def told() -> bool:
            return "no right to" in json.loads(get(f"{controller.url}/status")[1])["error"]

        until(told, 20, "the missing right to be named")
        world.may_edit()
        slipway.run("set-model", models[1])
        serves(hands, digest_of(models[1]))
        assert controller.process.poll() is None


def test_a_controller_that_starts_needs_no_machine_learning_libraries(
    hands: Hands, slipway: Slipway
) -> None:
    command = (sys.executable, "-X", "importtime", "-m", "slipway")
    with slipway.controlling(*command) as controller:
        until(lambda: hands.read("state"), 20, "the first tick")
        imported = controller.log.read_text()
    for library in ("mlflow", "sklearn", "pandas", "scipy", "skops", "pyarrow"):
        assert f"| {library}\n" not in imported.replace("|   ", "| ").replace("  ", "")


def test_an_installation_that_is_not_there_is_a_sentence(
    world: KubeWorld, slipway: Slipway
) -> None:
    for verb in (["status"], ["set-model", "models:/a/1"]):
        found = slipway.run(*verb)
        assert found.returncode == 3
        assert "there is no such installation here" in found.stderr
    assert world.view().read("model") is None


def test_R20_the_verbs_reach_the_controller_and_a_missing_right_is_named(
    world: KubeWorld, hands: Hands, slipway: Slipway, models: list[str]
) -> None:
    with slipway.controlling():
        for model in models:
            slipway.run("set-model", model)
            serves(hands, digest_of(model))
            rests(hands)
        refused = slipway.run("resume")
        assert refused.returncode == 1
        assert "RequestRefused: it is not paused" in refused.stderr
        back = slipway.run("rollback", "--reason", "looks odd")
        assert back.returncode == 0, back.stderr
        assert "all traffic is back within 5 s" in back.stderr
        serves(hands, digest_of(models[0]))
        assert "looks odd" in slipway.run("history").stdout
        world.unbind()
        denied = slipway.run("retry")
        assert denied.returncode == 1
        assert "no right to" in denied.stderr
