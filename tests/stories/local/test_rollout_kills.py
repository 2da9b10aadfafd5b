"""Processes of an installation on one machine killed without any grace, one after another.

The stories share the installation, in this order: the last one ends it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.artifacts import Versions
from tests.load import Load
from tests.local_installation import LocalInstallation, installed, runs
from tests.waiting import until

pytestmark = pytest.mark.shared

# At so many a second: what is started needs the processors too.
MOST, RATE = 200_000, 300


@pytest.fixture(scope="module")
def shared(versions: Versions) -> Iterator[LocalInstallation]:
    with installed("--model", versions.first, "--replicas", "2") as installation:
        installation.wait_idle()
        yield installation


@pytest.fixture
def place(shared: LocalInstallation) -> LocalInstallation:
    """One that serves a sound version by two processes, at rest; a story leaves it so."""
    shared.wait_rest()
    return shared


def other_pid(place: LocalInstallation, part: str, before: int) -> None:
    """Until the part's first process is another one and all of them are ready."""

    def look() -> bool:
        pods = [kept for kept in place.record().pods if kept.part == part]
        return place.pid(part) not in (0, before) and all(kept.pod.ready for kept in pods)

    until(look, 40, f"another {part}")


def test_A2_one_of_two_slot_processes_killed_fails_no_request_and_is_replaced(
    place: LocalInstallation,
) -> None:
    _, slot = place.stable()
    restarts = place.status()["slots"][slot]["restarts"]
    with Load(place.port, limit=MOST, rate=RATE) as load:
        load.wait(300)
        before = place.pid(slot)
        place.kill(slot)
        other_pid(place, slot, before)
        load.wait(load.sent + 300)
    assert load.failed == 0, load.told()
    assert place.status()["slots"][slot] | {"digest": ""} == {
        "digest": "",
        "replicas": 2,
        "ready": 2,
        "restarts": restarts + 1,
        "why": "",
    }


def test_D1_a_killed_controller_is_replaced_and_goes_on_where_it_was(
    place: LocalInstallation, versions: Versions
) -> None:
    new, started = versions.next(), place.reasons().count("Started")
    with Load(place.port, limit=MOST, rate=RATE) as load:
        load.wait(300)
        place.done("set-model", new)
        until(lambda: place.state()["phase"] == "preparing", 30, "the rollout to begin")
        before = place.pid("controller")
        place.kill("controller")
        place.done("status", "--wait", "--timeout", "60")
        load.wait(load.sent + 300)
    assert load.failed == 0, load.told()
    assert place.pid("controller") != before
    assert place.reasons().count("Started") == started + 1
    assert place.stable()[0] == new


def test_a_killed_router_agent_leaves_nginx_serving_and_is_replaced(
    place: LocalInstallation, versions: Versions
) -> None:
    _, slot = place.stable()
    with Load(place.port, limit=MOST, rate=RATE) as load:
        load.wait(300)
        before = place.pid("router")
        place.kill("router")
        other_pid(place, "router", before)
        place.done("set-model", versions.next(), "--wait", "--timeout", "60")
        moved = load.phase("moved")
        load.wait(300)
    assert load.failed == 0, load.told()
    assert set(moved.slots) == {"blue", "green"} - {slot}, load.told()


def test_a_killed_supervisor_takes_nothing_with_it_and_the_next_goes_on_with_what_runs(
    place: LocalInstallation, versions: Versions
) -> None:
    stays = ("router", place.stable()[1])
    with Load(place.port, limit=MOST, rate=RATE) as load:
        load.wait(300)
        before = place.record()
        assert place.process
        place.stop(signal.SIGKILL)
        load.wait(load.sent + 300)
        place.up()
        until(lambda: place.record().supervisor != before.supervisor, 30, "the next supervisor")
        place.done("set-model", versions.next(), "--wait", "--timeout", "90")
        load.wait(load.sent + 300)
    assert load.failed == 0, load.told()
    kept = {each.pod.name for each in before.pods if each.part in stays}
    assert len(kept) == 3
    assert kept <= {each.pod.name for each in place.record().pods}


def test_a_second_up_goes_on_with_the_same_state(
    place: LocalInstallation, versions: Versions
) -> None:
    new = versions.next()
    place.done("set-model", new, "--wait", "--timeout", "60")
    before = place.record()
    told = place.state()["history"]
    assert place.stop(signal.SIGINT) == 0, place.told()
    assert place.left(before) == []
    place.up("--model", versions.first)
    place.wait_serving()
    assert place.state()["history"][: len(told)] == told
    assert place.stable()[0] == new, "the last change wins"
    assert before.supervisor
    assert not runs(before.supervisor)


def test_one_folder_has_one_supervisor(place: LocalInstallation) -> None:
    first = place.process
    place.up()
    assert place.process
    assert place.process.wait(30) == 2
    assert "another `slipway local up` works in" in place.log.read_text()
    place.process = first


def test_down_ends_what_a_killed_supervisor_has_left_and_nothing_else(
    place: LocalInstallation,
) -> None:
    place.kill("router")
    place.stop(signal.SIGKILL)
    before = place.record()
    # Somebody else's process has got the id of one that has ended: here it is our own.
    text = place.files.processes.read_text()
    ended = place.pid("router")
    place.files.processes.write_text(text.replace(f'"pid": {ended},', f'"pid": {os.getpid()},'))
    ended_all = place.local("down")
    assert ended_all.returncode == 0, ended_all.stderr
    assert place.left(before) == []
    assert not Path(before.router_dir).exists(), "and nginx, which lived there"
    again = place.local("down")
    assert "nothing was running" in again.stderr
