"""A way from this machine to a Service, by kubectl, that leads to somebody who answers.

For a while after the node was started again the API server tells how things were before: pods count
as ready that are gone, and a forward to one of them leads nowhere.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shlex
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from k8s.local.commands import Argument
from k8s.local.errors import SetupFailed

FORWARD_SECONDS = 120.0
# Seconds for a forward to lead to an answer, before another is begun.
ANSWER_SECONDS = 10.0
POLL_SECONDS = 0.1


@contextlib.contextmanager
def port_forward(
    kubectl: Sequence[Argument], target: str, port: int, local: int, log: Path
) -> Iterator[str]:
    """The address of a target's port, for a while: `local` of this machine; raises SetupFailed.

    `kubectl` is the program with the options that say where; the target one as service/NAME. It is
    begun anew until somebody answers HTTP there.
    """
    address = f"http://127.0.0.1:{local}"
    command = [*kubectl, "port-forward", target, f"{local}:{port}"]
    deadline = time.monotonic() + FORWARD_SECONDS
    while time.monotonic() < deadline:
        with log.open("ab") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            if _answers(address, process):
                yield address
                return
        finally:
            process.terminate()
            process.wait(10)
    raise SetupFailed(
        f"{target} does not answer through kubectl port-forward",
        f"See: {shlex.join([os.fspath(word) for word in (*kubectl, 'get', 'pods')])}",
    )


def _answers(address: str, process: subprocess.Popen[bytes]) -> bool:
    """Whether a forward leads to somebody who answers, whatever the answer is."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=ANSWER_SECONDS):  # noqa: S310
                return True
        except urllib.error.HTTPError as refused:
            refused.close()
            return True
        except (OSError, http.client.HTTPException):
            time.sleep(POLL_SECONDS)
    return False
