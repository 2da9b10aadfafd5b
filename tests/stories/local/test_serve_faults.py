"""What a serving pod must bear: a model that hangs, too many clients, a full disk, many hours."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.artifacts import RIDE
from tests.load import Load
from tests.router_process import routing, table
from tests.service_process import HOST, SLIPWAY, ServiceProcess, get, post, serving, stub
from tests.stub_models import CURSED
from tests.waiting import until

from slipway.router.table import Timeouts

CURSED_RIDE = RIDE | {"trip_distance": CURSED}
THREADS = 4
DEADLINE = 2.0
PAGE = os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def asking(url: str, document: Any, times: int = 1) -> Iterator[list[tuple[int, float]]]:
    """So many requests at once, in the background: statuses and seconds, as they come back."""
    came: list[tuple[int, float]] = []

    def ask() -> None:
        began = time.monotonic()
        # A pod that is ended while it hangs answers nothing.
        with contextlib.suppress(OSError, http.client.HTTPException):
            status, _, _ = post(url, document, seconds=60)
            came.append((status, time.monotonic() - began))

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(times)]
    for thread in threads:
        thread.start()
    yield came
    for thread in threads:
        thread.join(60)


def test_A4_a_model_that_hangs_costs_a_504_at_the_deadline_and_others_nothing() -> None:
    """A4: through the router, while the pod's other threads serve."""
    timed = table(timeouts=Timeouts(candidate=1.0, total=DEADLINE))
    with (
        serving(command=stub("hangs")) as pod,
        routing(timed, {"blue": [f"{HOST}:{pod.port}"]}) as router,
    ):
        with asking(f"{router.url}/predict", CURSED_RIDE) as came:
            until(lambda: in_flight(pod) >= 1, 10, "the model to hang")
            with Load(router.port, limit=300) as load:
                load.wait(300)
            assert load.failed == 0, load.told()
        ((status, seconds),) = came
        assert status == 504
        assert DEADLINE - 0.5 <= seconds <= DEADLINE + 3
        assert get(f"{pod.admin_url}/livez")[0] == 200


def test_A4_a_pod_whose_threads_all_hang_says_that_it_is_not_alive() -> None:
    """A4: Kubernetes restarts it after three such answers."""
    environment = {"SLIPWAY_STUCK_SECONDS": "1"}
    with (
        serving(command=stub("hangs"), environment=environment) as pod,
        asking(f"{pod.url}/predict", CURSED_RIDE, THREADS - 1),
    ):
        until(lambda: in_flight(pod) == THREADS - 1, 10, "three threads to hang")
        time_passes(pod)
        assert get(f"{pod.admin_url}/livez")[0] == 200
        assert post(f"{pod.url}/predict", RIDE)[0] == 200
        with asking(f"{pod.url}/predict", CURSED_RIDE):
            until(lambda: get(f"{pod.admin_url}/livez")[0] == 503, 10, "it to be dead")
            assert json.loads(get(f"{pod.admin_url}/livez")[1])["stuck"] == THREADS
            os.killpg(pod.pid, 9)


def time_passes(pod: ServiceProcess, seconds: float = 1.5) -> None:
    """Until the pod's own clock says so."""
    began = time.monotonic()
    until(lambda: bool(in_flight(pod)) and time.monotonic() > began + seconds, 10, "time to pass")


def in_flight(service: ServiceProcess) -> float:
    lines = get(f"{service.admin_url}/metrics")[1].decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("slipway_in_flight "))


def memory(pid: int) -> int:
    """Bytes that a process and its children have in memory."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    pages = (int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in [pid, *children])
    return PAGE * sum(pages)


CLIENTS, QUEUE = 200, 2


@pytest.mark.parametrize("way", ["the pod", "through the router"])
def test_A5_with_more_clients_than_can_be_answered_the_rest_is_told_so_soon(way: str) -> None:
    """A5: a model of a second, four threads, 200 clients: answers and 503s, memory stays flat."""
    environment = {"SLIPWAY_QUEUE_SECONDS": str(QUEUE)}
    with contextlib.ExitStack() as stack:
        pod = stack.enter_context(serving(command=stub("slow"), environment=environment))
        port = pod.port
        if way != "the pod":
            pods: dict[Any, Any] = {"blue": [f"{HOST}:{pod.port}"]}
            port = stack.enter_context(routing(table(), pods)).port
        outcomes: Counter[int] = Counter()
        slowest: dict[int, float] = {}
        lock, stopped = threading.Lock(), threading.Event()
        told: set[str | None] = set()

        def ask() -> None:
            body = json.dumps(RIDE | {"trip_distance": 1.0})
            connection = http.client.HTTPConnection(HOST, port, timeout=60)
            while not stopped.is_set():
                began = time.monotonic()
                connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                seconds = time.monotonic() - began
                with lock:
                    outcomes[answer.status] += 1
                    slowest[answer.status] = max(slowest.get(answer.status, 0.0), seconds)
                    if answer.status == 503:
                        told.add(answer.headers["Retry-After"])
                if answer.status == 503 and stopped.wait(0.2):
                    break
            connection.close()

        clients = [threading.Thread(target=ask, daemon=True) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            until(lambda: outcomes[503] > CLIENTS, 60, "the queue to be full")
            before = memory(pod.pid)
            goal = outcomes[200] + 40
            until(lambda: outcomes[200] >= goal, 60, "ten seconds of answers")
            after = memory(pod.pid)
        finally:
            stopped.set()
            for client in clients:
                client.join(60)
        assert set(outcomes) == {200, 503}, outcomes
        assert None not in told
        # What is answered waited no longer than the bound, for its thread and the model.
        assert slowest[200] < QUEUE + 1 + 5, slowest
        assert after < 1.1 * before
        assert post(f"{pod.url}/predict", RIDE | {"trip_distance": 0.0})[0] == 200


FULL = (
    "mount -t tmpfs -o size=64k tmpfs /dev/shm && mount -t tmpfs -o size=64k tmpfs $TMPDIR && "
    "for folder in /dev/shm $TMPDIR; do cat /dev/zero > $folder/full; done 2> /dev/null; exec "
)


def test_A12_with_every_folder_for_scratch_full_no_request_is_lost(
    ride_model: Path, tmp_path: Path
) -> None:
    """A12: one process, as the chart has it, counts in memory and writes nothing at all."""
    if os.getuid() != 0 or not shutil.which("unshare"):
        pytest.skip("a mount of its own can be made by root only")
    command = ["unshare", "--mount", "sh", "-c", FULL + '"$@"', "full", *SLIPWAY, "serve"]
    environment = {"TMPDIR": str(tmp_path)}
    with serving(ride_model, command=command, environment=environment) as service:
        seen = subprocess.run(
            ["nsenter", "-t", str(service.pid), "-m", "df", "--output=avail", "/dev/shm", tmp_path],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        ).stdout
        assert seen.split()[1:] == ["0", "0"]
        with Load(service.port, limit=1_000) as load:
            load.wait(1_000)
        assert load.failed == 0, load.told()
        # joblib says in a line of its own that it finds no shared memory.
        assert '"level":"error"' not in service.log.read_text()
        lines = get(f"{service.admin_url}/metrics")[1].decode().splitlines()
        counted = [line for line in lines if line.startswith("slipway_requests_total")]
        assert sum(float(line.rsplit(" ", 1)[1]) for line in counted) == load.sent


SOAK_SECONDS = 600
SAMPLE = 10_000
HALF_LOAD = 60.0


@pytest.mark.long
@pytest.mark.timeout(SOAK_SECONDS + 300)
def test_A17_ten_minutes_at_half_load_leave_memory_and_files_as_they_were(
    ride_model: Path,
) -> None:
    """A17: less than 1 MiB in ten minutes and not one file more, once all is warm."""
    with serving(ride_model) as service:
        # The sample keeps the last 10,000 predictions: until then it grows, as it should.
        with Load(service.port, limit=SAMPLE + 2_000) as load:
            load.wait(SAMPLE + 2_000, seconds=200)
        with Load(service.port, limit=10**9, rate=HALF_LOAD) as load:
            load.wait(60, seconds=60)
            (worker,) = Path(f"/proc/{service.pid}/task/{service.pid}/children").read_text().split()
            files = len(list(Path(f"/proc/{worker}/fd").iterdir()))
            before = memory(service.pid)
            end = time.monotonic() + SOAK_SECONDS
            until(lambda: time.monotonic() > end, SOAK_SECONDS + 60, "ten minutes to pass")
            after = memory(service.pid)
        assert load.failed == 0, load.told()
        until(
            lambda: len(list(Path(f"/proc/{worker}/fd").iterdir())) <= files,
            30,
            "the connections to be closed",
        )
        assert after - before < 1 << 20, (before, after, load.sent)
