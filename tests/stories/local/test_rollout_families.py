"""D14: models of other families, trained on the same real rides and better on rides they never saw.

The shipped processes with the shipped trainer's estimators, by the policy `test` under load of the
rides that were held out. Each version that is promoted is what the next one is compared with.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.artifacts import save_ride_model
from tests.load import Load, ride
from tests.local_installation import LocalInstallation, installed

from slipway.examples.log_model import histogram_edges
from slipway.examples.ride_models import (
    TrainingRides,
    dict_pipeline,
    fit,
    make_estimator,
    read_rides,
    split,
)
from slipway.models.trusted_types import TRUSTED_TYPES

pytestmark = [pytest.mark.alone, pytest.mark.real_rides]

MOST, RATE = 60_000, 150
# Trees take some milliseconds more than a line's few tenths, which by ratio is many times as long:
# whoever wants the better answers has to allow for it, and says so in the policy.
POLICY = "preset: test\nreplicas: 1\nkeepWarm: 1\ngates: {latency: {absolute: 0.1}}\n"


@dataclass(frozen=True)
class Families:
    """Where each model lies, and how far off it is on held-out rides, in minutes."""

    folder: Path
    held_out: TrainingRides
    errors: dict[str, float]

    def asked(self, number: int) -> bytes:
        """A held-out ride as a client sends it."""
        at = number % len(self.held_out)
        pickup, _, dropoff = str(self.held_out.pairs[at]).partition("_")
        body = {
            "PULocationID": pickup,
            "DOLocationID": dropoff,
            "trip_distance": float(self.held_out.distances[at]),
        }
        return ride(number, body=json.dumps(body).encode())


@pytest.fixture(scope="module")
def families(real_rides: Path, tmp_path_factory: pytest.TempPathFactory) -> Families:
    folder = tmp_path_factory.mktemp("families")
    rides = read_rides(sorted(real_rides.glob("*.parquet")), "duration")
    learnt, held_out = split(rides, 0)
    errors = {}
    for kind in ("linear", "ridge", "forest", "boosting"):
        pipeline = dict_pipeline(make_estimator(kind, 0))
        trained = fit(pipeline, learnt.dicts(), learnt.target, held_out.dicts(), held_out.target)
        errors[kind] = trained.rmse
        known = {
            "use_case": "rides",
            "answer": "duration",
            "buckets": histogram_edges(trained.predictions),
        }
        save_ride_model(
            folder / kind,
            pipeline=trained.pipeline,
            metadata=known,
            trusted=sorted(TRUSTED_TYPES),
        )
    return Families(folder, held_out, errors)


@pytest.fixture(scope="module")
def place(families: Families) -> Iterator[LocalInstallation]:
    with installed("--model", str(families.folder / "linear")) as installation:
        installation.wait_idle()
        installation.set_policy(POLICY)
        yield installation


@pytest.mark.parametrize("kind", ["ridge", "forest", "boosting"])
def test_D14_a_better_model_of_another_family_is_promoted(
    place: LocalInstallation, families: Families, kind: str
) -> None:
    assert families.errors[kind] < families.errors["linear"], "an honest one"
    place.wait_rest()
    known = len(place.reasons())
    reference = str(families.folder / kind)
    with Load(place.port, limit=MOST, rate=RATE, clients=16, request=families.asked) as load:
        load.wait(100)
        wanted = place.run("set-model", reference, "--wait", "--timeout", "60")
    assert wanted.returncode == 0, wanted.stderr
    assert load.failed == 0, load.told()
    assert place.stable()[0] == reference
    reasons = place.reasons()[known:]
    assert [each for each in reasons if each.endswith("Started") or each == "Promoted"] == [
        "Started", "ShadowStarted", "StepStarted", "Promoted",
    ]  # fmt: skip
