"""Writing what was decided: a kill, an error or a rival at any point leaves the same end (D1, D4).

A scenario runs once undisturbed. Then it runs again for each of its writes, disturbed there, and
must come to the same end by the same steps, without ever touching a slot that has traffic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.controller_place import ControllerPlace
from tests.fakes import Killed
from tests.unit.rollout.scene import release

from slipway.cluster.lease import Record
from slipway.errors import Conflict, SlipwayError, Unavailable
from slipway.rollout.loop import Loop
from slipway.rollout.observe import Seen

A, B = release("a").digest, release("b").digest
STEPS = "preset: manual\nsteps: [5, 50]\nwatch: {seconds: 0}\nkeepWarm: 3600\n"

Scenario = list[Callable[[ControllerPlace], None]]


def want(number: int) -> Callable[[ControllerPlace], None]:
    return lambda place: place.want(f"models:/ride/{number}")


def ask(verb: Any, **members: Any) -> Callable[[ControllerPlace], None]:
    return lambda place: place.ask(verb, **members)


FIRST: Scenario = [want(1)]
SECOND: Scenario = [want(1), want(2)]
STEPWISE: Scenario = [want(1), want(2), *[ask("promote", force=True)] * 3]
ABORTED: Scenario = [want(1), want(2), ask("promote", force=True), ask("abort"), ask("retry")]
ROLLED_BACK: Scenario = [want(1), want(2), ask("rollback")]

SCENARIOS = {
    "first": ("preset: fast", FIRST),
    "second": ("preset: fast", SECOND),
    "stepwise": (STEPS, STEPWISE),
    "aborted": (STEPS, ABORTED),
    "rolled-back": ("preset: fast", ROLLED_BACK),
}


def guarded(policy: str) -> ControllerPlace:
    """A place that fails when a slot is changed while a router sends something there."""
    place = ControllerPlace(policy)
    known = {"blue": "", "green": ""}

    def look() -> None:
        effect = place.store.effects[-1]
        if effect[0] == "fill":
            slot, digest = str(effect[1]), str(effect[2])
            if digest != known[slot]:
                assert place.routers.weights(slot) == {0}, f"{slot} has traffic and is changed"
            known[slot] = digest

    place.cluster.after_effect = look
    return place


def play(place: ControllerPlace, scenario: Scenario) -> None:
    for act in scenario:
        act(place)
        place.rest()


def end(place: ControllerPlace) -> dict[str, Any]:
    """Everything that has to be the same, however one got there."""
    state = place.state
    return {
        "serving": place.serving(),
        "phase": state.phase,
        "stable": state.stable and (state.stable.slot, state.stable.release.digest),
        "spare": state.spare and (state.spare.slot, state.spare.release.digest, state.spare.role),
        # That a tick found nothing resolved yet is no decision.
        "reasons": [reason for reason in place.reasons() if reason != "Resolving"],
        "slots": {slot: (w.digest, w.replicas) for slot, w in place.store.workloads.items()},
        "documents": {
            name: dict(place.store.documents[name].data)
            for name in ("blue", "green")
            if name in place.store.documents
        },
    }


def writes_of(policy: str, scenario: Scenario) -> tuple[int, dict[str, Any]]:
    place = guarded(policy)
    play(place, scenario)
    mine = [effect for effect in place.store.effects if effect[1] not in ("model", "control")]
    return len(mine), end(place)


def count_down(place: ControllerPlace, number: int, strike: Callable[[], None]) -> None:
    """Strike right after the controller's effect of this number, counted from 0."""
    look = place.cluster.after_effect
    left = [number]

    def after() -> None:
        look()
        left[0] -= 1
        if left[0] == -1:
            strike()

    place.cluster.after_effect = after


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_the_scenarios_end_as_they_should(name: str) -> None:
    _, found = writes_of(*SCENARIOS[name])
    expected = {
        "first": ({A: 10_000}, "idle"),
        "second": ({B: 10_000}, "idle"),
        "stepwise": ({B: 10_000}, "idle"),
        "aborted": ({A: 10_000}, "shadow"),
        "rolled-back": ({A: 10_000}, "idle"),
    }
    assert (found["serving"], found["phase"]) == expected[name]


@pytest.mark.parametrize("name", list(SCENARIOS))
def test_D1_killed_after_any_write_the_next_controller_comes_to_the_same_end(name: str) -> None:
    policy, scenario = SCENARIOS[name]
    total, expected = writes_of(policy, scenario)
    assert total > 5
    for number in range(total):
        place = guarded(policy)

        def strike() -> None:
            raise Killed

        count_down(place, number, strike)
        died = False
        for act in scenario:
            act(place)
            try:
                place.rest()
            except Killed:
                died = True
                place.loop = place.controller("two")
                # The dead one's lease has to be seen to expire.
                place.rest(most=80)
                place.tick(12)
                place.rest()
        assert died
        assert end(place) == expected, f"killed after write {number}"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(
    "error", [Unavailable("time-out"), Conflict("meanwhile")], ids=["unavailable", "conflict"]
)
@pytest.mark.parametrize("method", ["write", "fill", "read", "workload", "hold_lease"])
def test_D4_an_error_in_any_tick_changes_nothing_of_the_end(
    method: str, error: SlipwayError, after: bool
) -> None:
    """`after`: the call takes effect and its answer is lost."""
    policy, scenario = SCENARIOS["second"]
    _, expected = writes_of(policy, scenario)
    for number in range(14):
        place = guarded(policy)
        ticks = [number]

        def turn(place: ControllerPlace = place, ticks: list[int] = ticks) -> None:
            ticks[0] -= 1
            if ticks[0] == -1:
                place.cluster.fail(method, error, after=after)

        place.between = turn
        play(place, scenario)
        place.rest()
        assert end(place) == expected, f"failed at tick {number}"


def test_D6_a_decision_on_a_stale_state_writes_nothing() -> None:
    place = guarded("preset: fast")
    place.want("models:/ride/1")
    place.rest()
    old = place.store.documents["state"]
    place.want("models:/ride/2")
    place.rest()
    expected, effects = end(place), len(place.store.effects)
    place.cluster.stale["state"] = old
    place.tick(5)
    assert place.loop.report.error.startswith("Conflict")
    assert len(place.store.effects) == effects
    del place.cluster.stale["state"]
    place.rest()
    assert end(place) == expected
    assert not place.loop.report.error


@pytest.mark.parametrize("name", ["model", "routing", "blue", "green", "policy", "control"])
def test_a_stale_read_of_any_document_is_made_good(name: Any) -> None:
    """An API server behind a cache may give an old answer for some ticks."""
    policy, scenario = SCENARIOS["second"]
    _, expected = writes_of(policy, scenario)
    place = guarded(policy)
    play(place, scenario[:1])
    place.cluster.stale[name] = place.store.documents.get(name)
    scenario[1](place)
    place.tick(4)
    del place.cluster.stale[name]
    place.rest()
    assert end(place) == expected


def test_D7_of_two_controllers_one_acts() -> None:
    policy, scenario = SCENARIOS["second"]
    _, expected = writes_of(policy, scenario)
    place = guarded(policy)
    second = place.view()
    other = place.controller("two", second)
    for act in scenario:
        act(place)
        place.rest(place.loop, other)
    assert end(place) == expected
    assert place.loop.report.leads
    assert not other.report.leads
    assert other.report.seen is None


def two_leaders(place: ControllerPlace) -> tuple[Loop, Loop]:
    """Two that both hold the lease for ever; only the state's version is left between them."""
    second = place.view()
    for cluster in (place.cluster, second):
        cluster.hold_lease = lambda *_: True  # type: ignore[method-assign]
    return (
        place.controller("one", place.cluster, lease=1e9),
        place.controller("two", second, lease=1e9),
    )


def test_D7_two_that_both_believe_to_lead_do_no_step_twice() -> None:
    policy, scenario = SCENARIOS["second"]
    _, expected = writes_of(policy, scenario)
    place = guarded(policy)
    leaders = two_leaders(place)
    for act in scenario:
        act(place)
        place.rest(*leaders)
    assert end(place) == expected


def test_D6_one_that_was_stopped_between_its_look_and_its_write_writes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policy, scenario = SCENARIOS["second"]
    _, expected = writes_of(policy, scenario)
    place = guarded(policy)
    slow, other = two_leaders(place)
    scenario[0](place)
    place.rest(slow)
    scenario[1](place)
    # It has seen what is wanted, and waits whether that stays.
    place.tick(1, slow)
    look = slow._observer.look

    def stopped(*facts: Any) -> Seen:
        seen = look(*facts)
        monkeypatch.undo()
        place.rest(other)
        return seen

    monkeypatch.setattr(slow._observer, "look", stopped)
    place.tick(1, slow)
    assert slow.report.error.startswith("Conflict: state")
    assert end(place) == expected
    place.rest(slow, other)
    assert end(place) == expected


def test_D6_one_that_was_stopped_before_it_filled_a_slot_leaves_the_slot_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The state needs no write in that tick, so no version of it would have stopped the fill."""
    place = guarded("preset: fast")
    slow, other = two_leaders(place)
    for number in (1, 2):
        place.want(f"models:/ride/{number}")
        place.rest(slow)
    # One filling fails, so to make it good is all that the next tick has to do.
    place.want("models:/ride/3")
    place.cluster.fail("fill")
    while place.cluster.faults:
        place.tick(1, slow)
    read, asked = place.cluster.read, []

    def stopped(name: Any) -> Any:
        asked.append(name)
        if asked.count("state") == 2:
            # Between its decision and its act the other leads, and somebody wants the first again.
            monkeypatch.undo()
            place.want("models:/ride/1")
            place.rest(other)
        return read(name)

    monkeypatch.setattr(place.cluster, "read", stopped)
    effects = len(place.store.effects)
    place.tick(1, slow)
    assert asked.count("state") == 2
    assert slow.report.error.startswith("Conflict: state")
    assert len(place.store.effects) > effects
    expected = end(place)
    place.rest(slow, other)
    assert end(place) == expected


def test_D5_a_controller_that_lost_the_lease_in_the_middle_of_a_tick_stops_there() -> None:
    place = guarded("preset: fast")
    place.want("models:/ride/1")
    place.tick()
    place.want("models:/ride/2")
    read = place.cluster.read

    def slow(name: Any) -> Any:
        # The process is stopped for longer than its lease lasts.
        place.clock.advance(4)
        return read(name)

    place.cluster.read = slow  # type: ignore[method-assign]
    effects = len(place.store.effects)
    place.tick()
    assert "the lease was lost" in place.loop.report.error
    assert len(place.store.effects) == effects


@pytest.mark.parametrize("lost", range(len(STEPWISE)))
def test_D5_a_lease_lost_in_any_phase_stops_everything_until_it_is_back(lost: int) -> None:
    _, expected = writes_of(STEPS, STEPWISE)
    place = guarded(STEPS)
    for number, act in enumerate(STEPWISE):
        act(place)
        if number == lost:
            place.tick()
            held, effects = place.store.lease, len(place.store.effects)
            place.store.lease = Record("other", 15.0, 1, "x")
            place.tick(3)
            assert len(place.store.effects) == effects
            place.store.lease = held
        place.rest()
    assert end(place) == expected


def test_what_happened_is_told_only_after_it_was_written() -> None:
    place = guarded("preset: fast")
    place.want("models:/ride/1")
    place.cluster.fail("write", Unavailable("no"), times=3)
    place.tick(3)
    assert place.store.events == []
    place.rest()
    assert [event.reason for event in place.store.events].count("Promoted") == 1


def test_D20_a_cluster_that_takes_no_events_holds_nothing_up() -> None:
    place = guarded("preset: fast")
    place.cluster.fail("record", times=1000)
    play(place, SECOND)
    assert place.serving() == {B: 10_000}
    assert place.store.events == []
