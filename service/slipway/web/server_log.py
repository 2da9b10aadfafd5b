"""gunicorn's log as lines of JSON, of the same kind as the service's own."""

from __future__ import annotations

import sys
from typing import Any

from gunicorn.glogging import Logger

from slipway import logs


class ServerLog(Logger):  # type: ignore[misc]
    """What `logger_class` names. There is no access log: the service tells of each request."""

    def setup(self, cfg: Any) -> None:
        """Use our handler in place of gunicorn's."""
        self.cfg = cfg
        self._access_log_enabled = False
        self.loglevel = self.LOG_LEVELS.get(cfg.loglevel.lower(), logs.LEVELS["info"])
        self.error_log.setLevel(self.loglevel)
        self.error_log.handlers = [logs.standard_handler()]
        self.access_log.handlers = []

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """A client that fell silent is no error of ours (see SILENCE in web/worker.py)."""
        if isinstance(sys.exc_info()[1], BlockingIOError):
            self.debug("a client fell silent")
            return
        super().exception(msg, *args, **kwargs)
