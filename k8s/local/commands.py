"""Runs other programs: their output goes into the log, a failure becomes a sentence."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from k8s.local.errors import SetupFailed

Argument = str | os.PathLike[str]


def ask(command: Sequence[Argument], timeout: float = 20.0) -> str | None:
    """What a command prints, or None if it fails, is not there or takes too long."""
    try:
        ended = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ended.stdout.strip() if ended.returncode == 0 else None


def shown(command: Sequence[Argument]) -> str:
    """The command as a person would type it, cut where it gets long."""
    text = shlex.join(os.fspath(part) for part in command)
    return text if len(text) <= 120 else f"{text[:119]}…"


class Runner:
    """Runs commands one after the other, all their output appended to one log."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def run(
        self,
        command: Sequence[Argument],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        stdin: Path | None = None,
        timeout: float | None = None,
    ) -> None:
        """Run to the end; `env` is added to our environment. Raises SetupFailed."""
        with self._log.open("ab") as log, Path(stdin or os.devnull).open("rb") as source:
            self._note(command)
            try:
                ended = subprocess.run(
                    command,
                    stdin=source,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=os.environ | (env or {}),
                    cwd=cwd,
                    timeout=timeout,
                    check=False,
                )
            except FileNotFoundError as error:
                raise SetupFailed(f"`{command[0]}` is not installed here") from error
            except subprocess.TimeoutExpired as error:
                limit = f"{timeout:.0f} s"
                raise SetupFailed(f"`{shown(command)}` did not end within {limit}") from error
        if ended.returncode:
            raise SetupFailed(f"`{shown(command)}` ended with {ended.returncode}")

    def read(self, command: Sequence[Argument], *, env: Mapping[str, str] | None = None) -> str:
        """Run to the end and give what it printed; raises SetupFailed."""
        with self._log.open("ab") as log:
            self._note(command)
            try:
                ended = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=os.environ | (env or {}),
                    check=False,
                )
            except FileNotFoundError as error:
                raise SetupFailed(f"`{command[0]}` is not installed here") from error
        if ended.returncode:
            raise SetupFailed(f"`{shown(command)}` ended with {ended.returncode}")
        return ended.stdout.decode()

    def pipe(self, source: Sequence[Argument], sink: Sequence[Argument]) -> None:
        """`source | sink`; raises SetupFailed if either fails."""
        with self._log.open("ab") as log:
            self._note([*source, "|", *sink])
            with subprocess.Popen(source, stdout=subprocess.PIPE, stderr=log) as giver:
                taker = subprocess.run(
                    sink, stdin=giver.stdout, stdout=log, stderr=subprocess.STDOUT, check=False
                )
                if giver.stdout:
                    giver.stdout.close()
        # A giver that nobody listens to any more is not what went wrong.
        giver_failed = giver.returncode not in (0, -signal.SIGPIPE)
        for command, code in (
            (source, giver.returncode if giver_failed else 0),
            (sink, taker.returncode),
            (source, giver.returncode),
        ):
            if code:
                raise SetupFailed(f"`{shown(command)}` ended with {code}")

    def _note(self, command: Sequence[Argument]) -> None:
        with self._log.open("a") as log:
            log.write(f"$ {shown(command)}\n")
