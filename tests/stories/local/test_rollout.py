"""D13, D14: rollouts by measured evidence, as processes under load, with the policy `test`."""

from __future__ import annotations

from tests.rollout_place import rolling


def test_D14_a_good_model_goes_up_to_all_of_the_traffic_and_no_request_fails() -> None:
    with rolling("good", "2 % higher") as place, place.load() as load:
        place.want("b")
        place.wait("Promoted")
        reasons = place.reasons()
        assert reasons.index("ShadowStarted") < reasons.index("StepStarted")
        load.phase("after")
        load.wait(100)
        assert load.phases["after"].slots == {"green": load.phases["after"].answered}
        place.wait("WatchEnded")
    assert load.failed == 0, load.told()
