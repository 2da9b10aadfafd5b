"""Makes what every system serves: two models, a thousand rides, the native pipeline's answers.

    python -m loadtest.bench.peers.models FOLDER

A process of its own: the libraries that train must not be mapped in the process that measures,
where they would share their pages with Slipway's pods and make them look smaller.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import mlflow.pyfunc
from mlflow.models.signature import ModelSignature
from mlflow.types.schema import ColSpec, Schema
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from tests.artifacts import OUTPUTS, save_ride_model

from slipway.examples.ride_models import make_estimator, rides_of_table
from slipway.examples.synthetic import Recipe, make_month
from slipway.models.trusted_types import TRUSTED_TYPES
from slipway.usecases.rides import DISTANCE, PAIR, ride_features

MODELS = ("linear", "trees")
TREES = 50
# So many rides know about ten thousand pairs of zones.
TRAINED_ON = {"linear": 150_000, "trees": 20_000}
ASKED = 1_000


def pipeline(model: str) -> Any:
    """The course's pipeline around one of MODELS, fitted on made-up rides."""
    month = make_month(Recipe("yellow", 2021, 2, rows=TRAINED_ON[model]))
    rides = rides_of_table(month, "duration", "made-up rides")
    forest = make_estimator("forest", 7).set_params(n_estimators=TREES)
    estimator = LinearRegression() if model == "linear" else forest
    return make_pipeline(DictVectorizer(), estimator).fit(rides.dicts(), rides.target)


def asked() -> list[tuple[str, float]]:
    """Pair and distance of the rides of another month, pairs among them that no model knows."""
    month = make_month(Recipe("yellow", 2021, 3, rows=2 * ASKED))
    rides = rides_of_table(month, "duration", "made-up rides")
    return list(zip(rides.pairs.tolist(), rides.distances.tolist(), strict=True))[:ASKED]


def save_with_columns(folder: Path, pipeline_file: Path) -> None:
    """The saved pipeline once more, behind the wrapper that servers of DataFrames need."""
    inputs = Schema([ColSpec("string", PAIR), ColSpec("double", DISTANCE)])
    mlflow.pyfunc.save_model(
        str(folder),
        python_model=str(Path(__file__).parent / "programs" / "columns.py"),
        artifacts={"pipeline": str(pipeline_file)},
        signature=ModelSignature(inputs=inputs, outputs=OUTPUTS),
        pip_requirements=["scikit-learn", "skops"],
    )


def main(folder: Path) -> None:
    """Write each model as the project logs it, its twin `NAME-columns`, and `rides.json`."""
    rides = asked()
    features = [ride_features(pair, distance) for pair, distance in rides]
    columns, answers = {}, {}
    for model in MODELS:
        made = pipeline(model)
        save_ride_model(folder / model, pipeline=made, trusted=sorted(TRUSTED_TYPES))
        save_with_columns(folder / f"{model}-columns", folder / model / "model.skops")
        columns[model] = len(made.steps[0][1].feature_names_)
        answers[model] = [made.predict([each])[0] for each in features]
    requests = []
    for each in features:
        pickup, dropoff = str(each[PAIR]).split("_")
        requests.append(
            {"PULocationID": pickup, "DOLocationID": dropoff, "trip_distance": each[DISTANCE]}
        )
    document = {"columns": columns, "features": features, "rides": requests, "answers": answers}
    (folder / "rides.json").write_text(json.dumps(document))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
