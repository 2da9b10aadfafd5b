"""Changes under load: tables, reloads, pods that come and go, a cluster that does not answer."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from tests.load import Load
from tests.raw_http import HOST, exchange, post
from tests.router_process import DIGESTS, RouterProcess, routing, table
from tests.service_process import serving, stub
from tests.stub_pods import StubPod, stub_pods
from tests.waiting import until

from slipway.cluster.protocol import Pod
from slipway.router.agent import layout_of
from slipway.router.choice import Pods
from slipway.router.nginx_conf import Limits
from slipway.router.nginx_process import NginxMaster, find_nginx
from slipway.router.route_conf import render_route

RIDE = b'{"PULocationID": 10, "DOLocationID": 50, "trip_distance": 4}'
RELOADS, REQUESTS = 100, 20_000


@pytest.fixture
def pods() -> Iterator[list[StubPod]]:
    with stub_pods("blue", "blue", "green") as started:
        yield started


@pytest.fixture
def router(pods: list[StubPod]) -> Iterator[RouterProcess]:
    with routing(table(weight=500), {"blue": pods[:2], "green": pods[2:]}) as running:
        yield running


def test_100_reloads_under_keep_alive_load_fail_no_request(
    router: RouterProcess, pods: list[StubPod]
) -> None:
    """Faster than the agent would: another weight as soon as the last one is loaded."""
    layout = layout_of(router.folder / "n")
    addresses: Pods = {"blue": [pod.address for pod in pods[:2]], "green": [pods[2].address]}
    master = NginxMaster("route", layout, find_nginx("nginx"))
    assert master.adopt()
    with Load(router.port, limit=10 * REQUESTS, fresh=lambda _: False) as load:
        for number in range(RELOADS):
            weighed = table(number + 1, weight=100 * number)
            rendered = render_route(weighed, addresses, layout, Limits())
            assert master.test(rendered.text) == ""
            master.install()
            assert master.reload(rendered.said)
            load.wait((number + 1) * REQUESTS // RELOADS)
    assert load.failed == 0, load.told()
    assert load.sent >= REQUESTS
    assert load.phases["begin"].slots["green"] > 100


def test_no_request_goes_the_old_way_once_a_table_is_acknowledged(router: RouterProcess) -> None:
    """A slot is changed only after that, so nothing may reach it then."""
    for epoch in range(2, 6):
        candidate = epoch % 2 == 0
        router.route(table(epoch, weight=10_000 if candidate else 0))
        router.wait(epoch)
        with Load(router.port, limit=200) as load:
            load.wait(200)
        assert set(load.phases["begin"].slots) == {"green" if candidate else "blue"}, load.told()


def test_C8_a_storm_of_tables_is_coalesced(router: RouterProcess) -> None:
    """60 tables as fast as they can be written: a reload a second, and the last one stays."""
    with Load(router.port, limit=50_000) as load:
        load.wait(100)
        for epoch in range(2, 62):
            router.route(table(epoch, weight=epoch * 50))
            load.wait(load.sent + 20)
        router.wait(61)
    assert load.failed == 0, load.told()
    until(lambda: _epochs(router)[-1] == 61, what="the last one to be logged")
    loaded = _epochs(router)
    assert loaded == sorted(loaded)
    assert len(loaded) < 20


def test_C9_all_pods_changing_fails_no_request(router: RouterProcess, pods: list[StubPod]) -> None:
    """One after another, as a rolling restart does it, and killed without any grace."""
    with stub_pods("blue", "blue") as new, Load(router.port, limit=50_000) as load:
        serving_now = [pods[0], pods[1]]
        for old, pod in zip(pods[:2], new, strict=True):
            load.wait(load.sent + 300)
            serving_now.append(pod)
            router.pods({"blue": serving_now, "green": pods[2:]})
            router.wait(1, pods=4)
            load.wait(load.sent + 100)
            serving_now.remove(old)
            old.kill()
            router.pods({"blue": serving_now, "green": pods[2:]})
            router.wait(1, pods=3)
        load.wait(load.sent + 300)
    assert load.failed == 0, load.told()
    assert sorted(router.status()["pods"]["blue"]) == sorted(pod.address for pod in new)


def test_A2_one_of_two_pods_killed_under_load_fails_no_request(
    router: RouterProcess, pods: list[StubPod]
) -> None:
    """The agent is not told: retry alone must cover it."""
    with Load(router.port, limit=10_000) as load:
        load.wait(500)
        killed = load.phase("killed")
        pods[0].kill()
        load.wait(2000)
    assert load.failed == 0, load.told()
    assert killed.answered >= 2000


def test_A1_a_real_pod_exchanged_by_SIGTERM_fails_no_request() -> None:
    """The old one is told to stop at the moment that it leaves the list, without a preStop."""
    with serving(command=stub("good")) as old, serving(command=stub("good")) as stays:
        first: Pods = {"blue": [f"{HOST}:{old.port}", f"{HOST}:{stays.port}"]}
        with routing(table(), first) as router, Load(router.port, limit=20_000) as load:
            load.wait(300)
            with serving(command=stub("good")) as new:
                router.pods({"blue": [*first["blue"], f"{HOST}:{new.port}"]})
                router.wait(1, pods=3)
                load.phase("exchanged")
                assert old.stop() == 0
                router.pods({"blue": [f"{HOST}:{stays.port}", f"{HOST}:{new.port}"]})
                load.wait(1000)
        assert load.failed == 0, load.told()


def test_A1_one_of_two_real_pods_killed_fails_no_request() -> None:
    """A2 with gunicorn: connections that nginx keeps break with it."""
    with serving(command=stub("good")) as one, serving(command=stub("good")) as other:
        first: Pods = {"blue": [f"{HOST}:{one.port}", f"{HOST}:{other.port}"]}
        with routing(table(), first) as router, Load(router.port, limit=20_000) as load:
            load.wait(300)
            load.phase("killed")
            os.killpg(one.pid, signal.SIGKILL)
            load.wait(2000)
        assert load.failed == 0, load.told()


def test_only_ready_pods_of_the_tables_digest_get_traffic(
    router: RouterProcess, pods: list[StubPod]
) -> None:
    def pod(number: int, *, ready: bool, digest: str) -> Pod:
        address = pods[number].address
        return Pod(f"p{number}", address, address, digest, ready)

    unfit = pod(0, ready=False, digest=DIGESTS["blue"]), pod(1, ready=True, digest=DIGESTS["green"])
    router.pods({"blue": [*unfit, pod(2, ready=True, digest=DIGESTS["blue"])], "green": []})
    until(lambda: router.status()["pods"]["blue"] == [pods[2].address], what="one pod to be left")


def test_without_a_stable_pod_there_is_an_error_that_says_so(router: RouterProcess) -> None:
    """Ready latches: a Service that vanishes says less."""
    router.pods({"blue": [], "green": []})
    router.wait(1, pods=0)
    answer = exchange(router.port, post(RIDE))
    assert answer.status == 503
    assert answer.headers["retry-after"] == "5"
    assert "no pod of the stable release" in answer.json()["detail"]
    assert router.status()["ready"]


def test_C5_a_refused_config_leaves_the_old_one_serving(
    router: RouterProcess, pods: list[StubPod]
) -> None:
    with Load(router.port, limit=20_000) as load:
        load.wait(100)
        router.pods({"blue": [*pods[:2], f"{HOST}:99999"], "green": pods[2:]})
        router.route(table(2, weight=5000))
        until(lambda: router.status()["rejected"], what="the refusal to be told")
        status = router.status()
        assert "invalid port" in status["rejected"]
        assert str(router.folder) not in status["rejected"]
        assert status["loaded_epoch"] == 1
        load.wait(load.sent + 200)
        router.pods({"blue": pods[:2], "green": pods[2:]})
        router.wait(2)
        assert router.status()["rejected"] is None
    assert load.failed == 0, load.told()


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{", "cannot be read"),
        ('{"schema": 2, "epoch": 9}', "schema 2"),
        (table(9).to_json().decode().replace("10000", "9999", 1), "weights add up to"),
        (table(0).to_json().decode(), "older"),
    ],
)
def test_C5_a_document_that_cannot_be_followed_is_told_and_changes_nothing(
    document: str, words: str, router: RouterProcess
) -> None:
    router.route(document)
    until(lambda: words in (router.status()["rejected"] or ""), what="the reason to be told")
    assert router.status()["loaded_epoch"] == 1
    assert exchange(router.port, post(RIDE)).status == 200


def test_C6_without_the_cluster_the_router_goes_on_and_starts_again(
    router: RouterProcess, pods: list[StubPod]
) -> None:
    router.route(table(2, weight=2500))
    router.wait(2)
    router.reachable(False)
    router.route(table(3, weight=5000))
    with Load(router.port, limit=5000) as load:
        load.wait(500)
    assert load.failed == 0, load.told()
    assert router.status()["loaded_epoch"] == 2
    # The container starts again: nothing of it runs, its folder is there.
    router.close()
    router.start()
    router.wait(2, pods=3)
    until(lambda: router.status()["ready"], what="it to be ready")
    assert exchange(router.port, post(RIDE)).status == 200
    router.reachable(True)
    router.wait(3)


def test_C6_a_cold_start_without_cluster_and_memory_sends_nobody_anywhere(
    pods: list[StubPod],
) -> None:
    """Candidate 0 %: no table is known, so this router is not ready and says "no model yet"."""
    with routing(None, {"blue": pods[:2], "green": pods[2:]}, ready=False) as router:
        router.reachable(False)
        router.route(table(5, weight=5000))
        router.wait_answering()
        assert not router.status()["ready"]
        assert exchange(router.port, post(RIDE)).status == 503
        router.reachable(True)
        router.wait(5)
        until(lambda: router.status()["ready"], what="it to be ready")


def test_a_router_whose_model_is_not_serving_yet_is_not_ready(pods: list[StubPod]) -> None:
    with routing(table(1, slots={}, waiting=True), {}) as router:
        assert not router.status()["ready"]
        router.pods({"blue": pods[:2]})
        router.route(table(2))
        router.wait(2)
        until(lambda: router.status()["ready"], what="it to be ready")


def _epochs(router: RouterProcess) -> list[int]:
    """The epochs that were loaded, one after another."""
    return [line["epoch"] for line in router.lines() if line["event"] == "loaded"]
