"""The desired reference is resolved beside the loop: once, in time, again where it moves."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

import pytest
from tests.controller_place import ControllerPlace, FakeModels
from tests.fakes import FakeClock
from tests.unit.rollout.scene import release
from tests.waiting import until

from slipway.errors import (
    AccessDenied,
    DigestMismatch,
    Unavailable,
    Unresolvable,
    Untrusted,
)
from slipway.models.release import Release
from slipway.rollout.resolving import LAST_RETRY, MOST_ATTEMPTS, SETTLED, Resolving
from slipway.rollout.snapshot import Desired, Problem, Resolution
from slipway.rollout.state import Accepted, Placement, State

ALIAS = "models:/ride@champion"


class Bench:
    """Models, a clock, and a resolving that works at once."""

    def __init__(self, spawn: Callable[[Callable[[], None]], None] = lambda job: job()) -> None:
        self.clock, self.models = FakeClock(), FakeModels()
        self.models.known[ALIAS] = release("a")
        self.resolving = Resolving(
            self.models, monotonic=self.clock.monotonic, spawn=spawn, deadline=60.0
        )

    def look(
        self, reference: str = "models:/ride/1", mark: str = "m", state: State | None = None
    ) -> Resolution | None:
        return self.resolving.look(Desired(reference, mark), state)


def accepted(reference: str, name: str, mark: str = "m") -> State:
    """A state in which this was taken up and is stable."""
    held = release(name, reference=reference)
    return State(
        stable=Placement(slot="blue", release=held, role="stable"),
        desired=Accepted(reference, mark, held.digest),
    )


def test_a_reference_is_resolved_once_for_each_time_it_is_written() -> None:
    bench = Bench()
    assert bench.look() == Resolution("m", release=release("a"))
    bench.clock.advance(1000)
    assert bench.look() == Resolution("m", release=release("a"))
    assert bench.models.hashed == ["models:/ride/1"]
    bench.look(mark="again")
    bench.clock.advance(SETTLED)
    assert bench.look(mark="again") == Resolution("again", release=release("a"))
    assert bench.models.hashed == ["models:/ride/1"] * 2


def test_nothing_is_resolved_that_was_taken_up_already() -> None:
    bench = Bench()
    assert bench.look(state=accepted("models:/ride/1", "a")) is None
    assert bench.resolving.look(Desired(), None) is None
    assert bench.models.hashed == []


def test_an_alias_is_asked_again_and_hashed_only_when_it_points_elsewhere() -> None:
    bench = Bench()
    state = accepted(ALIAS, "a")
    for _ in range(5):
        bench.clock.advance(10.5)
        found = bench.look(ALIAS, state=state)
        assert found is not None
        assert found.release is not None
        assert found.release.digest == release("a").digest
    assert bench.models.hashed == []
    bench.models.known[ALIAS] = release("b")
    assert bench.look(ALIAS, state=state) == found
    bench.clock.advance(10.5)
    assert bench.look(ALIAS, state=state) == Resolution("m", release=release("b"))
    assert bench.models.hashed == [ALIAS]


def test_an_alias_stays_what_it_was_while_nobody_can_be_asked() -> None:
    bench = Bench()
    before = bench.look(ALIAS)
    bench.models.known[ALIAS] = Unavailable("the tracking server is down")
    for _ in range(5):
        bench.clock.advance(60)
        found = bench.look(ALIAS)
        assert before is not None
        assert found is not None
        assert found.release == before.release
        assert found.problem == Problem("Unresolvable", "the tracking server is down")
        assert found.dead_end is None
    bench.models.known[ALIAS] = release("b")
    bench.clock.advance(60)
    assert bench.look(ALIAS) == Resolution("m", release=release("b"))


def test_B10_after_a_restart_an_alias_is_what_the_state_says_while_nobody_can_be_asked() -> None:
    bench = Bench()
    bench.models.known[ALIAS] = Unavailable("the tracking server is down")
    found = bench.look(ALIAS, state=accepted(ALIAS, "a"))
    assert found is not None
    assert found.dead_end is None
    assert found.release is not None
    assert found.release.digest == release("a").digest


def test_B20_what_is_written_again_and_again_is_resolved_when_it_stays() -> None:
    bench = Bench()
    bench.models.known["models:/ride/2"] = release("b")
    bench.look(mark="first")
    for number in range(100):
        bench.clock.advance(0.1)
        assert bench.look("models:/ride/2", mark=f"edit {number}") is None
    bench.clock.advance(1.0)
    found = bench.look("models:/ride/2", mark="edit 99")
    assert found == Resolution("edit 99", release=release("b"))
    assert bench.models.hashed == ["models:/ride/1", "models:/ride/2"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Unresolvable("no such run"), "Unresolvable"),
        (Unavailable("down"), "Unresolvable"),
        (AccessDenied("wrong credentials"), "Unresolvable"),
        (Untrusted("too big"), "Untrusted"),
        (DigestMismatch("changed"), "DigestMismatch"),
    ],
)
def test_a_failure_is_a_problem_in_the_words_of_conditions(
    error: Unresolvable, reason: str
) -> None:
    bench = Bench()
    bench.models.known["models:/ride/1"] = error
    found = bench.look()
    assert found is not None
    assert found.problem is not None
    assert (found.problem.reason, found.problem.message) == (reason, error.message)


def test_a_failure_is_tried_again_ever_more_slowly_and_for_ever() -> None:
    bench = Bench()
    tries = []

    def fail() -> Release:
        tries.append(bench.clock.seconds)
        raise Unavailable("down")

    bench.models.known["models:/ride/1"] = fail
    for _ in range(600):
        bench.look()
        bench.clock.advance(1)
    waits = [after - before for before, after in itertools.pairwise(tries)]
    assert waits[0] == 2
    assert max(waits) == LAST_RETRY
    assert waits[3:] == [LAST_RETRY] * len(waits[3:])
    bench.models.known["models:/ride/1"] = release("a")
    bench.clock.advance(LAST_RETRY)
    found = bench.look()
    assert found is not None
    assert found.release == release("a")


def test_the_loop_never_waits_and_a_try_has_a_deadline() -> None:
    jobs: list[Callable[[], None]] = []
    bench = Bench(jobs.append)
    assert bench.look() is None
    bench.clock.advance(59)
    assert bench.look() is None
    bench.clock.advance(2)
    found = bench.look()
    assert found is not None
    assert found.problem is not None
    assert "longer than 60 s" in found.problem.message
    bench.clock.advance(5)
    bench.look()
    assert len(jobs) == 2
    # The late answer of a try that was given up is not taken for that of the next.
    jobs[0]()
    assert bench.look() == found
    jobs[1]()
    assert bench.look() == Resolution("m", release=release("a"))


def test_a_reference_that_was_replaced_is_not_waited_for() -> None:
    jobs: list[Callable[[], None]] = []
    bench = Bench(jobs.append)
    bench.look("models:/ride/1", "one")
    assert bench.look("models:/ride/2", "two") is None
    bench.clock.advance(SETTLED)
    assert bench.look("models:/ride/2", "two") is None
    jobs[1]()
    jobs[0]()
    assert bench.look("models:/ride/2", "two") == Resolution("two", release=release("b"))


def test_tries_that_hang_do_not_pile_up() -> None:
    jobs: list[Callable[[], None]] = []
    bench = Bench(jobs.append)
    for number in range(50):
        bench.look("models:/ride/1", f"mark {number}")
        bench.clock.advance(SETTLED)
        bench.look("models:/ride/1", f"mark {number}")
    assert len(jobs) == MOST_ATTEMPTS
    jobs[0]()
    bench.look("models:/ride/1", f"mark {number}")
    assert len(jobs) == MOST_ATTEMPTS + 1


def test_an_error_that_nobody_foresaw_is_a_problem_too() -> None:
    bench = Bench()

    def fail() -> Release:
        raise ZeroDivisionError

    bench.models.known["models:/ride/1"] = fail
    found = bench.look()
    assert found is not None
    assert found.problem is not None
    assert "ZeroDivisionError" in found.problem.message


def test_by_default_it_works_on_a_thread() -> None:
    clock, models = FakeClock(), FakeModels()
    free, seen = threading.Event(), []

    def wait() -> Release:
        seen.append(threading.current_thread().name)
        free.wait(20)
        return release("a")

    models.known["models:/ride/1"] = wait
    resolving = Resolving(models, monotonic=clock.monotonic)
    desired = Desired("models:/ride/1", "m")
    assert resolving.look(desired, None) is None
    free.set()
    assert until(lambda: resolving.look(desired, None)) == Resolution("m", release=release("a"))
    assert set(seen) == {"resolve"}


def test_B17_what_an_alias_led_to_is_one_digest_for_the_whole_rollout() -> None:
    place = ControllerPlace("preset: manual\nwatch: {seconds: 0}")
    place.models.known[ALIAS] = release("a")
    place.want(ALIAS)
    place.rest()
    place.models.known[ALIAS] = release("b")
    place.clock.advance(10)
    place.rest()
    assert place.state.candidate is not None
    assert place.state.candidate.release == release("b")
    filled = {e[2] for e in place.store.effects if e[0] == "fill" and e[1] == "green"}
    assert filled == {release("b").digest}
    assert place.store.documents["green"].data["MODEL_DIGEST"] == release("b").digest


def test_a_wrong_reference_leaves_the_old_one_serving_and_says_why() -> None:
    place = ControllerPlace()
    place.want("models:/ride/1")
    place.rest()
    place.want("models:/ride/77")
    place.tick(10)
    assert place.serving() == {release("a").digest: 10_000}
    condition = place.state.condition
    assert condition is not None
    assert (condition.reason, condition.message) == (
        "Unresolvable",
        "nobody knows models:/ride/77",
    )
    assert [event.reason for event in place.store.events].count("Unresolvable") == 1
    place.models.known["models:/ride/77"] = release("b")
    place.tick(10)
    place.rest()
    assert place.serving() == {release("b").digest: 10_000}
