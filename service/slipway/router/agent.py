"""The agent: keeps two nginx masters running, `route` at the current table, and tells how it is.

Killed, it takes nothing with it: the masters go on, and the next agent takes charge of them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pwd
import resource
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import structlog
from prometheus_client import CONTENT_TYPE_LATEST

from slipway.cluster.protocol import SLOTS, Cluster, SlotName
from slipway.errors import InvalidConfig, Unavailable
from slipway.router.counting import Counting
from slipway.router.follower import Follower
from slipway.router.front_conf import render_front
from slipway.router.loader import Loader
from slipway.router.nginx_conf import Layout, Limits, Rendered
from slipway.router.nginx_process import NginxMaster, find_nginx
from slipway.router.saved import restore
from slipway.router.wanted import EMPTY, Wanted, is_answering, wanted
from slipway.settings import RouterSettings
from slipway.status_server import Answer, Answers, StatusServer, document
from slipway.variables import variable_of

# Seconds between two turns of the loop: a master that died is missed for so long at the most.
TURN = 0.2
# Seconds that the first look at the cluster may take before we go by what was saved.
FIRST_LOOK = 3.0
# Seconds between two tries to start a master that does not start.
RESTART_EVERY = 1.0
# Seconds of the drain in which clients are told to leave; the next request of one that keeps its
# connection comes within them, or not just when it is closed.
FAREWELL = 3.0
# Seconds for `route` to end once `front` has.
AFTERWARDS = 5.0
# Open files of a worker beside its connections.
SPARE_FILES = 512
# Seconds without a turn after which the agent calls itself dead: longer than any one turn takes.
STUCK = 60.0

log = structlog.get_logger(__name__)


class Status(msgspec.Struct):
    """What /status says; `pods` are those that are loaded."""

    ready: bool
    loaded_epoch: int
    checksum: str
    rejected: str | None
    pods: dict[SlotName, tuple[str, ...]]


class Agent:
    """One router. `run` returns when `stop` was set and the masters have finished."""

    def __init__(self, settings: RouterSettings, cluster: Cluster) -> None:
        self._settings = settings
        layout = layout_of(settings.router_dir)
        limits = _limits(settings)
        binary = find_nginx(settings.router_nginx)
        self._front = NginxMaster("front", layout, binary)
        self._route = NginxMaster("route", layout, binary)
        listen = _listen(settings.router_host, settings.router_port)
        self._front_conf = render_front(layout, limits, listen)
        self._saved = Path(layout.saved)
        self._leaving = Path(layout.leaving)
        self._loader = Loader(self._route, layout, limits)
        self._follower = Follower(cluster, settings.router_poll_seconds)
        self._counting = Counting((self._front, self._route), layout)
        self._not_before: dict[str, float] = {}
        self._ready = False
        self._draining = False
        self._turned = time.monotonic()

    def run(self, stop: threading.Event) -> None:
        """Serve; raises a SlipwayError when it cannot even start."""
        with alone_in(self._settings.router_dir):
            self._run(stop)

    def _run(self, stop: threading.Event) -> None:
        settings = self._settings
        server = StatusServer(
            settings.router_host,
            settings.router_admin_port,
            self._answers(),
            variable_of(RouterSettings, "router_admin_port"),
        )
        self._follower.start()
        try:
            self._start()
            self._turn()
            server.start()
            log.info("routing", port=settings.router_port, admin_port=server.port)
            while not stop.wait(TURN):
                self._try_turn()
            self._drain()
        finally:
            self._follower.stop()
            server.close()
            self._counting.close()

    def status(self) -> Status:
        """How it is now."""
        loaded = self._loader.loaded
        return Status(
            ready=self._is_ready(),
            loaded_epoch=loaded.table.epoch,
            checksum=loaded.table.checksum,
            rejected=self._loader.rejected or None,
            pods={slot: tuple(loaded.pods.get(slot, ())) for slot in SLOTS},
        )

    def _start(self) -> None:
        self._leaving.unlink(missing_ok=True)
        why = self._front.test(self._front_conf.text)
        if why:
            raise InvalidConfig(f"nginx refuses the configuration of front: {why}")
        self._front.install()
        try:
            self._bring_up(self._route, self._loader.prepare(self._first()))
            self._bring_up(self._front, self._front_conf)
        except Unavailable:
            self._front.kill()
            self._route.kill()
            raise

    def _first(self) -> Wanted:
        """What to begin with: what the cluster says, else what was loaded last, else nothing."""
        end = time.monotonic() + FIRST_LOOK
        while self._follower.view is None and time.monotonic() < end:
            time.sleep(TURN / 10)
        before = restore(self._saved) or EMPTY
        view = self._follower.view
        return wanted(before, view.routing, view.pods) if view else before

    def _bring_up(self, master: NginxMaster, rendered: Rendered) -> None:
        if master.adopt():
            log.info("took charge of nginx", master=master.name)
            if master.said() == rendered.said or master.reload(rendered.said):
                return
            master.kill()
        master.start()

    def _try_turn(self) -> None:
        try:
            self._turn()
        # The top of the loop: nginx serves on, and what failed (a full disk) may be well again.
        except Exception:
            log.exception("a turn failed")
            time.sleep(RESTART_EVERY)

    def _turn(self) -> None:
        self._turned = time.monotonic()
        for master in (self._route, self._front):
            self._keep(master)
        view = self._follower.view
        if view and self._route.is_alive():
            self._loader.follow(wanted(self._loader.loaded, view.routing, view.pods))
        self._counting.collect()
        self._counting.loaded(self._loader.loaded.table)
        # Once it has served as asked it stays in the Service: an error that says what is wrong is
        # better than an address that nobody answers at.
        self._ready = self._ready or is_answering(self._loader.loaded)

    def _keep(self, master: NginxMaster) -> None:
        now = time.monotonic()
        if master.is_alive() or now < self._not_before.get(master.name, 0.0):
            return
        self._not_before[master.name] = now + RESTART_EVERY
        log.error("nginx has ended; starting it again", master=master.name)
        try:
            master.start()
        except Unavailable as error:
            log.error("nginx does not start", master=master.name, why=error.message)  # noqa: TRY400

    def _drain(self) -> None:
        """Clients first: what they have asked for still needs `route`."""
        self._draining = True
        log.info("draining")
        seconds = self._settings.router_drain_seconds
        farewell = min(FAREWELL, seconds / 2)
        self._leaving.touch()
        end = time.monotonic() + farewell
        while time.monotonic() < end:
            time.sleep(TURN)
            self._try_turn()
        finished = self._front.stop(seconds - farewell)
        # Copies for the shadow may be under way.
        self._route.stop(AFTERWARDS)
        self._counting.collect()
        log.info("ended", cut_off=not finished)

    def _is_ready(self) -> bool:
        return self._ready and not self._draining and self._front.is_alive()

    def _answers(self) -> Answers:
        def metrics(_query: str) -> Answer:
            return 200, CONTENT_TYPE_LATEST, self._counting.expose()

        def live(_query: str) -> Answer:
            alive = self._draining or time.monotonic() - self._turned < STUCK
            return document(200 if alive else 503, {"live": alive})

        def ready(_query: str) -> Answer:
            found = self._is_ready()
            return document(200 if found else 503, {"ready": found})

        return {
            "/status": lambda _query: document(200, self.status()),
            "/metrics": metrics,
            "/livez": live,
            "/readyz": ready,
        }


def serve(settings: RouterSettings, cluster: Cluster) -> None:
    """Run a router until a signal says to stop; what is in flight is finished first."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: stop.set())
    Agent(settings, cluster).run(stop)


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder; raises InvalidConfig while another agent does."""
    with (folder / "agent.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InvalidConfig(
                f"SLIPWAY_ROUTER_DIR: another router works in {folder}; give each its own"
            ) from error
        yield


def _listen(host: str, port: int) -> str:
    # Otherwise nginx would take [::] for IPv6 alone.
    return f"[{host}]:{port} ipv6only=off" if ":" in host else f"{host}:{port}"


def layout_of(folder: Path) -> Layout:
    """The folder, made if need be, as nginx is to use it; raises InvalidConfig if it cannot."""
    # Workers of a root's nginx would be nobody, who may not come into our folder.
    user = pwd.getpwuid(0).pw_name if os.geteuid() == 0 else ""
    layout = Layout(str(folder.absolute()), user)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidConfig(
            f"SLIPWAY_ROUTER_DIR: {folder} cannot be made ({error.strerror}); "
            "name a folder that can be written"
        ) from error
    return layout


def _limits(settings: RouterSettings) -> Limits:
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted_files = settings.router_connections + SPARE_FILES
    return Limits(
        body_bytes=settings.router_max_body_bytes,
        client_seconds=settings.router_client_seconds,
        connections=settings.router_connections,
        files=wanted_files if allowed == resource.RLIM_INFINITY else min(allowed, wanted_files),
        workers=settings.router_workers,
        shadow_connections=settings.router_shadow_connections,
    )
