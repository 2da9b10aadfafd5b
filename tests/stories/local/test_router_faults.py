"""What breaks in the router and behind it: masters, the agent, answers, memory; and a clean end."""

from __future__ import annotations

import os
import signal
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.load import Load
from tests.raw_http import RawAnswer, exchange, post
from tests.router_process import NOBODY, RouterProcess, routing, table
from tests.service_process import get
from tests.stub_pods import StubPod, stub_pods
from tests.waiting import until

from slipway.router import processes
from slipway.router.table import Timeouts

RIDE = b'{"PULocationID": 10, "DOLocationID": 50, "trip_distance": 4}'
PAGE = os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def pods() -> Iterator[list[StubPod]]:
    with stub_pods("blue", "blue", "green") as started:
        yield started


@pytest.fixture
def router(pods: list[StubPod]) -> Iterator[RouterProcess]:
    with routing(table(weight=500), {"blue": pods[:2], "green": pods[2:]}) as running:
        yield running


def test_route_killed_is_serving_again_within_5_seconds(router: RouterProcess) -> None:
    """The master alone: its workers finish what they have, and go."""
    before = router.group("route")
    with Load(router.port, limit=100_000) as load:
        load.wait(100)
        os.kill(router.master("route"), signal.SIGKILL)
        until(lambda: router.master("route") not in before | {0}, 5, "another master")
        again = load.phase("again")
        load.wait(200, seconds=5)
        until(lambda: not any(processes.title(pid) for pid in before), what="the old ones to end")
    assert again.statuses[200] >= 200, load.told()
    assert sum(again.broken.values()) == 0, load.told()
    # In between there may be an error that says what to do.
    assert set(load.phases["begin"].statuses) <= {200, 502}
    assert not load.phases["begin"].broken


def test_route_killed_with_all_its_workers_is_serving_again_within_5_seconds(
    router: RouterProcess,
) -> None:
    before = router.master("route")
    os.killpg(before, signal.SIGKILL)
    answer = exchange(router.port, post(RIDE))
    assert answer.status in (200, 502)
    if answer.status == 502:
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["status"] == 502
    until(lambda: exchange(router.port, post(RIDE)).status == 200, 5, "an answer")
    assert router.master("route") not in (0, before)


def test_front_killed_is_started_again(router: RouterProcess) -> None:
    before = router.master("front")
    os.kill(before, signal.SIGKILL)
    until(lambda: router.master("front") not in (0, before), 10, "another master")
    with Load(router.port, limit=500) as load:
        load.wait(500)
    assert load.failed == 0, load.told()
    assert router.status()["ready"]


def test_the_agent_killed_takes_nothing_with_it_and_the_next_takes_charge(
    router: RouterProcess,
) -> None:
    masters = router.master("front"), router.master("route")
    with Load(router.port, limit=100_000) as load:
        load.wait(100)
        router.process.kill()
        router.process.wait(10)
        load.wait(load.sent + 500)
        router.start()
        router.wait(1, pods=3)
        router.route(table(2, weight=5000))
        router.wait(2)
        load.wait(load.sent + 100)
    assert load.failed == 0, load.told()
    assert (router.master("front"), router.master("route")) == masters


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_drains_and_the_exit_code_is_0(
    number: int, router: RouterProcess, pods: list[StubPod]
) -> None:
    """A15: what was asked gets its answer; nothing is left behind."""
    for pod in pods:
        pod.turn("slow", 2)
    answers: list[RawAnswer] = []
    asking = threading.Thread(target=lambda: answers.append(exchange(router.port, post(RIDE))))
    asking.start()
    until(lambda: sum(pod.seen().get("live", 0) for pod in pods), what="the request to arrive")
    pids = router.group("front") | router.group("route")
    router.process.send_signal(number)
    until(lambda: get(f"{router.admin_url}/readyz")[0] == 503, what="it to say that it drains")
    assert router.stop(signal.SIGTERM) == 0
    asking.join(10)
    assert [answer.status for answer in answers] == [200]
    assert not [pid for pid in pids if processes.title(pid)]


def test_a_port_that_is_taken_ends_the_start_with_a_sentence(router: RouterProcess) -> None:
    taken = {"SLIPWAY_ROUTER_PORT": str(router.port)}
    with routing(table(), {}, settings=taken, ready=False) as second:
        assert second.process.wait(30) != 0
        assert "Address already in use" in second.log.read_text()
        assert second.master("route") == 0


def test_pods_that_all_failed_a_while_are_tried_again_at_once(
    router: RouterProcess, pods: list[StubPod]
) -> None:
    """nginx alone would say "no live upstreams" for seconds, whatever the pods could do by then."""
    for pod in pods:
        pod.turn("status", 503)
    with Load(router.port, limit=100) as load:
        load.wait(100)
    assert load.phases["begin"].statuses == {503: 100}, load.told()
    for pod in pods:
        pod.turn("ok")
    with Load(router.port, limit=100) as load:
        load.wait(100)
    assert load.failed == 0, load.told()


def test_the_stable_slot_at_its_deadline_is_504(pods: list[StubPod]) -> None:
    timed = table(timeouts=Timeouts(candidate=0.5, total=1.0))
    with routing(timed, {"blue": pods[:1]}) as router:
        pods[0].turn("hang")
        answer = exchange(router.port, post(RIDE))
        assert answer.status == 504
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["title"] == "Gateway Timeout"
        router.expect({("blue", "live", "504"): 1})


def test_C11_an_answer_with_a_monstrous_head_is_502(
    router: RouterProcess, pods: list[StubPod]
) -> None:
    for pod in pods:
        pod.turn("headers")
    answer = exchange(router.port, post(RIDE))
    assert answer.status == 502
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "1"


def test_C11_half_an_answer_is_never_taken_for_a_whole_one(
    router: RouterProcess, pods: list[StubPod]
) -> None:
    """nginx has passed the head on by then: the client sees a broken connection, we count a 502."""
    for pod in pods:
        pod.turn("cut")
    answer = exchange(router.port, post(RIDE, "X-Slipway-Key: key-1"))
    assert len(answer.body) < int(answer.headers["content-length"])
    until(lambda: [code for _, _, code in router.answers()] == ["502"], what="it to be counted")
    for pod in pods:
        pod.turn("ok")
    assert exchange(router.port, post(RIDE, "X-Slipway-Key: key-1")).status == 200


def test_C11_an_answer_that_is_no_HTTP_is_counted_as_502(
    router: RouterProcess, pods: list[StubPod]
) -> None:
    """nginx hands bytes without a status line on; no client takes them for an answer."""
    for pod in pods:
        pod.turn("garbage")
    with pytest.raises((ValueError, IndexError)):
        exchange(router.port, post(RIDE))
    until(lambda: [code for _, _, code in router.answers()] == ["502"], what="it to be counted")


def test_C11_a_huge_answer_costs_no_memory_and_no_disk(
    router: RouterProcess, pods: list[StubPod]
) -> None:
    size = 100 << 20
    for pod in pods:
        pod.turn("big", size)
    request = urllib.request.Request(f"{router.url}/predict", RIDE)  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        assert len(answer.read()) == size
    for name in ("front", "route"):
        for pid in router.group(name):
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            assert pages * PAGE < 64 << 20
    kept = sum(path.stat().st_size for path in (router.folder / "n").rglob("*") if path.is_file())
    assert kept < 1 << 20


def test_nothing_is_written_outside_of_its_folder(router: RouterProcess) -> None:
    """A13: a read-only root is enough; every file that nginx holds open lies in the folder."""
    folder = str(router.folder / "n")
    exchange(router.port, post(b" " * (1 << 20)))
    for pid in router.group("front") | router.group("route"):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            target = str(link.readlink())
            if target.startswith("/") and not target.startswith(("/dev/", "/proc/")):
                assert target.startswith(folder), target


def test_A13_nginx_needs_no_privileges(pods: list[StubPod]) -> None:
    """As a user who has the folder and nothing else, and without a complaint."""
    with routing(table(), {"blue": pods[:2]}, unprivileged=True) as router:
        with Load(router.port, limit=200) as load:
            load.wait(200)
        assert load.failed == 0, load.told()
        router.route(table(2))
        router.wait(2)
        assert exchange(router.port, post(b" " * (1 << 20))).status == 200
        if os.geteuid() == 0:
            owners = {
                Path(f"/proc/{pid}").stat().st_uid
                for name in ("front", "route")
                for pid in router.group(name)
            }
            assert owners == {NOBODY}
        assert router.stop() == 0
        assert not [line for line in router.lines() if line["level"] == "error"]
        assert not [line for line in router.lines() if line["event"] == "nginx"]


def test_the_agents_port_answers_what_it_should_and_nothing_else(router: RouterProcess) -> None:
    status = router.status()
    assert set(status) == {"ready", "loaded_epoch", "checksum", "rejected", "pods"}
    assert status["checksum"] == table(weight=500).checksum
    for path, code in (("livez", 200), ("readyz", 200), ("metrics", 200), ("nothing", 404)):
        assert get(f"{router.admin_url}/{path}")[0] == code
    assert router.counted()["slipway_router_loaded_epoch"] == {(): 1.0}
    assert exchange(router.admin_port, post(b"{}", path="/status")).status == 501
    assert [line for line in router.lines() if line["event"] == "routing"]
