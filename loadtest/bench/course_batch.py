"""A month scored as a data scientist's notebook would: MODEL INPUT OUTPUT.

pandas reads the whole month, every ride gets a random UUID and becomes a dict, and MLflow's pyfunc
predicts them all at once. Written from the description of the course's steps, to be measured.
"""

from __future__ import annotations

import sys
import uuid

import mlflow.pyfunc
import pandas as pd


def main(model: str, source: str, target: str) -> None:
    """Read, filter, predict, write."""
    rides = pd.read_parquet(source)
    pickup, dropoff = rides["tpep_pickup_datetime"], rides["tpep_dropoff_datetime"]
    rides["duration"] = (dropoff - pickup).dt.total_seconds() / 60
    rides = rides[(rides["duration"] >= 1) & (rides["duration"] <= 60)]
    rides = rides[rides["trip_distance"] <= 10_000]
    rides["ride_id"] = [str(uuid.uuid4()) for _ in range(len(rides))]
    zones = ["PULocationID", "DOLocationID"]
    rides[zones] = rides[zones].astype(str)
    rides["PU_DO"] = rides["PULocationID"] + "_" + rides["DOLocationID"]
    features = rides[["PU_DO", "trip_distance"]].to_dict(orient="records")
    predicted = mlflow.pyfunc.load_model(model).predict(features)
    result = rides[["ride_id", "tpep_pickup_datetime", *zones]].copy()
    result["actual_duration"] = rides["duration"]
    result["predicted_duration"] = predicted
    result["diff"] = result["actual_duration"] - result["predicted_duration"]
    result["model_version"] = "0" * 32
    result.to_parquet(target, index=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
