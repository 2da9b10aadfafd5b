"""One nginx master: tested, started, reloaded, asked what it has, found again after we were killed.

Each master leads a process group of its own, so it outlives the agent, and what it leaves behind
when it is killed can be told to finish.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from slipway.errors import InvalidConfig, Unavailable
from slipway.router import processes
from slipway.router.nginx_conf import Layout, Master

# Seconds for nginx to test a configuration, to start, to take a new one, to say which it has.
TEST_SECONDS = 20.0
START_SECONDS = 10.0
RELOAD_SECONDS = 10.0
ASK_SECONDS = 2.0
_STEP = 0.02

_SERVING = "nginx: worker process"
_COMPLAINT = re.compile(r"\[(?:emerg|alert|crit|error)\] (?:\d+#\d+: )?(.*)")


def find_nginx(name: str) -> str:
    """The program's path; raises InvalidConfig if there is none."""
    found = shutil.which(name) or shutil.which(name, path="/usr/local/sbin:/usr/sbin:/sbin")
    if found is None:
        raise InvalidConfig(f"{name} is not installed; try: apt-get install nginx-light")
    return found


class NginxMaster:
    """The master called `name`; one object at a time may be in charge of it."""

    def __init__(self, name: Master, layout: Layout, binary: str) -> None:
        self.name = name
        self._layout = layout
        self._binary = binary
        self._conf = Path(layout.conf(name))
        self._new_conf = Path(f"{layout.conf(name)}.new")
        self._child: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def test(self, text: str) -> str:
        """Write a configuration beside the one in force; empty if nginx takes it, else why not."""
        self._new_conf.write_text(text)
        command = [self._binary, "-t", "-q", *self._arguments(self._new_conf)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=TEST_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"nginx could not be asked: {type(error).__name__}"
        return "" if done.returncode == 0 else self._complaint(done.stderr)

    def install(self) -> None:
        """Put the configuration that was tested last in force, for the next start or reload."""
        self._new_conf.replace(self._conf)

    def start(self) -> None:
        """Start it and wait until it answers; raises Unavailable with nginx's reason if not.

        What a killed master left behind goes first: its socket, or the new one could not bind, and
        its workers, which finish what they have.
        """
        self._quit_orphans(self._pid or self._written_pid())
        for left in (self._layout.socket(self.name), self._layout.status_socket(self.name)):
            Path(left).unlink(missing_ok=True)
        told = Path(f"{self._conf}.start")
        with told.open("wb") as output:
            self._child = subprocess.Popen(
                [self._binary, *self._arguments(self._conf)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._pid = self._child.pid
        child = self._child
        _wait(lambda: self.said() is not None or child.poll() is not None, START_SECONDS)
        if self.said() is None:
            self.kill()
            raise Unavailable(
                f"nginx ({self.name}) does not start: {self._complaint(told.read_text())}"
            )

    def adopt(self) -> bool:
        """Take charge of a master that an earlier agent started; False if there is none."""
        pid = self._written_pid()
        if not pid or str(self._conf) not in processes.title(pid):
            return False
        self._pid, self._child = pid, None
        if self.said() is None:
            self.kill()
            return False
        return True

    def is_alive(self) -> bool:
        """Whether the master runs."""
        if self._child is not None:
            return self._child.poll() is None
        return bool(self._pid) and str(self._conf) in processes.title(self._pid)

    def said(self) -> str | None:
        """What its workers say that they have, None if nobody answers."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(ASK_SECONDS)
                connection.connect(self._layout.status_socket(self.name))
                connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                answer = b""
                while part := connection.recv(4096):
                    answer += part
        except OSError:
            return None
        head, found, body = answer.partition(b"\r\n\r\n")
        return body.decode() if found and b" 200 " in head else None

    def reload(self, expected: str) -> bool:
        """Load the configuration in force; True once no worker takes requests with an older one.

        New workers are there at once, and nginx sends the old ones away a little later; until then
        both accept.
        """
        before = self._serving()
        self._signal(signal.SIGHUP)

        def loaded() -> bool:
            return self.said() == expected and not before & self._serving()

        return _wait(loaded, RELOAD_SECONDS)

    def reopen_logs(self) -> None:
        """Make it open its log files anew."""
        self._signal(signal.SIGUSR1)

    def stop(self, seconds: float) -> bool:
        """Let it finish what it has; False if it had to be killed."""
        self._signal(signal.SIGQUIT)
        if _wait(lambda: not self.is_alive(), seconds):
            return True
        self.kill()
        return False

    def kill(self) -> None:
        """End it and its workers at once."""
        for pid in {self._pid, *processes.group(self._pid)} if self._pid else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._child is not None:
            self._child.wait()

    def _serving(self) -> set[int]:
        return {pid for pid, title in processes.group(self._pid).items() if title == _SERVING}

    def _quit_orphans(self, leader: int) -> None:
        for pid, title in processes.group(leader).items() if leader else ():
            if title.startswith("nginx: "):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGQUIT)

    def _signal(self, number: int) -> None:
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, number)

    def _written_pid(self) -> int:
        try:
            return int(Path(self._layout.pid(self.name)).read_text())
        except (OSError, ValueError):
            return 0

    def _arguments(self, conf: Path) -> list[str]:
        # Until it has read its configuration nginx would log to a place of its own.
        return ["-e", "stderr", "-p", self._layout.folder, "-c", str(conf)]

    def _complaint(self, output: str) -> str:
        found = _COMPLAINT.search(output)
        said = found.group(1) if found else output.strip() or "it gave no reason"
        return said.replace(f"{self._layout.folder}/", "")


def _wait(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_STEP)
    return True
