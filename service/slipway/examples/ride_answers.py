"""Answers of honest and of broken ride models to the same rides, for the simulator.

Stable is the course's linear model. The honest candidates are other fits and families; the broken
ones are stable with what goes wrong in practice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from slipway.examples import ride_models
from slipway.examples.ride_models import Floats, TrainingRides
from slipway.examples.synthetic import KM_PER_MILE, Recipe, make_month

Predict = Callable[[TrainingRides], Floats]
_SYNTHETIC = Recipe("green", 2021, 2, 6_000, 0)
_FAMILIES = ("ridge", "forest", "boosting")


def ride_answers(files: Sequence[Path], seed: int = 0) -> dict[str, tuple[Floats, Floats]]:
    """Name -> stable's and the candidate's answers to the held-out rides, arrays of one length.

    Without files, to a synthetic month. Raises InputDataInvalid or InputDataMissing.
    """
    if files:
        rides = ride_models.read_rides(files, "duration")
    else:
        table = make_month(_SYNTHETIC)
        rides = ride_models.rides_of_table(table, "duration", _SYNTHETIC.file_name)
    learnt, held_out = ride_models.split(rides, seed)
    stable = _fitted("linear", learnt, seed)
    control = stable(held_out)
    found = {"same": control, "retrain": _fitted("linear", _half(learnt, seed), seed)(held_out)}
    found |= {kind: _fitted(kind, learnt, seed)(held_out) for kind in _FAMILIES}
    found["2 % higher"] = control * 1.02
    found |= _broken(control, stable, held_out, seed)
    pairs = {name: (control, candidate) for name, candidate in found.items()}
    # Many copies of the rides, so that which of them go wrong is not one draw of luck.
    many = np.tile(control, 20)
    wrong = np.random.default_rng(seed).random(len(many)) < 0.01
    return {**pairs, "1 % x 10": (many, np.where(wrong, many * 10, many))}


def _broken(control: Floats, stable: Predict, rides: TrainingRides, seed: int) -> dict[str, Floats]:
    random = np.random.default_rng(seed)
    in_km = TrainingRides(
        rides.pairs, rides.distances * KM_PER_MILE, rides.target, rides.source, rides.sha256
    )
    return {
        "x 1.3": control * 1.3,
        "+ 5 min": control + 5,
        "km for miles": stable(in_km),
        "constant": np.full(len(control), control.mean()),
        "permuted": random.permutation(control),
    }


def _half(rides: TrainingRides, seed: int) -> TrainingRides:
    return ride_models.sample(rides, len(rides) // 2, seed + 1)


def _fitted(kind: str, learnt: TrainingRides, seed: int) -> Predict:
    pipeline = ride_models.dict_pipeline(ride_models.make_estimator(kind, seed))
    pipeline.fit(learnt.dicts(), learnt.target)

    def predict(rides: TrainingRides) -> Floats:
        return np.asarray(pipeline.predict(rides.dicts()), dtype=np.float64)

    return predict
