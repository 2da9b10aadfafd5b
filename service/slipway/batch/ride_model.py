"""One model of rides, asked for the rides of a batch in the quickest way that has its own bits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import structlog

from slipway.models.columnar import columnar
from slipway.scoring.scorer import Scorer
from slipway.usecases.ride_columns import Rides
from slipway.usecases.rides import Rides as RidesCase

# Rides by which the model by columns is compared with the model itself, once a month.
COMPARED = 1_000

log = structlog.get_logger(__name__)

Floats = npt.NDArray[np.float64]


class RideModel:
    """A release's model: compiled, by columns, or ride by ride."""

    def __init__(self, scorer: Scorer, version: str) -> None:
        self.version = version
        self._scorer = scorer
        case = scorer.use_case
        self._apart = isinstance(case, RidesCase) and case.apart
        self._columnar = None if scorer.compiled else columnar(scorer.predict)
        self._agrees: bool | None = None

    @property
    def answer(self) -> str:
        """What it predicts: `duration` or `tip`."""
        return self._scorer.use_case.answer

    def predict(self, rides: Rides) -> Floats:
        """A prediction for each of the rides; raises ModelFailed."""
        if not len(rides.positions):
            return np.empty(0)
        if self._scorer.compiled:
            columns = rides.columns(apart=self._apart)
            return self._scorer.score_columns(*columns, len(rides.positions))
        model = self._columnar
        if model is None:
            return self._natively(rides)
        categories, numbers = rides.columns(apart=self._apart)
        predicted = self._scorer.guard(lambda: model(categories, numbers), len(rides.positions))
        if self._agrees is None:
            self._agrees = self._compare(rides, predicted)
            if not self._agrees:
                log.warning("the model is asked ride by ride: by columns it answers otherwise")
                self._columnar = None
                return self._natively(rides)
        return predicted

    def _natively(self, rides: Rides) -> Floats:
        return self._scorer.score_features(rides.features(apart=self._apart), len(rides.positions))

    def _compare(self, rides: Rides, predicted: Floats) -> bool:
        """Whether the model itself answers the first rides with the same bits."""
        native = self._natively(rides.between(0, COMPARED))
        return bool(np.array_equal(native, predicted[:COMPARED]))
