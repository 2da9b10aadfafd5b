"""The course's way: Flask, and MLflow's pyfunc asked once a request. `gunicorn course:app`.

Written from the description of the course's steps, to be measured. RIDE_MODEL names the model.
"""

import os

import mlflow.pyfunc
from flask import Flask, Response, jsonify, request

app = Flask("duration-prediction")
model = mlflow.pyfunc.load_model(os.environ["RIDE_MODEL"])
version = os.environ["RIDE_VERSION"]


def prepare_features(ride: dict[str, object]) -> dict[str, object]:
    """What the model was trained on."""
    return {
        "PU_DO": f"{ride['PULocationID']}_{ride['DOLocationID']}",
        "trip_distance": ride["trip_distance"],
    }


@app.route("/predict", methods=["POST"])
def predict() -> Response:
    """One ride."""
    predicted = model.predict(prepare_features(request.get_json()))
    return jsonify({"duration": float(predicted[0]), "model_version": version})
