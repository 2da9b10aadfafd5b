"""Given an installation under load, when its node or its pods fare badly, it goes on serving."""

from __future__ import annotations

import contextlib
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cluster_worlds import FULLNAME
from tests.containers import docker
from tests.kind_installation import NODE, RELEASE, Installation
from tests.load_test import load_test
from tests.waiting import until

pytestmark = [
    pytest.mark.platform,
    pytest.mark.kind,
    pytest.mark.long,
    pytest.mark.timeout(900),
]

LOAD = ("--rate", "20", "--seconds", "900")
# Makes the largest process of the container's group the one that is ended: many small ones fill
# what its limit leaves.
FILL = """
import subprocess, sys, time
hold = "x = bytearray(16 << 20); x[::4096] = b'y' * len(x[::4096]); import time; time.sleep(20)"
for _ in range(200):
    subprocess.Popen([sys.executable, "-S", "-c", hold])
    time.sleep(0.05)
"""


@pytest.fixture
def as_before(shop: Installation) -> Iterator[Installation]:
    """What a story changes by Helm is taken back."""
    before = shop.revision()
    yield shop
    shop.helm("rollback", RELEASE, str(before), "--wait", "--timeout=5m")


def test_F2_evictions_go_one_by_one_and_fail_no_request(shop: Installation, tmp_path: Path) -> None:
    """F2, as a drain does it: each pod of slots and routers is asked to leave until it may."""
    refused = 0
    with load_test(shop.url, tmp_path, *LOAD) as load:
        load.go_on(5)
        for part in ("slot", "router"):
            for name in running(shop, part):
                refused += evict(shop, name)
        verdict = load.interrupt()
    assert verdict.code == 0, verdict.said
    assert refused > 0
    for part in ("blue", "router"):
        shop.kubectl("rollout", "status", f"deployment/{FULLNAME}-{part}", "--timeout=120s")


def running(shop: Installation, part: str) -> list[str]:
    """The names of the pods that stay."""
    pods = shop.pods(part)
    return [name for name, pod in pods.items() if "deletionTimestamp" not in pod["metadata"]]


def evict(shop: Installation, name: str) -> int:
    """Ask for the pod's eviction until it is granted; how often it was refused."""
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": shop.namespace},
    }
    for refused in range(120):
        try:
            shop.server.ask("POST", f"{shop.core}/pods/{name}/eviction", body)
        except AssertionError as error:
            cause = error.__cause__
            if not isinstance(cause, urllib.error.HTTPError) or cause.code != 429:
                raise
            time.sleep(1)
        else:
            return refused
    raise AssertionError(f"{name} may not leave after two minutes")


def test_F3_without_a_kubelet_for_a_minute_pods_go_on_serving(
    shop: Installation, tmp_path: Path
) -> None:
    """F3: nobody starts and nobody looks after pods; those that run answer."""
    with load_test(shop.url, tmp_path, *LOAD) as load:
        load.go_on(5)
        docker("exec", NODE, "systemctl", "stop", "kubelet")
        try:
            load.go_on(60)
        finally:
            docker("exec", NODE, "systemctl", "start", "kubelet")
        verdict = load.interrupt()
    assert verdict.code == 0, verdict.said
    until(lambda: all(map(is_ready, shop.pods("slot").values())), 120, "ready pods")


def is_ready(pod: Any) -> bool:
    """Whether its condition says so."""
    return {"Ready": "True"}.items() <= {
        each["type"]: each["status"] for each in pod["status"].get("conditions", ())
    }.items()


def test_A3_a_worker_that_is_ended_for_want_of_memory_fails_no_request(
    shop: Installation, tmp_path: Path
) -> None:
    """A3: on one of two pods; the router asks the other, and the worker comes back."""
    name = running(shop, "slot")[0]
    with load_test(shop.url, tmp_path, *LOAD) as load:
        load.go_on(5)
        before = worker_of(shop, name)
        # What fills the memory may be ended together with the worker.
        with contextlib.suppress(AssertionError):
            shop.kubectl("exec", name, "--container=serve", "--", "python", "-c", FILL)
        until(lambda: worker_of(shop, name) not in ("", before), 60, "another worker")
        verdict = load.interrupt()
    assert verdict.code == 0, verdict.said
    shop.kubectl("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=60s")


def worker_of(shop: Installation, name: str) -> str:
    """The start of the process that serves, as its metrics have it; empty where none answers."""
    try:
        found = shop.server.text(f"{shop.core}/pods/{name}:9697/proxy/metrics")
    except OSError:
        return ""
    starts = [line for line in found.splitlines() if "start_time" in line and line[0] != "#"]
    return "\n".join(starts)


def test_F5_a_starved_pod_is_slower_and_is_not_restarted(
    as_before: Installation, tmp_path: Path
) -> None:
    """F5: 50 thousandths of a processor for five minutes."""
    shop = as_before
    shop.upgrade("--set=slots.resources.limits.cpu=50m", "--set=slots.replicas=1")
    shop.kubectl("rollout", "status", f"deployment/{FULLNAME}-blue", "--timeout=300s")
    started = time.monotonic()
    answered = 0
    while time.monotonic() - started < 300:
        answered += shop.predict()[0] == 200
        time.sleep(1)
    assert answered > 0
    restarts = [
        each["restartCount"]
        for pod in shop.pods("slot").values()
        for each in pod["status"]["containerStatuses"]
    ]
    assert set(restarts) == {0}
