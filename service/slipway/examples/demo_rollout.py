"""The demo's second half: versions exchanged under load by `slipway local`, and brought back."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from slipway.errors import ModelFailed, Unavailable
from slipway.examples.tracking_server import answers, free_port
from slipway.examples.traffic import Traffic

PACKAGE = "nginx-light"
INSTALL_SECONDS = 120.0
UP_SECONDS = 60.0
END_SECONDS = 90.0
# What `--wait` ends with when a rollout was stopped.
ABORTED = 5
# Seconds of requests before and after each change.
LOOK = 1.0


def missing_nginx() -> str:
    """Why there is no nginx, empty if there is one; root gets it from Debian's packages."""
    path = f"{os.defpath}:/usr/local/sbin:/usr/sbin:/sbin"
    if shutil.which("nginx") or shutil.which("nginx", path=path):
        return ""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return f"nginx is not installed; try: sudo apt-get install {PACKAGE}"
    command = ["apt-get", "install", "--yes", "--no-install-recommends", PACKAGE]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"`{' '.join(command)}` has not ended within {INSTALL_SECONDS:g} s"
    if done.returncode:
        return f"`{' '.join(command)}` failed: {done.stderr.strip()[-300:]}"
    return ""


@contextlib.contextmanager
def installation(
    command: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> Iterator[int]:
    """`slipway local up` for the length of a block; gives the API's port once it answers."""
    port, log = free_port(), folder / "local.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
        )
    try:
        if not answers(f"http://127.0.0.1:{port}/model", process, UP_SECONDS):
            raise Unavailable(f"the installation does not answer:\n{log.read_text()[-2000:]}")
        yield port
    finally:
        process.terminate()
        # It lets requests finish and takes its processes with it; by force it could not.
        process.wait(END_SECONDS)


def rollouts(
    port: int, run: Callable[..., None], say: Callable[[str], None], *, biased: str, good: str
) -> None:
    """Under load: a biased version is stopped, a good one goes up, and the old one comes back.

    Raises ModelFailed if a request failed, or was answered by whom it should not.
    """
    with Traffic(port) as traffic:
        before = _only(_answering(traffic))
        say(f"Requests flow, all answered by run {before}.")
        run("set-model", biased, "--wait", code=ABORTED)
        # Everybody who answered in the meantime, not only afterwards.
        meanwhile = _counts(traffic)
        if _only(meanwhile) != before:
            raise ModelFailed("the biased version answered somebody")
        say(
            f"Stopped in shadow: {meanwhile[before]:,} requests meanwhile, none failed, "
            "and none got its answer."
        )
        run("set-model", good, "--wait")
        meanwhile = _counts(traffic)
        after = _only(_answering(traffic))
        say(
            f"{sum(meanwhile.values()):,} requests meanwhile, none failed: {meanwhile[before]:,} "
            f"answered by the old version, {meanwhile[after]:,} by the new one."
        )
        run("rollback", "--reason", "to show it", "--wait")
        meanwhile = _counts(traffic)
        back = _only(_answering(traffic))
        say(f"{sum(meanwhile.values()):,} requests meanwhile, none failed; back at run {back}.")
    if before != back or before == after:
        raise ModelFailed("the versions that answered are not those that were asked for")


def _answering(traffic: Traffic) -> dict[str, int]:
    """Who answers from now on."""
    traffic.counted()
    time.sleep(LOOK)
    return _counts(traffic)


def _counts(traffic: Traffic) -> dict[str, int]:
    found, failures = traffic.counted()
    if failures:
        raise ModelFailed(f"requests failed while the version was exchanged: {failures}")
    return found


def _only(found: Mapping[str, int]) -> str:
    if len(found) != 1:
        raise ModelFailed(f"{len(found)} versions answered where one should have")
    return next(iter(found))
