"""Models that cannot be served, each in its own way: the old one goes on and the reason is said.

The shipped processes under load; one installation for all of the stories.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.artifacts import Versions, edit_mlmodel, save_other_inputs, swell
from tests.load import Load
from tests.local_installation import LocalInstallation, installed

pytestmark = pytest.mark.shared

# At so many a second: what is started needs the processors too.
MOST, RATE = 200_000, 300
# Bytes that a slot may take beyond what the sound model needs, and what the swollen one takes.
ROOM, SWOLLEN = 100 << 20, 250 << 20


@pytest.fixture(scope="module")
def place(versions: Versions) -> Iterator[LocalInstallation]:
    with installed("--model", versions.first) as installation:
        installation.wait_idle()
        # None of these gets better by being started again.
        installation.set_policy("preset: fast\nreplicas: 1\nready: {restarts: 1}\n")
        # Whatever starts from now on may take so much and no more.
        assert installation.process
        most = peak(installation.pid("blue")) + ROOM
        resource.prlimit(
            installation.process.pid, resource.RLIMIT_AS, (most, resource.RLIM_INFINITY)
        )
        yield installation


def peak(pid: int) -> int:
    """The largest address space that a process or one of its children has had, in bytes."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    found = [Path(f"/proc/{each}/status").read_text() for each in (pid, *children)]
    return max(1024 * int(text.partition("VmPeak:")[2].split()[0]) for text in found)


def missing(_versions: Versions) -> str:
    return "/nowhere/at/all"


def corrupt(versions: Versions) -> str:
    return versions.cut()


def other_library(versions: Versions) -> str:
    folder = versions.next()
    edit_mlmodel(Path(folder), {"flavors.sklearn.sklearn_version": "0.24.2"})
    return folder


def other_inputs(versions: Versions) -> str:
    return str(save_other_inputs(Path(versions.first).parent / "other-inputs"))


def too_large(versions: Versions) -> str:
    folder = versions.next()
    swell(Path(folder), SWOLLEN // 8)
    return folder


@pytest.mark.parametrize(
    ("made", "code", "said"),
    [
        (missing, 3, "artifact missing"),
        (corrupt, 5, "the model cannot be loaded"),
        (other_library, 5, "made with scikit-learn 0.24.2"),
        (other_inputs, 5, "the use case changed from rides to tabular"),
        (too_large, 5, "MemoryError"),
    ],
    ids=["missing", "corrupt", "another scikit-learn", "other inputs", "out of memory"],
)
def test_B2_B3_B6_B8_a_model_that_cannot_be_served_leaves_the_old_one_serving_and_says_why(
    place: LocalInstallation,
    versions: Versions,
    made: Callable[[Versions], str],
    code: int,
    said: str,
) -> None:
    place.wait_rest()
    reference = made(versions)
    with Load(place.port, limit=MOST, rate=RATE) as load:
        load.wait(200)
        wrong = place.run("set-model", reference, "--wait", "--timeout", "60")
        load.wait(200)
    assert (wrong.returncode, load.failed) == (code, 0), wrong.stderr + load.told()
    assert set(load.phases["begin"].slots) == {"blue"}
    assert said in wrong.stderr
    assert place.stable() == (versions.first, "blue")
    explained = place.done("explain")
    assert said in explained
    assert "What can be done:" in explained


def test_a_model_that_was_refused_is_tried_again_by_retry(
    place: LocalInstallation, versions: Versions
) -> None:
    assert place.run("set-model", versions.cut(), "--wait", "--timeout", "60").returncode == 5
    assert place.status()["phase"] == "aborted"
    started = place.reasons().count("Started")
    place.done("retry")
    assert place.run("status", "--wait", "--timeout", "60").returncode == 5
    assert place.reasons().count("Started") == started + 1
