"""Tells why a service does not start: in its log, and where Kubernetes looks for it."""

from __future__ import annotations

from pathlib import Path

import structlog

from slipway.errors import SlipwayError

# Set, it names a file to write in place of Kubernetes' own, which is written if it is there.
TERMINATION_VARIABLE = "SLIPWAY_TERMINATION_LOG"
TERMINATION_LOG = "/dev/termination-log"
# Kubernetes shows at most this many bytes.
MAX_BYTES = 4096

log = structlog.get_logger(__name__)


def tell_why(error: SlipwayError, file: str | None) -> None:
    """Log the reason in one line, and write it to `file`, or to TERMINATION_LOG if that exists."""
    log.error("the service cannot start", reason=error.reason, detail=error.message)
    path = Path(file or TERMINATION_LOG)
    if not (file or path.is_file()):
        return
    try:
        text = f"{error.reason}: {error.message}\n".encode()[:MAX_BYTES]
        path.write_text(text.decode(errors="ignore"), "utf-8")
    except OSError as failure:
        log.warning("the termination log cannot be written", why=failure.strerror)
