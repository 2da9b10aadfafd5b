"""FastAPI with the pipeline itself, in `async def`. `uvicorn fastapi_ride:app`.

RIDE_MODEL names the model; scikit-learn and skops load it, MLflow stays away.
"""

import os
from pathlib import Path

from fastapi import FastAPI
from pydantic import BaseModel
from skops.io import get_untrusted_types, load

app = FastAPI()
path = Path(os.environ["RIDE_MODEL"], "model.skops")
pipeline = load(path, trusted=get_untrusted_types(file=path))
version = os.environ["RIDE_VERSION"]


class Ride(BaseModel):
    """What is asked."""

    PULocationID: str
    DOLocationID: str
    trip_distance: float


class Answer(BaseModel):
    """What is answered."""

    duration: float
    model_version: str


@app.post("/predict")
async def predict(ride: Ride) -> Answer:
    """One ride."""
    pair = f"{ride.PULocationID}_{ride.DOLocationID}"
    (predicted,) = pipeline.predict({"PU_DO": pair, "trip_distance": ride.trip_distance})
    return Answer(duration=float(predicted), model_version=version)
