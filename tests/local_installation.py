"""An installation of `slipway local up` as a process of its own, with the verbs beside it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.load import ride
from tests.raw_http import exchange
from tests.service_process import SLIPWAY, bare_environment, free_port
from tests.waiting import until

from slipway.cli.local_documents import POLICY_KEY
from slipway.cluster.local import LocalCluster
from slipway.cluster.local_files import LocalFolder
from slipway.cluster.local_process import Identity, identity_of
from slipway.cluster.local_supervisor import Record, read_record

# Seconds for the first answer: several processes start on what may be one busy core.
UP_SECONDS = 60.0


class LocalInstallation:
    """A folder, and whoever looks after it at the moment."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.files = LocalFolder(folder / "i")
        self.log = folder / "up.log"
        self.process: subprocess.Popen[bytes] | None = None

    def up(self, *arguments: str) -> None:
        """Start it, for the first time or again, and go on at once."""
        command = [*SLIPWAY, "local", "up", str(self.files.root), "--port", str(self.port)]
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [*command, *arguments],
                env=bare_environment()
                | {
                    "SLIPWAY_CACHE_DIR": str(self.folder / "cache"),
                    "SLIPWAY_SCRATCH_DIR": str(self.folder / "scratch"),
                },
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A verb with --local."""
        return slipway(verb, *arguments, "--local", str(self.files.root))

    def local(self, verb: str) -> subprocess.CompletedProcess[str]:
        """`slipway local VERB`."""
        return slipway("local", verb, str(self.files.root))

    def done(self, verb: str, *arguments: str) -> str:
        """A verb that must work; what it told."""
        ended = self.run(verb, *arguments)
        assert ended.returncode == 0, f"{verb}: {ended.stderr}{self.told()}"
        return ended.stderr + ended.stdout

    def status(self) -> dict[str, Any]:
        """`slipway status -o json`."""
        found: dict[str, Any] = json.loads(self.done("status", "-o", "json"))
        return found

    def state(self) -> dict[str, Any]:
        """The state's document as it lies there."""
        data = json.loads(self.files.document("state").read_text())["data"]
        found: dict[str, Any] = json.loads(data["state.json"])
        return found

    def record(self) -> Record:
        """What is running."""
        return read_record(self.files)

    def pid(self, part: str) -> int:
        """The process id of a part's first pod, 0 while it has none."""
        found = next(kept for kept in self.record().pods if kept.part == part)
        return found.process.pid if found.process else 0

    def kill(self, part: str) -> None:
        """Kill a part's first process without any grace."""
        os.kill(self.pid(part), signal.SIGKILL)

    def wait_serving(self, seconds: float = UP_SECONDS) -> None:
        """Until a request is answered."""

        def look() -> bool:
            assert self.process
            assert self.process.poll() is None, self.told()
            with contextlib.suppress(OSError):
                return exchange(self.port, ride(0)).status == 200
            return False

        until(look, seconds, "the installation to serve")

    def wait_rest(self, seconds: float = 60) -> None:
        """Until no rollout is under way, whatever became of the last one."""
        until(lambda: self.state()["phase"] in ("idle", "aborted"), seconds, "rest")

    def set_policy(self, text: str) -> None:
        """Write the policy, as a person would with an editor."""
        cluster = LocalCluster(self.files.root)
        known = cluster.read("policy")
        assert known
        cluster.write(dataclasses.replace(known, data={POLICY_KEY: text}))

    def stable(self) -> tuple[str, str]:
        """The reference that serves, and its slot."""
        found = self.state()["stable"]
        return found["release"]["reference"], found["slot"]

    def digest(self, slot: str) -> str:
        """What the state says of a slot's release, without the algorithm's name."""
        state = self.state()
        placed = {
            each["slot"]: each["release"] for each in (state["stable"], state["spare"]) if each
        }
        return str(placed[slot]["digest"]).removeprefix("sha256:")

    def wait_idle(self, seconds: float = 60) -> None:
        """Until nothing is rolling out."""
        until(lambda: self.state()["phase"] == "idle", seconds, "the rollout to be over")

    def reasons(self) -> list[str]:
        """What happened, in the words of the history."""
        return [entry["reason"] for entry in self.state()["history"]]

    def stop(self, number: int = signal.SIGTERM, seconds: float = 90) -> int:
        """Send the supervisor a signal, wait for its end."""
        assert self.process
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def left(self, record: Record) -> list[str]:
        """Those of a record that still run."""
        return [kept.pod.name for kept in record.pods if kept.process and runs(kept.process)]

    def told(self) -> str:
        """What a failing assertion should show."""
        logs = [self.log, *sorted(self.files.logs.glob("*.log"))]
        return "\n".join(f"--- {log.name}\n{log.read_text()[-3000:]}" for log in logs)


def runs(identity: Identity) -> bool:
    return identity_of(identity.pid) == identity


def slipway(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A command of ours, to its end."""
    return subprocess.run(
        [*SLIPWAY, *arguments],
        env=bare_environment(),
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


@contextlib.contextmanager
def installed(*arguments: str, serving: bool = True) -> Iterator[LocalInstallation]:
    """An installation for the length of a test; nothing of it is left."""
    with tempfile.TemporaryDirectory(prefix="slipway-", dir="/tmp") as folder:
        installation = LocalInstallation(Path(folder), free_port())
        installation.up(*arguments)
        try:
            if serving:
                installation.wait_serving()
            yield installation
        finally:
            if installation.process and installation.process.poll() is None:
                installation.stop()
            ended = installation.local("down")
            assert ended.returncode == 0, ended.stderr
            assert installation.left(installation.record()) == []
