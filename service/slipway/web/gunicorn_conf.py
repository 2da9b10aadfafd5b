"""gunicorn's settings, each with its reason. An entry module: it reads the environment.

Used as `gunicorn -c python:slipway.web.gunicorn_conf 'slipway.web.wsgi:application()'`, which is
what `slipway serve` becomes.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from gunicorn.errors import HaltServer
from prometheus_client.multiprocess import mark_process_dead

from slipway import logs
from slipway.settings import ServeSettings, read_settings

_settings = read_settings(ServeSettings)
logs.configure(_settings.log_level)

_host = f"[{_settings.host}]" if ":" in _settings.host else _settings.host
bind = f"{_host}:{_settings.port}"

# `gthread` with our corrections: one thread watches the connections and answers what is quick, and
# another takes over when it is held up (web/leader.py). One copy of the model; scikit-learn gives
# the interpreter free in most of its numeric code.
worker_class = "slipway.web.worker.Worker"
# One process: no files of metrics to share and fill up, one sample ring. Scale by pods.
workers = _settings.workers
threads = _settings.threads
# For this class only a beat of the loop: no limit of a request's time (the router has one).
timeout = 30
# What is being answered may finish; the pod's grace period must be longer than this and preStop.
graceful_timeout = _settings.graceful_timeout
# Longer than the router keeps its idle connections (60 s): the side that reuses gives up first.
keepalive = 75
# Ending a worker after so many requests breaks the connections that clients keep.
max_requests = 0
# Load in the worker: threads of numeric libraries do not survive a fork.
preload_app = False
# The beat must not wait for a slow or full disk.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK | os.X_OK) else None  # noqa: S108
# One more way in, and it writes to the root file system, which is read-only.
control_socket_disable = True
# One line a request is ours to write; gunicorn's own talk becomes JSON beside it.
accesslog = None
logger_class = "slipway.web.server_log.ServerLog"
loglevel = _settings.log_level
# Nobody in front may set the scheme or the client's address: nothing here depends on them.
forwarded_allow_ips = ""
# HTTP/1.1 is all that the router speaks to a pod.
http_protocols = "h1"


def on_starting(server: Any) -> None:
    """Drain on every signal that means "stop", however often it comes.

    gunicorn would stop at once on SIGINT, and start workers anew on SIGHUP.
    """

    def queue(number: int, _frame: Any) -> None:
        stop = number in (signal.SIGINT, signal.SIGHUP)
        server.SIG_QUEUE.put_nowait(signal.SIGTERM if stop else number)

    server.signal = queue


def child_exit(_server: Any, worker: Any) -> None:
    """Forget the gauges of a worker that has ended."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(_server: Any) -> None:
    """A service that could not start ends with the exit code of a failure, 1."""
    if isinstance(sys.exc_info()[1], HaltServer):
        sys.exit(1)
