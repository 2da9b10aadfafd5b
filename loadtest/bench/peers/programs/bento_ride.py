"""BentoML with the pipeline itself, two workers. `bentoml serve bento_ride:RideDuration`.

RIDE_MODEL names the model; scikit-learn and skops load it, MLflow stays away.
"""

import os
from pathlib import Path

import bentoml


@bentoml.service(workers=2)
class RideDuration:
    """Answers POST /predict with a body of the method's arguments."""

    def __init__(self) -> None:
        from skops.io import get_untrusted_types, load

        path = Path(os.environ["RIDE_MODEL"], "model.skops")
        self.pipeline = load(path, trusted=get_untrusted_types(file=path))
        self.version = os.environ["RIDE_VERSION"]

    @bentoml.api
    def predict(self, PULocationID: str, DOLocationID: str, trip_distance: float) -> dict:
        """One ride."""
        features = {"PU_DO": f"{PULocationID}_{DOLocationID}", "trip_distance": trip_distance}
        (predicted,) = self.pipeline.predict(features)
        return {"duration": float(predicted), "model_version": self.version}
