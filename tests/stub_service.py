"""An entry module for gunicorn that serves a stub in place of a model as the real one would."""

from __future__ import annotations

from typing import Any

from tests.in_process import by_columns, by_tensor, loaded_for
from tests.stub_models import DIGEST, obtain

from slipway.models.obtain import Loaded
from slipway.usecases.protocol import InputField
from slipway.web import wsgi

COLUMNS = [
    InputField("double", "double"),
    InputField("single", "float"),
    InputField("truth", "boolean"),
    InputField("text", "string"),
    InputField("some.text[0]", "string", required=False),
]
OTHERS: dict[str, Loaded] = {
    "columns": loaded_for(by_columns(COLUMNS)),
    "a tensor": loaded_for(by_tensor("float64", 2, 3)),
}


def by_flask_alone(kind: str) -> Any:
    """The same without the callable in front of Flask."""
    return application(kind).flask.wsgi_app


def application(kind: str, digest: str = DIGEST) -> wsgi.Application:
    """The service, with a stub in place of the model that the environment names."""
    return wsgi.application(lambda _settings: OTHERS.get(kind) or obtain(kind, digest))
