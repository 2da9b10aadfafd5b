"""Given a candidate with half of the traffic, whatever happens to the cluster, it keeps that half.

Each story begins and ends there: nobody has promoted it, and the gates have passed it anew.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.cluster_worlds import FULLNAME
from tests.containers import docker
from tests.kind_installation import NODE, RELEASE, Installation, other_image, scaled_to_zero
from tests.kind_rollout import answered, state, wait
from tests.kind_server import KindServer
from tests.load_test import LoadTest, load_test
from tests.waiting import until

from slipway.cluster.protocol import Document
from slipway.rollout.state import Entry, State
from slipway.rollout.state_document import read_state

pytestmark = [
    pytest.mark.platform,
    pytest.mark.kind,
    pytest.mark.long,
    pytest.mark.timeout(600),
]

LOAD = ("--rate", "40", "--seconds", "600")
CONTROLLER = f"{FULLNAME}-controller"
# A person takes the last step, so it stays half-way for as long as a story needs. What a busy
# machine does to latencies is not what is told here.
HALFWAY = {
    "slots": {"replicas": 1},
    "rollout": {
        "preset": "test",
        "auto": False,
        "shadow": {"enabled": False},
        "gates": {"latency": {"decides": False}},
    },
}


@pytest.fixture(scope="module")
def place(kind: KindServer, versions: Mapping[str, str]) -> Iterator[Installation]:
    """An installation that serves the sound model, named by Helm."""
    installation = Installation(kind, f"story-{os.getpid()}-halfway")
    try:
        installation.install_chart({"model": {"runId": versions["sound"]}, **HALFWAY})
        installation.serves(versions["sound"])
        yield installation
    finally:
        installation.remove()


@pytest.fixture
def halfway(place: Installation, versions: Mapping[str, str]) -> Installation:
    """Given a candidate with half of the traffic."""
    found = state(place)
    assert found.stable
    assert found.stable.release.run_id == versions["sound"]
    if found.phase != "canary":
        place.want(versions["sound"])
        place.serves(versions["sound"])
        place.want(versions["2 % higher"])
        until(lambda: state(place).phase == "canary", 90, "the canary")
    return place


@contextlib.contextmanager
def kept(place: Installation, folder: Path) -> Iterator[LoadTest]:
    """Load, in which no request fails; at the end all is as it was, and the gates pass again."""
    before = placed(place)
    with load_test(place.url, folder, *LOAD) as load:
        goes_on(place)
        yield load
        goes_on(place)
        load.go_on(5)
        verdict = load.interrupt()
    assert placed(place) == before
    counts = answered(verdict)
    assert len(counts) == 2, counts


def placed(place: Installation) -> dict[str, Any]:
    """Which versions have which part of the traffic."""
    found = state(place)
    sides = (found.stable, found.spare)
    return {
        "phase": found.phase,
        "weight": found.weight,
        "releases": [(each.role, each.slot, each.release.run_id) for each in sides if each],
    }


def goes_on(place: Installation, seconds: float = 90) -> None:
    """Until a controller has measured anew and says that all gates pass."""

    def look() -> bool:
        found = told(place)
        reason = (found["condition"] or {}).get("reason")
        return bool(found["window"]) and reason == "WaitsForPromote"

    until(look, seconds, "gates that pass")


def told(place: Installation) -> dict[str, Any]:
    """What `slipway status` says."""
    found: dict[str, Any] = json.loads(place.slipway("status", "--output", "json"))
    return found


def ready(place: Installation, *deployments: str) -> None:
    """Until these have the pods that they want."""
    for name in deployments:
        place.kubectl("rollout", "status", f"deployment/{FULLNAME}-{name}", "--timeout=180s")


def test_D19_row_10_an_upgrade_with_unrelated_values_leaves_the_weights(
    halfway: Installation, tmp_path: Path
) -> None:
    epoch = state(halfway).epoch
    with kept(halfway, tmp_path):
        halfway.upgrade("--set=controller.resources.requests.cpu=21m")
        ready(halfway, "controller")
    assert state(halfway).epoch == epoch


def test_D19_row_10_another_image_leaves_the_weights_and_the_window_begins_anew(
    halfway: Installation, tmp_path: Path
) -> None:
    """All parts roll at once; counts of pods that come and go are none of a comparison."""
    with other_image(halfway) as tag, kept(halfway, tmp_path):
        halfway.upgrade("--set-string", f"image.tag={tag}")
        ready(halfway, "blue", "green", "router", "controller")
        halfway.upgrade("--set-string", f"image.tag={halfway.image.partition(':')[2]}")
        ready(halfway, "blue", "green", "router", "controller")


def test_D1_row_10_a_restarted_controller_starts_no_rollout(
    halfway: Installation, tmp_path: Path
) -> None:
    epoch = state(halfway).epoch
    with kept(halfway, tmp_path):
        halfway.kubectl("rollout", "restart", f"deployment/{CONTROLLER}")
        ready(halfway, "controller")
    assert state(halfway).epoch == epoch


def test_D1_without_a_controller_for_a_minute_the_weights_stay(
    kind: KindServer, halfway: Installation, tmp_path: Path
) -> None:
    """The window of the time before is thrown away: nobody knows what happened in between."""
    with kept(halfway, tmp_path) as load:
        with scaled_to_zero(kind, CONTROLLER, namespace=halfway.namespace):
            before = time.monotonic()
            load.go_on(60)
        goes_on(halfway)
        assert told(halfway)["window"]["seconds"] < time.monotonic() - before


def test_D2_without_an_API_server_for_half_a_minute_the_weights_stay(
    kind: KindServer, halfway: Installation, tmp_path: Path
) -> None:
    """D2: routers go by the table that they have; the controller is back within 30 s."""
    with kept(halfway, tmp_path) as load:
        manifest = "/etc/kubernetes/manifests/kube-apiserver.yaml"
        docker("exec", NODE, "mv", manifest, "/root/kube-apiserver.yaml")
        try:
            until(lambda: not kind.answers(), 60, "the API server to be gone")
            load.go_on(30)
        finally:
            docker("exec", NODE, "mv", "/root/kube-apiserver.yaml", manifest)
        until(kind.answers, 120, "the API server to be back")


def test_C4_a_router_that_is_deleted_leaves_without_a_failed_request(
    halfway: Installation, tmp_path: Path
) -> None:
    with kept(halfway, tmp_path):
        halfway.kubectl("delete", "pod", min(halfway.pods("router")))
        ready(halfway, "router")


def test_D7_of_two_controllers_one_acts(halfway: Installation, tmp_path: Path) -> None:
    """D7: the other one waits for the lease, and takes over where the first is killed."""
    epoch = state(halfway).epoch
    with kept(halfway, tmp_path):
        halfway.kubectl("scale", f"deployment/{CONTROLLER}", "--replicas=2")
        ready(halfway, "controller")
        assert sorted(leading(halfway).values()) == [False, True]
        [leader] = [name for name, leads in leading(halfway).items() if leads]
        halfway.kubectl("delete", "pod", leader, "--grace-period=0", "--force")
        until(lambda: any(leading(halfway).values()), 60, "another leader")
        halfway.kubectl("scale", f"deployment/{CONTROLLER}", "--replicas=1")
        ready(halfway, "controller")
        until(lambda: list(leading(halfway).values()) == [True], 60, "one controller")
    assert state(halfway).epoch == epoch


def leading(place: Installation) -> dict[str, bool]:
    """Controller's pod -> whether it leads, of those that answer."""
    found = {}
    for name in place.pods("controller"):
        with contextlib.suppress(OSError):
            said = place.server.text(f"{place.core}/pods/{name}:9699/proxy/status")
            found[name] = bool(json.loads(said)["leads"])
    return found


def test_D16_traffic_and_pods_changed_by_hand_are_put_back_without_a_fight(
    halfway: Installation, tmp_path: Path
) -> None:
    """The table's weights once; the candidate's pods are asked for as the policy has them."""
    with kept(halfway, tmp_path):
        epoch = halfway.routing["epoch"]
        table = halfway.routing
        table["slots"]["blue"]["weight"], table["slots"]["green"]["weight"] = 10_000, 0
        data = json.dumps({"data": {"routing.json": json.dumps(table)}})
        halfway.kubectl(
            "patch", "configmap", f"{FULLNAME}-routing", "--type=merge", f"--patch={data}"
        )
        until(lambda: halfway.routing["slots"]["green"]["weight"] == 5000, 20, "the weights")
        # At most three writes, and then rest.
        assert halfway.routing["epoch"] <= epoch + 3
        rested = halfway.routing["epoch"]
        goes_on(halfway)
        assert halfway.routing["epoch"] == rested


def test_B18_B19_a_broken_or_deleted_model_document_changes_nothing(
    halfway: Installation, versions: Mapping[str, str], tmp_path: Path
) -> None:
    """F-model deleted, written without sense, and restored: the same rollout goes on."""
    name = f"{FULLNAME}-model"
    document = halfway.get("configmap", name)
    with kept(halfway, tmp_path) as load:
        halfway.want("no run; $(id)")
        until(lambda: invalid(halfway), 20, "the condition")
        load.go_on(5)
        halfway.kubectl("delete", "configmap", name)
        load.go_on(10)
        again = {key: document[key] for key in ("apiVersion", "kind", "data")}
        metadata = document["metadata"]
        again["metadata"] = {k: metadata[k] for k in ("name", "labels", "annotations")}
        halfway.apply(again)
        halfway.want(versions["2 % higher"])


def invalid(place: Installation) -> bool:
    """Whether status says that what is wanted cannot be read."""
    return bool((told(place)["condition"] or {}).get("reason") == "InvalidConfig")


def test_F1_after_a_restart_of_the_node_the_rollout_goes_on(
    kind: KindServer, halfway: Installation, tmp_path: Path
) -> None:
    """Requests fail while the node is away; that is what a second node is for."""
    before = placed(halfway)
    docker("restart", NODE)
    until(kind.answers, 120, "the API server to be ready")
    until(lambda: halfway.predict()[0] == 200, 120, "an answer")
    ready(halfway, "blue", "green", "router", "controller")
    with kept(halfway, tmp_path):
        assert placed(halfway) == before


@pytest.mark.parametrize("harm", ["deleted", "broken"])
def test_D18_after_a_lost_state_the_candidate_is_off_and_stables_pods_are_the_same(
    halfway: Installation, versions: Mapping[str, str], tmp_path: Path, harm: str
) -> None:
    name = f"{FULLNAME}-state"
    before, history = identities(stable_pods(halfway)), state(halfway).history
    with load_test(halfway.url, tmp_path, *LOAD) as load:
        goes_on(halfway)
        if harm == "deleted":
            halfway.kubectl("delete", "configmap", name)
        else:
            patch = json.dumps({"data": {"state.json": "{"}})
            halfway.kubectl("patch", "configmap", name, "--type=merge", f"--patch={patch}")
        until(lambda: rebuilt(halfway, history), 30, "a rebuilt state")
        # What is wanted is what was wanted, so it is tried again, from the first step on.
        until(lambda: state(halfway).phase == "canary", 120, "the canary")
        goes_on(halfway)
        verdict = load.interrupt()
    answered(verdict)
    assert identities(stable_pods(halfway)) == before
    found = state(halfway)
    assert found.stable
    assert found.stable.release.run_id == versions["sound"]


def rebuilt(place: Installation, before: Sequence[Entry]) -> bool:
    """Whether the state is there, with a history that begins with its being lost."""
    found = read_state(Document("state", place.document("state")))
    return (
        isinstance(found, State)
        and bool(found.history)
        and found.history[0].reason == "Rebuilt"
        and found.history[0] not in before
    )


def stable_pods(place: Installation) -> dict[str, Any]:
    """The pods of the slot that is stable."""
    found = state(place).stable
    assert found
    path = f"{place.core}/pods?labelSelector=slipway.io/slot={found.slot}"
    items = place.server.ask("GET", path)["items"]
    return {pod["metadata"]["name"]: pod for pod in items}


def identities(pods: Mapping[str, Any]) -> dict[str, int]:
    """Pod's uid -> restarts of its container."""
    return {
        pod["metadata"]["uid"]: pod["status"]["containerStatuses"][0]["restartCount"]
        for pod in pods.values()
    }


def test_D19_R13_helm_rollback_to_stables_own_model_takes_the_candidate_off_without_analysis(
    halfway: Installation, versions: Mapping[str, str], tmp_path: Path
) -> None:
    """To a revision that names stable: weight 0; to one that names a third: it supersedes."""
    sound, second, third = (versions[n] for n in ("sound", "2 % higher", "1 % lower"))
    halfway.upgrade(f"--set=model.runId={third}")
    to_third = halfway.revision()
    halfway.upgrade(f"--set=model.runId={sound}")
    to_sound = halfway.revision()
    halfway.serves(sound)
    halfway.upgrade(f"--set=model.runId={second}")
    until(lambda: state(halfway).phase == "canary", 90, "the canary")
    with load_test(halfway.url, tmp_path, *LOAD) as load:
        goes_on(halfway)
        halfway.helm("rollback", RELEASE, str(to_sound), "--wait", "--timeout=3m")
        until(lambda: state(halfway).phase == "idle", 30, "no candidate")
        halfway.serves(sound, 10)
        until(lambda: answers_of(halfway) == {sound}, 10, "answers of stable alone")
        halfway.upgrade(f"--set=model.runId={second}")
        until(lambda: state(halfway).phase == "canary", 90, "the canary")
        goes_on(halfway)
        halfway.helm("rollback", RELEASE, str(to_third), "--wait", "--timeout=3m")
        wait(halfway, "Superseded", second)
        wait(halfway, "StepStarted", third)
        verdict = load.interrupt()
    assert set(answered(verdict)) <= {sound, second, third}
    halfway.upgrade(f"--set=model.runId={sound}")
    halfway.serves(sound)


def answers_of(place: Installation) -> set[str]:
    """Who answers twenty requests."""
    return {place.predict()[1]["model_version"] for _ in range(20)}


def test_B20_of_a_hundred_edits_in_ten_seconds_the_last_one_wins(
    halfway: Installation, versions: Mapping[str, str], tmp_path: Path
) -> None:
    """One rollout is started, of the last; stable answers all the time."""
    second, third = versions["2 % higher"], versions["1 % lower"]
    with load_test(halfway.url, tmp_path, *LOAD) as load:
        goes_on(halfway)
        path = f"{halfway.core}/configmaps/{FULLNAME}-model"
        before = state(halfway).history
        for number in range(100):
            wanted = third if number % 2 else second
            patch = {"data": {"MODEL_RUN_ID": wanted}}
            halfway.server.ask("PATCH", path, patch, "merge-patch+json")
            time.sleep(0.1)
        wait(halfway, "StepStarted", third, 120)
        verdict = load.interrupt()
    answered(verdict)
    started = [e for e in state(halfway).history if e.reason == "Started" and e not in before]
    assert [entry.run_id for entry in started] == [third]
    halfway.want(versions["sound"])
    halfway.serves(versions["sound"])


def test_row_15_at_the_end_a_person_promotes_and_all_of_the_traffic_moves(
    halfway: Installation, versions: Mapping[str, str], tmp_path: Path
) -> None:
    second = versions["2 % higher"]
    with load_test(halfway.url, tmp_path, *LOAD) as load:
        goes_on(halfway)
        halfway.slipway("promote", "--reason", "the story says so")
        halfway.serves(second)
        verdict = load.interrupt()
    assert second in answered(verdict)
    assert "the story says so" in halfway.slipway("history", "--output", "wide")
