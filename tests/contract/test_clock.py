"""A18: the wall clock jumps while requests are answered; nothing that is measured may notice."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import numpy as np
import pytest
import time_machine
from prometheus_client.parser import text_string_to_metric_families
from tests import stub_models
from tests.artifacts import RIDE

from slipway.models.obtain import Loaded
from slipway.scoring.scorer import Scorer
from slipway.settings import ServeSettings, read_settings
from slipway.usecases.rides import Rides
from slipway.web.app import create_app

HOUR = dt.timedelta(hours=1)
LONGEST_SECONDS = 60.0


def jumping(by: dt.timedelta, jump: Callable[[dt.timedelta], None]) -> Loaded:
    """A model during whose prediction the clock jumps."""
    loaded = stub_models.loaded()

    def predict(features: list[dict[str, float]]) -> object:
        jump(by)
        return np.array([1.0] * len(features))

    return Loaded(loaded.release, loaded.model_file, Scorer(Rides(), predict))


@pytest.mark.parametrize("by", [HOUR, -HOUR], ids=["an hour on", "an hour back"])
def test_A18_a_clock_that_jumps_makes_no_negative_and_no_giant_latency(
    by: dt.timedelta,
) -> None:
    with time_machine.travel(dt.datetime.now(dt.UTC)) as clock:
        app = create_app(read_settings(ServeSettings), jumping(by, clock.shift))
        client = app.test_client()
        for _ in range(3):
            answer = client.post("/predict", json=RIDE)
            assert answer.status_code == 200
        exposed = client.get("/metrics").get_data(as_text=True)
        ready = client.get("/readyz")
    assert ready.status_code == 200
    (seconds,) = [
        family
        for family in text_string_to_metric_families(exposed)
        if family.name == "slipway_request_seconds"
    ]
    values = {sample.name.rpartition("_")[2]: sample.value for sample in seconds.samples}
    assert values["count"] == 3
    assert 0 <= values["sum"] < LONGEST_SECONDS
