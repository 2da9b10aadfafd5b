"""Shows the stages of a setup, one line each with its time; the details go into a log file.

Docker engine               20.10.24, started here                             6 s
kube-apiserver 1.34.4       built                                       1 min 35 s
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from k8s.local.errors import SetupFailed

TITLE_WIDTH = 34
OUTCOME_WIDTH = 38
TAIL_LINES = 25


def duration(seconds: float) -> str:
    """`8 s`, `1 min 35 s`: whole seconds, as people say them."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class Stage:
    """A stage that is under way; what `outcome` holds at its end is printed."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.outcome = "done"
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return time.monotonic() - self._began

    def line(self, outcome: str) -> str:
        """Title, outcome and time in columns."""
        title, time_taken = self.title, duration(self.seconds)
        return f"  {title:<{TITLE_WIDTH}}{outcome:<{OUTCOME_WIDTH}}{time_taken:>12}"


class Progress:
    """Prints stages to `out`; commands write into the file `log`, which is begun anew."""

    def __init__(self, log: Path, out: TextIO) -> None:
        self.log = log
        self._out = out
        self._began = time.monotonic()
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("")

    def say(self, text: str) -> None:
        """A line between the stages."""
        self._out.write(f"{text}\n")
        self._out.flush()

    def total(self) -> str:
        """The time since the first stage could begin."""
        return duration(time.monotonic() - self._began)

    @contextlib.contextmanager
    def stage(self, title: str) -> Iterator[Stage]:
        """Time and show what happens inside; a failure is shown with the end of its log."""
        stage = Stage(title)
        start = self.log.stat().st_size
        with self.log.open("a") as log:
            log.write(f"\n=== {title}\n")
        try:
            with self._ticking(stage):
                yield stage
        except KeyboardInterrupt:
            self._finish(stage, "interrupted; what is done is kept")
            raise
        except Exception as error:
            self._finish(stage, "failed")
            if isinstance(error, SetupFailed):
                self._show_tail(start)
            raise
        self._finish(stage, stage.outcome)

    @contextlib.contextmanager
    def _ticking(self, stage: Stage) -> Iterator[None]:
        """On a terminal the line shows the seconds as they pass; elsewhere the title only."""
        if not self._out.isatty():
            self._out.write(f"  {stage.title:<{TITLE_WIDTH}}")
            self._out.flush()
            yield
            return
        done = threading.Event()

        def tick() -> None:
            while True:
                self._out.write("\r" + stage.line("…"))
                self._out.flush()
                if done.wait(1.0):
                    return

        ticker = threading.Thread(target=tick, daemon=True)
        ticker.start()
        try:
            yield
        finally:
            done.set()
            ticker.join()

    def _finish(self, stage: Stage, outcome: str) -> None:
        line = stage.line(outcome)
        if self._out.isatty():
            self.say("\r" + line)
        else:
            # The title stands there already.
            self.say(line[TITLE_WIDTH + 2 :])

    def _show_tail(self, start: int) -> None:
        with self.log.open("rb") as log:
            log.seek(start)
            lines = log.read().decode(errors="replace").splitlines()
        tail = [line for line in lines if not line.startswith("go: downloading")][-TAIL_LINES:]
        self.say("\n".join(["", *(f"    | {line}" for line in tail), ""]))
