"""`slipway local`: a whole installation as processes on this machine."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import click
import structlog

from slipway import logs
from slipway.cli.commands import Group, WholeNumber
from slipway.cli.local_documents import write_wishes
from slipway.cli.status import look, progress
from slipway.cluster.local import LocalCluster, install
from slipway.cluster.local_files import LocalFolder, Observed, read_as
from slipway.cluster.local_launch import Launcher, check_port
from slipway.cluster.local_process import Process, identity_of
from slipway.cluster.local_supervisor import GRACE, Record, Supervisor, alive, alone_in, read_record
from slipway.cluster.protocol import Pod
from slipway.errors import NotInstalled, SlipwayError, TimedOut
from slipway.router.agent import layout_of
from slipway.router.nginx_process import NginxMaster, find_nginx

DEFAULT_PORT = 9696
# Seconds between two turns of the supervisor.
TURN = 0.1
# Seconds between two lines of progress.
TELL_EVERY = 1.0

log = structlog.get_logger(__name__)
folder_argument = click.argument(
    "folder", type=Path, metavar="DIR", help="The installation's folder."
)


@click.group(cls=Group)
def local() -> None:
    """Run a whole installation, rollouts included, as processes on this machine."""


@local.command()
@folder_argument
@click.option("--model", metavar="REF", help="The model that is wanted.")
@click.option("--policy", metavar="NAME|FILE", help="A preset's name, or a policy.yaml [fast].")
@click.option(
    "--replicas",
    type=WholeNumber(1),
    default=1,
    help="Processes of the first version, with a preset's name.",
)
@click.option("--port", type=int, help=f"The API's port [the last one, else {DEFAULT_PORT}].")
def up(
    folder: Path, model: str | None, policy: str | None, replicas: int, port: int | None
) -> None:
    """Start controller, router and slots on 127.0.0.1, and look after them until Ctrl-C.

    Whatever was in the folder goes on. The verbs find it by --local DIR. Needs nginx.
    """
    logs.configure("warning")
    find_nginx("nginx")
    files = LocalFolder(folder)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    with alone_in(files):
        install(files)
        cluster = LocalCluster(folder)
        write_wishes(cluster, model, policy, replicas, datetime.now(UTC))
        record = read_record(files)
        chosen = port or _last_port(files) or DEFAULT_PORT
        if not _routes_already(record, chosen):
            check_port(chosen)
        launcher = Launcher(files, chosen, _router_dir(record), os.environ)
        supervisor = Supervisor(files, launcher)
        supervisor.take_over(record)
        click.echo(f"http://127.0.0.1:{chosen} is the API; Ctrl-C ends it all", err=True)
        click.echo(f"slipway status --local {folder} shows how it is", err=True)
        _look_after(supervisor, cluster, stop)
        click.echo("ending all processes; the folder stays as it is", err=True)
        supervisor.end(lambda: _end_nginx(launcher.router_dir))
        shutil.rmtree(launcher.router_dir, ignore_errors=True)


@local.command()
@folder_argument
def down(folder: Path) -> None:
    """End everything that an `up` in this folder has started, however that one ended."""
    logs.configure("warning")
    files = _existing(folder)
    record = read_record(files)
    supervisor = record.supervisor
    if supervisor and identity_of(supervisor.pid) == supervisor:
        Process(supervisor).terminate()
        _wait_for_end(Process(supervisor))
        click.echo("ended", err=True)
        return
    with alone_in(files):
        left = [kept.pod.name for kept in record.pods if alive(kept)]
        launcher = Launcher(files, _last_port(files) or DEFAULT_PORT, _router_dir(record), {})
        remains = Supervisor(files, launcher)
        remains.take_over(record)
        remains.end(lambda: _end_nginx(launcher.router_dir))
        shutil.rmtree(launcher.router_dir, ignore_errors=True)
    click.echo(f"ended {', '.join(left)}" if left else "nothing was running", err=True)


@local.command("status")
@folder_argument
def processes(folder: Path) -> None:
    """Show the processes. `slipway status --local DIR` shows the rollout."""
    logs.configure("warning")
    files = _existing(folder)
    record = read_record(files)
    mine = record.supervisor
    runs = mine is not None and identity_of(mine.pid) == mine
    click.echo(f"{'supervisor':<24}{mine.pid if mine and runs else 'not running'}")
    for kept in record.pods:
        process = alive(kept)
        pod = _present(files, kept.part, kept.pod)
        state = "ready" if pod.ready and process else pod.why or "not ready"
        again = f", restarted {pod.restarts} times" if pod.restarts else ""
        click.echo(
            f"{pod.name:<24}{process.identity.pid if process else 'not running':<12} "
            f"{pod.address:<18}{pod.admin:<18}{state}{again}"
        )


def _look_after(supervisor: Supervisor, cluster: LocalCluster, stop: threading.Event) -> None:
    told, next_look = "", 0.0
    while not stop.wait(TURN):
        try:
            supervisor.turn()
            if time.monotonic() < next_look:
                continue
            next_look = time.monotonic() + TELL_EVERY
            line = progress(look(cluster))
        # The top of the loop: what failed (a full disk) may be well at the next turn.
        except (SlipwayError, OSError) as error:
            line = str(error)
        if line != told:
            click.echo(line, err=True)
        told = line


def _present(files: LocalFolder, part: str, pod: Pod) -> Pod:
    seen = read_as(Observed, files.observed(part)) or Observed()
    return next((each for each in seen.pods if each.name == pod.name), pod)


def _existing(folder: Path) -> LocalFolder:
    files = LocalFolder(folder)
    if not files.processes.is_file():
        raise NotInstalled(f"nothing was ever started in {folder}; `slipway local up {folder}`")
    return files


def _last_port(files: LocalFolder) -> int:
    found = read_as(dict[str, object], files.ports) or {}
    port = found.get("port")
    return port if isinstance(port, int) else 0


def _routes_already(record: Record, port: int) -> bool:
    return any(
        kept.part == "router" and kept.pod.address.endswith(f":{port}") and alive(kept)
        for kept in record.pods
    ) or bool(record.router_dir and _masters(Path(record.router_dir)))


def _router_dir(record: Record) -> Path:
    """A short path: nginx' sockets lie there, and theirs may have 107 characters only."""
    if record.router_dir and Path(record.router_dir).is_dir():
        return Path(record.router_dir)
    return Path(tempfile.mkdtemp(prefix="slipway-", dir="/tmp"))


def _masters(folder: Path) -> list[NginxMaster]:
    """The nginx masters that serve on there, front first."""
    if not folder.is_dir():
        return []
    layout, binary = layout_of(folder), find_nginx("nginx")
    both = [NginxMaster("front", layout, binary), NginxMaster("route", layout, binary)]
    return [master for master in both if master.adopt()]


def _end_nginx(folder: Path) -> None:
    """What an agent that was killed has left."""
    for master in _masters(folder):
        master.stop(GRACE)


def _wait_for_end(process: Process) -> None:
    end = time.monotonic() + 3 * GRACE
    while process.is_alive():
        if time.monotonic() >= end:
            raise TimedOut("`slipway local up` has been told to end and goes on; look at its log")
        time.sleep(TURN)
