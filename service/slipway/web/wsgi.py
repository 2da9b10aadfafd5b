"""The entry module of the service: reads the environment, loads the model, builds what serves.

A start that fails raises, after it has told why in one line of the log and in Kubernetes'
termination log. It never ends the process itself: gunicorn's master would start it again for ever.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import structlog

from slipway import logs
from slipway.errors import SlipwayError
from slipway.models.obtain import Loaded, obtain
from slipway.settings import ServeSettings, read_settings
from slipway.web.admin import AdminServer
from slipway.web.direct import Direct
from slipway.web.service import Service
from slipway.web.termination import TERMINATION_VARIABLE, tell_why
from slipway.web.warmup import Example, warm_up

if TYPE_CHECKING:
    from flask import Flask

log = structlog.get_logger(__name__)

Obtain = Callable[[ServeSettings], Loaded | None]


class Application:
    """What gunicorn runs: predictions at once, all else by Flask; the admin server beside it."""

    def __init__(
        self, settings: ServeSettings, loaded: Loaded | None, example: Example | None = None
    ) -> None:
        pod = settings.pod or socket.gethostname()
        multiprocess_dir = os.environ.get("PROMETHEUS_MULTIPROC_DIR", "")
        service = Service(
            settings, loaded, example=example, pod=pod, multiprocess_dir=multiprocess_dir
        )
        self._service, self._settings = service, settings
        self._flask: Flask | None = None
        self._making = threading.Lock()
        self.direct = Direct(service.answers, settings, self._by_flask)
        self._health = service.health
        if settings.admin_port >= 0:
            shared = settings.workers > 1
            admin = AdminServer(service, settings.host, settings.admin_port, share_port=shared)
            admin.start()

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer a request (PEP 3333)."""
        return self.direct(environ, start_response)

    @property
    def flask(self) -> Flask:
        """What answers all but predictions; made when it is asked for the first time.

        A pod is asked for little else: its probes and metrics are on the admin port. Flask would
        be a tenth of its start, and 6 MB. Nothing of it depends on the model or on settings that
        have not been judged, so there is nothing here that a start should fail of.
        """
        with self._making:
            if self._flask is None:
                from slipway.web.app import app_of

                self._flask = app_of(self._service, self._settings)
            return self._flask

    def _by_flask(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        return self.flask.wsgi_app(environ, start_response)

    def drain(self) -> None:
        """Say on /readyz that this process is about to end."""
        self._health.drain()


def application(obtain: Obtain = obtain) -> Application:
    """Build the service that the environment describes.

    Raises a SlipwayError when its settings are wrong or its model cannot be had or does not
    predict.
    """
    try:
        settings = read_settings(ServeSettings)
        logs.configure(settings.log_level)
        loaded = obtain(settings)
        example = warm_up(loaded.scorer, loaded.example or b"") if loaded else None
        built = Application(settings, loaded, example)
    except SlipwayError as error:
        tell_why(error, os.environ.get(TERMINATION_VARIABLE))
        raise
    log.info(
        "serving",
        url=f"http://{_reachable(settings.host)}:{settings.port}",
        admin_port=settings.admin_port,
        slot=settings.slot,
        idle=loaded is None,
        run_id=loaded.release.version if loaded else None,
        digest=loaded.release.digest if loaded else None,
        form=loaded.scorer.form if loaded else None,
        form_reason=loaded.scorer.why if loaded else None,
    )
    return built


def _reachable(host: str) -> str:
    """The address that a person on this machine can open."""
    if host in ("0.0.0.0", "::", ""):  # noqa: S104
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
