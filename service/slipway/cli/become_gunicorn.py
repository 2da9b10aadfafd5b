"""Checks the service's settings, then becomes gunicorn (the process id stays).

Imported at each start of a pod before anything else is: it must stay small.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from slipway.errors import InvalidConfig
from slipway.settings import ServeSettings, read_settings

CONFIG = "python:slipway.web.gunicorn_conf"
APPLICATION = "slipway.web.wsgi:application()"
METRICS_DIR = "PROMETHEUS_MULTIPROC_DIR"


def become_gunicorn() -> None:
    """Does not return. Raises InvalidConfig, told as a service tells why it does not start."""
    try:
        prepare_metrics(_checked().workers)
    except InvalidConfig as error:
        from slipway import logs
        from slipway.web.termination import TERMINATION_VARIABLE, tell_why

        logs.configure()
        tell_why(error, os.environ.get(TERMINATION_VARIABLE))
        raise
    sys.stdout.flush()
    # gunicorn's script, so that the process is called gunicorn wherever processes are listed.
    script = Path(sys.executable).with_name("gunicorn")
    start = [str(script)] if script.is_file() else [sys.executable, "-m", "gunicorn"]
    os.execvp(start[0], [*start, "--config", CONFIG, APPLICATION])  # noqa: S606


def _checked() -> ServeSettings:
    settings = read_settings(ServeSettings)
    lock = settings.release_file
    if settings.reference and not (lock and lock.is_file()):
        from slipway.models.reference import parse_reference

        parse_reference(settings.reference)
    return settings


def prepare_metrics(workers: int) -> None:
    """Set METRICS_DIR as prometheus-client must find it when it is imported.

    For several workers it is a folder without the files of an earlier start: they would be counted
    again. One worker keeps its metrics in memory, whatever the environment says.
    """
    given = os.environ.pop(METRICS_DIR, None)
    if workers == 1:
        return
    import tempfile

    try:
        folder = Path(given or tempfile.mkdtemp(prefix="slipway-metrics-"))
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("*.db"):
            left.unlink()
    except OSError as error:
        raise InvalidConfig(
            f"{METRICS_DIR}: its folder cannot be prepared ({error.strerror}); "
            "several workers need one that can be written"
        ) from error
    os.environ[METRICS_DIR] = str(folder)
