"""Logging: one line of JSON an event, of a service on standard output, of a command on stderr.

Whatever a client sends stays inside its line: JSON escapes it and everything that is not ASCII,
so no reader of the log can take a part of it for a line of its own. A log that cannot be written
(a full disk, a reader that has gone) is lost in silence, and the request it tells of is not.
"""

from __future__ import annotations

import json
import logging
import math
import sys
import threading
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import msgspec

# structlog looks for libraries that colour tracebacks for terminals, which no log of ours is. They
# are told to be absent while it looks: rich alone is fifty modules, in every process.
_SPARED = [name for name in ("rich", "better_exceptions", "colorama") if name not in sys.modules]
sys.modules.update(dict.fromkeys(_SPARED))  # type: ignore[arg-type]
import structlog  # noqa: E402

for _name in _SPARED:
    del sys.modules[_name]

LEVELS = {name: getattr(logging, name.upper()) for name in ("debug", "info", "warning", "error")}
MAX_TEXT = 4096

_lock = threading.Lock()
_encode = msgspec.json.Encoder().encode
_timestamp = structlog.processors.TimeStamper(fmt="iso", utc=True, key="time")


class _Output:
    """Where finished lines go; looks up the stream anew for each, so that it may be replaced."""

    def __init__(self, stream: str) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        stream = getattr(sys, self._stream)
        with _lock:
            try:
                stream.write(line + "\n")
                stream.flush()
            except (OSError, ValueError):
                # ValueError: the stream is closed.
                return

    debug = info = warning = error = critical = exception = log = msg


class _FromStandardLibrary(logging.Handler):
    """Turns records of other libraries into lines of the same kind."""

    def __init__(self, output: _Output) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except (KeyError, TypeError, ValueError):
            text = str(record.msg)
        event: dict[str, Any] = {"event": cut(text, MAX_TEXT), "logger": record.name}
        if record.exc_info and record.exc_info[1] is not None:
            # gunicorn's own errors (a port in use, a module missing) hold no request's data.
            event["exception"] = _told(*record.exc_info, text=record.name.startswith("gunicorn"))
        line = _stamped(None, record.levelname.lower(), event)
        self._output.msg(_rendered(None, "", line))


class _Destination:
    """What `configure` was last asked for, as `tell` needs it: the least level, and the output."""

    level = logging.INFO
    output = _Output("stdout")


_destination = _Destination()


def configure(level: str = "info", stream: str = "stdout") -> None:
    """Set up logging for this process, for structlog and for the standard library.

    Calling it again replaces what was before. `level` is one of LEVELS, `stream` a name in `sys`.
    """
    output = _Output(stream)
    _destination.level, _destination.output = LEVELS[level], output
    structlog.configure(
        processors=[_stamped, _with_exception, _rendered],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: output,
        # Looked up anew by each caller: modules take their loggers before this is called.
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, _FromStandardLibrary)]:
        root.removeHandler(handler)
    root.addHandler(_FromStandardLibrary(output))
    # Other libraries' everyday talk is not ours to pass on.
    root.setLevel(max(LEVELS[level], logging.WARNING))


def configure_cli(level: str = "info") -> None:
    """The same for a command that ends by itself: its data is on stdout, so its log is not."""
    configure(level, "stderr")


def standard_handler() -> logging.Handler:
    """A handler for loggers of the standard library that do not propagate, such as gunicorn's."""
    return _FromStandardLibrary(_Output("stdout"))


def tell(
    level: str, event: str, fields: dict[str, str | int | float], error: BaseException | None = None
) -> None:
    """Write the line that structlog would, for what is told of every request.

    structlog's layers would cost a third of an answer, and do nothing for plain fields. `error`
    is told as an exception is: by its place and kind.
    """
    if LEVELS[level] < _destination.level:
        return
    line = {"time": datetime.now(UTC), "level": level, "event": event, **fields}
    if error is not None:
        line["exception"] = _told(type(error), error, error.__traceback__)
    _destination.output.msg(_ascii(line))


def cut(text: str, length: int) -> str:
    """The text, or its beginning and an ellipsis."""
    return text if len(text) <= length else text[: length - 1] + "…"


def _stamped(_logger: Any, method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    time = _timestamp(None, "", {})["time"]
    level = "error" if method == "exception" else method
    return {"time": time, "level": level, "event": event.pop("event", ""), **event}


def _with_exception(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    told = event.pop("exc_info", None)
    if told:
        found = sys.exc_info() if told is True else (type(told), told, told.__traceback__)
        if found[1] is not None:
            event["exception"] = _told(*found)
    return event


def _told(
    kind: type[BaseException] | None,
    error: BaseException | None,
    trace: TracebackType | None,
    *,
    text: bool = False,
) -> str:
    """A traceback, by default without the exception's own text: it may quote a user's data."""
    name = kind.__name__ if kind else ""
    said = f"{name}: {error}" if text else name
    return cut("".join(traceback.format_tb(trace)), MAX_TEXT) + cut(said, MAX_TEXT)


def _ascii(line: dict[str, Any]) -> str:
    """Plain values as JSON in printable ASCII; a time becomes text, what is no number null."""
    try:
        text = _encode(line).decode("ascii")
        if "\x7f" not in text:
            return text
    except UnicodeError:
        # Not ASCII, or not even Unicode.
        pass
    plain = {name: _plain(value) for name, value in line.items()}
    return _rendered(None, "", plain)


def _plain(value: Any) -> Any:
    """What the standard library's JSON writes as `_encode` would."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return msgspec.to_builtins(value)


def _rendered(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    return json.dumps(event, default=str, separators=(",", ":"))
