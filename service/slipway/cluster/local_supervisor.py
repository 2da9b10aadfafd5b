"""Keeps the processes of an installation on one machine as its folder says, and says how they are.

It does what a Deployment and a kubelet do: so many pods of the newest filling, each started again
when it ends. It decides nothing about traffic. Killed, it takes nothing with it: what it started
serves on, and the next one finds it in the record.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator

import msgspec
import structlog

from slipway.cluster.local import LocalCluster
from slipway.cluster.local_files import (
    Asked,
    LocalFolder,
    Observed,
    read_as,
    replace_file,
    try_lock,
)
from slipway.cluster.local_launch import Launcher
from slipway.cluster.local_pod import LEAVE_SECONDS, Kept, Launch, LocalPod
from slipway.cluster.local_process import Identity, Process, identity_of
from slipway.cluster.protocol import SLOTS, Pod, SlotName
from slipway.errors import InvalidConfig

# Seconds for requests in flight, then by force; a pod's own grace period is 20.
GRACE = 25.0
_STEP = 0.05
# Log bytes of one pod after which the next start begins a new file.
MAX_LOG = 8 << 20

log = structlog.get_logger(__name__)


class Record(msgspec.Struct, frozen=True):
    """What is running: who looks after it, and every process with what makes it that process."""

    supervisor: Identity | None = None
    router_dir: str = ""
    pods: tuple[Kept, ...] = ()


class Supervisor:
    """The only one of its folder; call `turn` again and again, then `end`."""

    def __init__(
        self,
        files: LocalFolder,
        launcher: Launcher,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = files
        self._launcher = launcher
        self._monotonic = monotonic
        self._cluster = LocalCluster(files.root)
        self._pods: list[LocalPod] = []
        self._written: dict[str, object] = {}

    def take_over(self, record: Record) -> None:
        """Go on with the processes that one before us left behind: slots and router, if the same.

        A controller serves nobody: it is ended, and begins anew with our settings.
        """
        for kept in record.pods:
            process = alive(kept)
            if process is None:
                continue
            pod = self._made(kept.part, kept.pod)
            pod.adopt(process, self._monotonic())
            self._pods.append(pod)
            moved = kept.part == "router" and not self._is_ours(kept.pod, record)
            if kept.part == "controller" or moved:
                pod.leave(self._monotonic() - LEAVE_SECONDS)
            log.info("found running", pod=kept.pod.name, pid=process.identity.pid)
        for left in self._files.pods():
            if left.name not in {pod.pod.name for pod in self._pods}:
                shutil.rmtree(left, ignore_errors=True)

    def turn(self) -> None:
        """Bring the processes one step nearer to what is asked for."""
        now = self._monotonic()
        generations = {str(slot): self._match(slot, now) for slot in SLOTS}
        for part in ("router", "controller"):
            generations[part] = 1
            if not any(pod.part == part for pod in self._pods):
                self._add(part, Pod(part, "", ""))
        for pod in list(self._pods):
            pod.step(now)
            pod.finish(now, LEAVE_SECONDS, GRACE)
            # Whoever reads the record must find what was started a moment ago.
            self._remember()
        self._forget()
        self._tell(generations)

    def end(self, after_router: Callable[[], None]) -> None:
        """End everything: first the router, which finishes what clients have asked for."""
        self._end_all([pod for pod in self._pods if pod.part == "router"])
        after_router()
        self._end_all(self._pods)
        self._tell(dict.fromkeys((*SLOTS, "router", "controller"), 0))
        self._remember()

    def pods(self) -> list[Pod]:
        """All pods as they are."""
        return [pod.pod for pod in self._pods]

    def _match(self, slot: SlotName, now: float) -> int:
        asked = read_as(Asked, self._files.asked(slot)) or Asked()
        mine = [pod for pod in self._pods if pod.part == slot and pod.leaves is None]
        current = [pod for pod in mine if pod.pod.digest == asked.digest]
        for pod in [*(p for p in mine if p not in current), *current[asked.replicas :]]:
            pod.leave(now)
        for _ in range(asked.replicas - len(current)):
            # As a Deployment's pods: a name is never given twice.
            short = asked.digest.removeprefix("sha256:")[:8] or "idle"
            name = f"{slot}-{short}-{secrets.token_hex(2)}"
            self._add(slot, Pod(name, "", "", asked.digest))
        return asked.generation

    def _add(self, part: str, pod: Pod) -> None:
        self._pods.append(self._made(part, pod))

    def _made(self, part: str, pod: Pod) -> LocalPod:
        folder = self._files.pod(pod.name)
        folder.mkdir(parents=True, exist_ok=True)
        self._files.logs.mkdir(parents=True, exist_ok=True)
        output = self._files.logs / f"{part}.log"

        def launch() -> Launch:
            if output.exists() and output.stat().st_size > MAX_LOG:
                output.replace(output.with_suffix(".log.1"))
            if part == "router":
                return self._launcher.router()
            if part == "controller":
                return self._launcher.controller()
            slot: SlotName = "blue" if part == "blue" else "green"
            self._mount(slot, pod.name)
            return self._launcher.slot(slot, pod.name, pod.digest)

        files = output, folder / "last-words"
        # The agent's two masters route on by themselves.
        return LocalPod(part, pod, launch, files, outlived=part == "router")

    def _mount(self, slot: SlotName, name: str) -> None:
        """The slot's release lock as the document has it now, as a mounted ConfigMap would."""
        document = self._cluster.read(slot)
        lock = document.data.get("release.json") if document else None
        path = self._files.pod(name) / "release.json"
        if lock is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(lock)

    def _is_ours(self, router: Pod, record: Record) -> bool:
        return router.address.endswith(f":{self._launcher.port}") and record.router_dir == str(
            self._launcher.router_dir
        )

    def _end_all(self, pods: list[LocalPod]) -> None:
        began = self._monotonic()
        for pod in pods:
            pod.leave(began)
            pod.finish(began, 0.0, GRACE)
        while any(not pod.gone for pod in pods):
            time.sleep(_STEP)
            now = self._monotonic()
            for pod in pods:
                pod.step(now)
                if now >= began + GRACE:
                    pod.finish(now, 0.0, GRACE)
        self._forget()

    def _forget(self) -> None:
        for pod in [pod for pod in self._pods if pod.gone]:
            self._pods.remove(pod)
            shutil.rmtree(self._files.pod(pod.pod.name), ignore_errors=True)

    def _tell(self, generations: dict[str, int]) -> None:
        for part, generation in generations.items():
            pods = tuple(pod.pod for pod in self._pods if pod.part == part)
            self._write(part, Observed(generation, pods))
        ports = {pod.name: {"api": pod.address, "admin": pod.admin} for pod in self.pods()}
        if self._written.get("ports") != ports:
            self._written["ports"] = ports
            replace_file(self._files.ports, {"port": self._launcher.port, "processes": ports})

    def _write(self, part: str, observed: Observed) -> None:
        if self._written.get(part) != observed:
            replace_file(self._files.observed(part), observed)
            self._written[part] = observed

    def _remember(self) -> None:
        record = Record(
            identity_of(os.getpid()),
            str(self._launcher.router_dir),
            tuple(pod.kept for pod in self._pods),
        )
        if self._written.get("record") != record:
            replace_file(self._files.processes, record)
            self._written["record"] = record


def alive(kept: Kept) -> Process | None:
    """The process of a record, if it is still that one."""
    if kept.process is None or identity_of(kept.process.pid) != kept.process:
        return None
    return Process(kept.process)


def read_record(files: LocalFolder) -> Record:
    """What was running last; nothing where nobody wrote it down."""
    return read_as(Record, files.processes) or Record()


@contextlib.contextmanager
def alone_in(files: LocalFolder) -> Iterator[None]:
    """Be the folder's supervisor; raises InvalidConfig while there is another."""
    files.root.mkdir(parents=True, exist_ok=True)
    with files.supervisor_lock.open("w") as lock:
        if not try_lock(lock.fileno()):
            raise InvalidConfig(
                f"another `slipway local up` works in {files.root}; end it by `slipway local down`"
            )
        yield
