"""The web application within the test's own process, for models of any use case."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from flask.testing import FlaskClient
from tests import stub_models

from slipway.models.obtain import Loaded
from slipway.scoring.scorer import Scorer
from slipway.settings import ServeSettings, read_settings
from slipway.usecases.protocol import InputField, UseCase
from slipway.usecases.tabular import Tabular
from slipway.web.app import create_app, service_of
from slipway.web.service import Service
from slipway.web.warmup import Example

RIDE = {"PULocationID": 10, "DOLocationID": 50, "trip_distance": 40}
EXAMPLE = Example(RIDE, 80.0)
CURSED_RIDE = RIDE | {"trip_distance": stub_models.CURSED}

# One column of each type that a signature may name, and those that may be left out.
COLUMNS = [
    InputField("truth", "boolean"),
    InputField("small", "integer"),
    InputField("large", "long"),
    InputField("single", "float"),
    InputField("double", "double"),
    InputField("text", "string"),
    InputField("time", "datetime"),
    InputField("some large", "long", required=False),
    InputField("some.text[0]", "string", required=False),
]


def count_of(features: Any) -> list[float]:
    """A model that answers with the number of each row."""
    return [float(row) for row in range(len(features))]


def loaded_for(use_case: UseCase, predict: Callable[[Any], Any] = count_of) -> Loaded:
    """A release of any use case, with a function in place of the model."""
    rides = stub_models.loaded()
    release = msgspec.structs.replace(
        rides.release, use_case=use_case.name, inputs=list(use_case.inputs)
    )
    scorer = Scorer(use_case, predict, numeric=use_case.name == "rides")
    return dataclasses.replace(rides, release=release, scorer=scorer)


def by_columns(inputs: Sequence[InputField] = COLUMNS) -> Tabular:
    """The use case of a model with columns."""
    return Tabular(inputs)


def by_tensor(dtype: str = "float64", *sizes: int) -> Tabular:
    """The use case of a model that takes a tensor."""
    return Tabular([], (dtype, (-1, *(sizes or (2, 3)))))


def in_process(loaded: Loaded | None, **given: Any) -> tuple[FlaskClient, Service]:
    """A client of an application with such settings, and what the application serves."""
    app = create_app(read_settings(ServeSettings, **given), loaded, example=EXAMPLE)
    return app.test_client(), service_of(app)


def series(service: Service) -> dict[str, float]:
    """What a scrape of the service tells: `name{labels}` -> value."""
    lines = service.metrics.expose().decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}
