"""An entry module for gunicorn that serves one of tests/stub_models.py as the real one would."""

from __future__ import annotations

from tests.stub_models import DIGEST, obtain

from slipway.web import wsgi


def application(kind: str, digest: str = DIGEST) -> wsgi.Application:
    """The service, with a stub in place of the model that the environment names."""
    return wsgi.application(lambda _settings: obtain(kind, digest))
