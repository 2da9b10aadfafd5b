"""D9, D10, D13, D14: rollouts by measured evidence, as processes under load, by the policy `test`.

The models take 60 ms, so that what else the machine does is no difference between them.
"""

from __future__ import annotations

import pytest
from tests.rollout_place import rolling
from tests.waiting import until

pytestmark = pytest.mark.alone

WITHOUT_SHADOW = "preset: test\nshadow: {enabled: false}"


def test_D14_a_good_model_goes_up_to_all_of_the_traffic_and_no_request_fails() -> None:
    with rolling("steady", "2 % higher") as place, place.load() as load:
        place.want("b")
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
        assert load.phases["after"].slots == {"green": load.phases["after"].answered}
        place.wait("WatchEnded")
    assert load.failed == 0, load.told()


@pytest.mark.parametrize(
    ("kind", "gate"),
    [
        ("x 1.3", "mean"),
        ("constant", "correlation"),
        ("permuted", "correlation"),
        ("NaN for a fifth", "errors"),
        ("fails a fifth", "errors"),
        ("3 times slower", "latency"),
    ],
)
def test_D13_a_bad_model_is_stopped_in_shadow_before_any_user_gets_its_answer(
    kind: str, gate: str
) -> None:
    with rolling("steady", kind) as place, place.load() as load:
        place.want("b")
        place.wait("GateFailed")
        assert place.state.history[-1].message.startswith(f"{gate}: "), place.told()
        assert place.state.phase == "aborted"
        assert "StepStarted" not in place.reasons()
    assert load.failed == 0, load.told()
    assert set(load.phases["begin"].slots) == {"blue"}


def test_a_model_that_fails_one_in_five_is_off_within_two_looks_after_its_hundredth_request() -> (
    None
):
    """No user sees it: stable answers in its place."""
    seen: dict[int, int] = {}
    with rolling("steady", "fails a fifth", WITHOUT_SHADOW) as place, place.load() as load:
        place.want("b")

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


def test_D10_without_traffic_it_holds_and_goes_on_when_there_is_some() -> None:
    with rolling("steady", "steady") as place:
        place.want("b")
        place.wait("ShadowStarted")
        until(lambda: place.window and place.window.looks >= 5, what="some looks")
        assert "insufficient data (0/" in place.status.why
        assert place.state.phase == "shadow"
        assert place.state.condition
        assert place.state.condition.reason == "InsufficientData"
        with place.load() as load:
            place.wait("Promoted")
        assert load.failed == 0, load.told()
