"""A backfill on this machine: a process for each month, some of them at a time."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from slipway.batch.plan import Ended
from slipway.batch.shards import Shard

Commands = Mapping[Shard, Sequence[str]]


class Processes:
    """Runs a command for each month; ends those that run when it is left."""

    def __init__(self, commands: Commands, environment: Mapping[str, str], parallel: int) -> None:
        self._commands = commands
        self._environment = dict(environment)
        self._pool = ThreadPoolExecutor(parallel, thread_name_prefix="month")
        self._running: set[subprocess.Popen[str]] = set()
        self._closed = False

    def __iter__(self) -> Iterator[Ended]:
        """The months in the order in which they end."""
        waiting = [self._pool.submit(self._run, shard) for shard in self._commands]
        for future in as_completed(waiting):
            yield future.result()

    def close(self) -> None:
        """Start no more, and end those that run: what they write is whole or not there."""
        self._closed = True
        for process in list(self._running):
            with contextlib.suppress(OSError):
                process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, shard: Shard) -> Ended:
        if self._closed:
            return Ended(shard, 1, "it was not run")
        with subprocess.Popen(
            list(self._commands[shard]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment,
        ) as process:
            self._running.add(process)
            try:
                _, said = process.communicate()
            finally:
                self._running.discard(process)
        lines = said.strip().splitlines()
        failed = process.returncode != 0
        # A process that was killed has the exit code that a shell would give it.
        code = process.returncode if process.returncode >= 0 else 128 - process.returncode
        return Ended(shard, code, lines[-1] if failed and lines else "")
