"""Starts the real router as a process of its own, over documents in a folder and stub pods.

    with stub_pods("blue", "green") as (stable, candidate):
        with routing(table(weight=500), {"blue": [stable], "green": [candidate]}) as router:
            post(f"{router.url}/predict", RIDE)

Run as a module it is the router itself: `python -m tests.router_process FOLDER`, with the settings
in the environment. The folder is its Cluster: `routing.json`, `pods.json`, and a file
`unreachable` while the cluster is not to answer.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client.parser import text_string_to_metric_families
from tests.service_process import HOST, ROOT, bare_environment, free_port, get
from tests.stub_pods import StubPod
from tests.waiting import until

from slipway import logs
from slipway.cluster.protocol import (
    Document,
    DocumentName,
    Event,
    Filling,
    Part,
    Pod,
    SlotName,
    Workload,
)
from slipway.errors import Unavailable
from slipway.router import processes
from slipway.router.agent import serve
from slipway.router.nginx_process import find_nginx
from slipway.router.table import Table, table_of
from slipway.settings import RouterSettings, read_settings

DIGESTS: dict[SlotName, str] = {"blue": "sha256:" + "b1" * 32, "green": "sha256:" + "9e" * 32}
NOBODY = 65534


class FolderCluster:
    """The half of a Cluster that a router needs, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: DocumentName) -> Document | None:
        self._reach()
        try:
            text = (self._folder / f"{name}.json").read_text()
        except FileNotFoundError:
            return None
        return Document(name, {f"{name}.json": text}, version="1")

    def workload(self, part: Part) -> Workload | None:
        self._reach()
        try:
            pods = json.loads((self._folder / "pods.json").read_text()).get(part)
        except FileNotFoundError:
            return None
        return None if pods is None else Workload(len(pods), pods=tuple(Pod(**pod) for pod in pods))

    def write(self, document: Document) -> Document:
        raise NotImplementedError

    def fill(self, slot: SlotName, filling: Filling | None, replicas: int | None) -> None:
        raise NotImplementedError

    def hold_lease(self, holder: str, seconds: float) -> bool:
        raise NotImplementedError

    def record(self, event: Event) -> None:
        raise NotImplementedError

    def _reach(self) -> None:
        if (self._folder / "unreachable").exists():
            raise Unavailable("the folder is said to be out of reach")


class RouterProcess:
    """A running router, and the folder that it goes by."""

    def __init__(self, folder: Path, command: Sequence[str], settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.documents = folder / "d"
        self.documents.mkdir(exist_ok=True)
        self.log = folder / "log"
        self.port, self.admin_port = free_port(), free_port()
        self.url = f"http://{HOST}:{self.port}"
        self.admin_url = f"http://{HOST}:{self.admin_port}"
        self._command = [*command, str(self.documents)]
        self._environment = {
            **bare_environment(),
            "PYTHONPATH": os.pathsep.join((str(ROOT / "service"), str(ROOT))),
            "SLIPWAY_ROUTER_HOST": HOST,
            "SLIPWAY_ROUTER_PORT": str(self.port),
            "SLIPWAY_ROUTER_ADMIN_PORT": str(self.admin_port),
            "SLIPWAY_ROUTER_DIR": str(folder / "n"),
            "SLIPWAY_ROUTER_POLL_SECONDS": "0.1",
            **settings,
        }

    def start(self) -> None:
        """Start the agent, for the first time or again."""
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self, number: int = signal.SIGTERM, seconds: float = 40) -> int:
        """Send the agent a signal, wait for its end, return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def close(self) -> None:
        """End whatever is left of it."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        for name in ("route", "front"):
            # The master first: it would start another worker in place of each that ends.
            if leader := self.master(name):
                os.kill(leader, signal.SIGKILL)
                for pid in processes.group(leader):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)

    def master(self, name: str) -> int:
        """The process id of a master that runs, 0 if there is none."""
        try:
            pid = int((self.folder / "n" / f"{name}.pid").read_text())
        except (OSError, ValueError):
            return 0
        return pid if f"{name}.conf" in processes.title(pid) else 0

    def group(self, name: str) -> set[int]:
        """The master and its workers."""
        leader = self.master(name)
        return set(processes.group(leader)) if leader else set()

    def route(self, table: Table | str) -> None:
        """Write `routing.json`, as a controller would."""
        text = table if isinstance(table, str) else table.to_json().decode()
        self._write("routing.json", text)

    def pods(self, slots: Mapping[SlotName, Sequence[StubPod | Pod | str]]) -> None:
        """Say which pods there are; all of them ready, with their slot's digest, unless given."""
        self._write("pods.json", json.dumps({s: [_pod(s, p) for p in slots[s]] for s in slots}))

    def reachable(self, reachable: bool) -> None:
        """Let the cluster answer, or not."""
        marker = self.documents / "unreachable"
        if reachable:
            marker.unlink(missing_ok=True)
        else:
            marker.touch()

    def status(self) -> dict[str, Any]:
        """What /status says; empty while nobody answers."""
        try:
            found: dict[str, Any] = json.loads(get(f"{self.admin_url}/status")[1])
        except OSError:
            return {}
        return found

    def wait_answering(self, seconds: float = 30) -> None:
        """Until the agent answers; fails with its log, at once when it has ended."""

        def look() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            return bool(self.status())

        try:
            until(look, seconds, "the agent to answer")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log.read_text()}") from None

    def wait(self, epoch: int, *, pods: int | None = None, seconds: float = 20) -> None:
        """Until this epoch is loaded, and so many pods."""

        def look() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            status = self.status()
            count = sum(len(each) for each in status.get("pods", {}).values())
            return status.get("loaded_epoch") == epoch and pods in (None, count)

        until(look, seconds, f"epoch {epoch} with {pods} pods: {self.status()}")

    def counted(self) -> dict[str, dict[tuple[str, ...], float]]:
        """Metric -> label values in the order of their names -> value."""
        found: dict[str, dict[tuple[str, ...], float]] = {}
        text = get(f"{self.admin_url}/metrics")[1].decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = tuple(sample.labels[name] for name in sorted(sample.labels))
                found.setdefault(sample.name, {})[labels] = sample.value
        return found

    def answers(self) -> dict[tuple[str, str, str], int]:
        """(slot, source, code) -> answers counted."""
        counts = self.counted().get("slipway_router_requests_total", {})
        # Sorted, the labels are code, release, slot, source.
        return {(s, src, code): int(n) for (code, _release, s, src), n in counts.items()}

    def expect(self, answers: dict[tuple[str, str, str], int]) -> None:
        """Wait until just these answers are counted: nginx logs them once they are given."""
        until(lambda: self.answers() == answers, what=f"{answers}, not {self.answers()}")

    def requests(self) -> int:
        """Clients' requests counted: each is first asked of one slot only."""
        return sum(
            n for (_, source, _), n in self.answers().items() if source in ("live", "forced")
        )

    def lines(self) -> list[dict[str, Any]]:
        """The agent's log; fails if a line of it is no JSON."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def _write(self, name: str, text: str) -> None:
        new = self.documents / f"{name}.new"
        new.write_text(text)
        new.replace(self.documents / name)


@contextlib.contextmanager
def routing(
    table: Table | None = None,
    pods: Mapping[SlotName, Sequence[StubPod | Pod | str]] | None = None,
    *,
    command: Sequence[str] = (sys.executable, "-m", "tests.router_process"),
    settings: Mapping[str, str] | None = None,
    unprivileged: bool = False,
    ready: bool = True,
) -> Iterator[RouterProcess]:
    """A router for the length of a test, with this table loaded if one is given.

    `unprivileged` runs nginx as NOBODY if we are root; otherwise it is without privileges anyway.
    """
    # Not pytest's tmp_path: the path of a socket must be short.
    folder = Path(tempfile.mkdtemp(prefix="slipway-", dir="/tmp"))
    given = dict(settings or {})
    if unprivileged and os.geteuid() == 0:
        given["SLIPWAY_ROUTER_NGINX"] = _nginx_as_nobody(folder)
    router = RouterProcess(folder, command, given)
    try:
        if table:
            router.route(table)
        router.pods(pods or {})
        router.start()
        if ready:
            router.wait_answering()
            router.wait(table.epoch if table else 0)
        yield router
    finally:
        router.close()
        shutil.rmtree(folder, ignore_errors=True)


def table(epoch: int = 1, *, weight: int = 0, shadow: int = 0, **members: Any) -> Table:
    """Blue is stable, green the candidate; `members` as those of Table."""
    made = table_of(
        epoch,
        ("blue", DIGESTS["blue"]),
        ("green", DIGESTS["green"]),
        weight=weight,
        shadow=shadow,
    )
    return msgspec.structs.replace(made, **members)


def _nginx_as_nobody(folder: Path) -> str:
    script = folder / "nginx"
    drop = f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups"
    script.write_text(f'#!/bin/sh\nexec {drop} {find_nginx("nginx")} "$@"\n')
    script.chmod(0o755)
    folder.chmod(0o755)
    (folder / "n").mkdir()
    os.chown(folder / "n", NOBODY, NOBODY)
    return str(script)


def _pod(slot: SlotName, pod: StubPod | Pod | str) -> dict[str, Any]:
    if isinstance(pod, Pod):
        return dict(vars(pod))
    address = pod if isinstance(pod, str) else pod.address
    return {
        "name": f"{slot}-{address}",
        "address": address,
        "admin": address,
        "digest": DIGESTS[slot],
        "ready": True,
    }


if __name__ == "__main__":
    logs.configure("info")
    serve(read_settings(RouterSettings), FolderCluster(Path(sys.argv[1])))
