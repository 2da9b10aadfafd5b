"""D9, D10, D13, D14: rollouts by measured evidence, as processes under load, by the policy `test`.

The models take 60 ms, so that what else the machine does is no difference between them.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from tests.rollout_place import RolloutPlace, rolling
from tests.waiting import until

from slipway.rollout.status import Status

pytestmark = pytest.mark.alone

WITHOUT_SHADOW = "shadow: {enabled: false}"


@pytest.fixture(scope="module")
def place() -> Iterator[RolloutPlace]:
    with rolling() as found:
        yield found


def test_D14_a_good_model_goes_up_to_all_of_the_traffic_and_no_request_fails(
    place: RolloutPlace,
) -> None:
    place.given("steady", "2 % higher", "watch: {seconds: 5}")
    with place.load() as load:
        place.want_candidate()
        place.wait("Promoted")
        reasons = place.reasons()
        assert reasons.index("ShadowStarted") < reasons.index("StepStarted")
        place.router.wait(place.state.epoch)
        # What was asked before is answered by whom it was asked of.
        load.phase("under way")
        load.wait(100)
        load.phase("after")
        load.wait(100)
        # The shadow reversed: the former stable is asked what the new one answers.
        until(lambda: place.reversed_pairs() > 20, what="pairs in the watch")
        after = load.phases["after"]
        assert after.slots == {place.slots["candidate"]: after.answered}
        place.wait("WatchEnded")
    assert load.failed == 0, load.told()


@pytest.mark.parametrize(
    ("kind", "gate"),
    [
        ("x 1.3", "mean"),
        ("distance in km", "mean"),
        ("constant", "correlation"),
        ("permuted", "correlation"),
        ("NaN for a fifth", "errors"),
        ("fails a fifth", "errors"),
        ("3 times slower", "latency"),
    ],
)
def test_row_2_A11_D13_a_bad_model_is_stopped_in_shadow_before_any_user_gets_its_answer(
    place: RolloutPlace, kind: str, gate: str
) -> None:
    place.given("steady", kind)
    with place.load() as load:
        place.want_candidate()
        place.wait("GateFailed")
        assert place.state.history[-1].message.startswith(f"{gate}: "), place.told()
        assert place.state.phase == "aborted"
        assert "StepStarted" not in place.reasons()
    assert load.failed == 0, load.told()
    assert set(load.phases["begin"].slots) == {place.slots["stable"]}


def test_a_model_that_fails_one_in_five_is_off_within_two_looks_after_its_hundredth_request(
    place: RolloutPlace,
) -> None:
    """No user sees it: stable answers in its place."""
    seen: dict[int, int] = {}
    place.given("steady", "fails a fifth", WITHOUT_SHADOW)
    with place.load() as load:
        place.want_candidate()

        def stopped() -> bool:
            window = place.window
            if window:
                seen[window.looks] = window.counts.candidate
            return "GateFailed" in place.reasons()

        until(stopped, 30, "it to be stopped")
        assert place.state.weight == 0
        assert place.state.history[-1].message.startswith("errors: ")
        looks = [look for look, candidate in seen.items() if candidate >= 100]
        assert max(seen) - min(looks, default=max(seen)) <= 2, seen
    assert load.failed == 0, load.told()
    assert load.phases["begin"].fallbacks > 0


def test_a_model_that_turns_bad_after_its_promotion_gives_way_to_the_old_one_by_itself(
    place: RolloutPlace,
) -> None:
    place.given("steady", "steady", "watch: {seconds: 30, share: 100}")
    with place.load() as load:
        place.want_candidate()
        place.wait("Promoted")
        place.does(place.candidate, "x 1.3")
        place.wait("ReturnToWarm")
        reasons = place.reasons()
        assert reasons[reasons.index("Promoted") :] == ["Promoted", "GateFailed", "ReturnToWarm"]
        place.router.wait(place.state.epoch)
        load.phase("under way")
        load.wait(100)
        back = load.phase("back")
        load.wait(100)
        assert back.slots == {place.slots["stable"]: back.answered}
    assert load.failed == 0, load.told()
    assert place.state.phase == "aborted"


def test_D9_a_router_restarted_in_the_middle_of_a_measure_stops_nothing(
    place: RolloutPlace,
) -> None:
    """Its counters begin at 0 again: what was counted before is given up, for both sides."""
    place.given("steady", "steady")
    with place.load() as load:
        place.want_candidate()
        place.wait("ShadowStarted")
        until(lambda: place.window and place.window.counts.candidate > 50, what="some pairs")
        place.router.stop(signal.SIGKILL)
        until(lambda: place.window and place.window.dropped > 0, what="an interval to be dropped")
        assert "does not say which table it has loaded" in place.status.why
        before = place.window
        place.router.start()
        until(lambda: place.window and before and place.window.looks < before.looks, 30, "anew")
        place.wait("Promoted")
        assert "GateFailed" not in place.reasons()
    assert load.failed == 0, load.told()


def test_row_6_a_thousand_copies_find_their_answers_and_the_report_has_their_figures(
    place: RolloutPlace,
) -> None:
    """Held in shadow; a shadow that hangs is told of in test_router_shadow."""
    place.given("steady", "2 % higher", "auto: false")
    with place.load() as load:
        place.want_candidate()
        place.wait("ShadowStarted")

        def enough() -> Status | None:
            status = place.status
            return status if status.window and status.window.candidate >= 1000 else None

        status = until(enough, 30, "a thousand pairs")
        place.ask("abort")
        place.wait("Aborted")
    assert load.failed == 0, load.told()
    window = status.window
    assert window
    # Copies of the last look may still be under way.
    assert window.candidate_answers >= 0.99 * (window.candidate - 150 * 2), window
    assert window.unmatched <= 0.01 * window.candidate
    assert window.histogram
    told = {verdict.gate: verdict.estimate for verdict in status.gates}
    assert told["mean"] == pytest.approx(0.02, abs=0.001)
    assert told["correlation"] == pytest.approx(1.0)
    assert {each.name for each in status.shown} >= {"tolerance", "p99"}


def test_row_8_D10_without_traffic_it_holds_and_goes_on_when_there_is_some(
    place: RolloutPlace,
) -> None:
    place.given("steady", "steady")
    place.want_candidate()
    place.wait("ShadowStarted")
    until(lambda: place.window and place.window.looks >= 5, what="some looks")
    assert "insufficient data (0/" in place.status.why
    assert place.state.phase == "shadow"
    assert place.state.condition
    assert place.state.condition.reason == "InsufficientData"
    with place.load() as load:
        place.wait("Promoted")
    assert load.failed == 0, load.told()
