"""`slipway backfill`: a range of months by one release, on the cluster or in processes here."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from slipway.batch.follow import Follower
from slipway.batch.follow import Progress as JobProgress
from slipway.batch.indexed_job import Backfill, job_of
from slipway.batch.plan import Ended, as_document, exit_code, months
from slipway.batch.processes import Processes
from slipway.batch.shards import Shard
from slipway.cli.cluster_options import cluster_options
from slipway.cli.commands import AtLeast, OneOf, WholeNumber
from slipway.cli.fetch import reference_of
from slipway.cli.score import TaxiType
from slipway.cluster.kube_api import KubeApi, Place, connect
from slipway.errors import InvalidConfig, NoModel, NotInstalled
from slipway.logs import configure_cli
from slipway.models.obtain import release_of
from slipway.models.release import Release, parse_release
from slipway.settings import BackfillSettings, read_settings


class Output(StrEnum):
    """How the outcome is written to stdout."""

    TABLE = "table"
    JSON = "json"


@click.command()
@click.argument("in_months", metavar="FROM..TO", help="Months, as 2021-03..2022-04.")
@click.argument(
    "model",
    required=False,
    help="Model reference; without it what is promoted, or (--local) named.",
)
@click.option("--taxi-type", type=OneOf(TaxiType), help="The CronJob's by itself.")
@click.option("--parallel", type=WholeNumber(1, 1000), default=2, help="Months at a time.")
@click.option("--local", is_flag=True, help="In processes on this machine.")
@click.option("--force", is_flag=True, help="Score again what is there.")
@click.option("--input", help="As that of `slipway score`.")
@click.option("--output", help="As that of `slipway score`.")
@click.option("--detach", is_flag=True, help="Make the Job, print its name, do not wait.")
@click.option("--timeout", type=AtLeast(0), default=math.inf, help="Seconds to wait for the Job.")
@cluster_options
@click.option(
    "-o", "form", type=OneOf(Output), default=Output.TABLE.value, help="The outcome on stdout."
)
def backfill(
    in_months: str,
    model: str | None,
    taxi_type: TaxiType | None,
    parallel: int,
    local: bool,
    force: bool,
    input: str | None,  # noqa: A002 - the option's name
    output: str | None,
    detach: bool,
    timeout: float,
    namespace: str | None,
    name: str | None,
    context: str | None,
    kubeconfig: str | None,
    form: Output,
) -> None:
    """Score a range of months, each as `slipway score` does, all of them by one release.

    On the cluster it is a Job with a month an index, made from the chart's CronJob. A month that
    is there already, made from the same input and release, is left as it is. One that fails stops
    no other one; all that failed are named at the end, and the exit code is theirs.
    """
    configure_cli()
    settings = read_settings(
        BackfillSettings,
        taxi_type=taxi_type,
        input=input,
        output=output,
        namespace=namespace,
        fullname=name,
        **reference_of(model),
    )
    given = {"SLIPWAY_TAXI_TYPE": taxi_type, "SLIPWAY_INPUT": input, "SLIPWAY_OUTPUT": output}
    if local:
        release, ended = _locally(settings, in_months, parallel, force)
    else:
        place = Place(settings.namespace, context or "", kubeconfig or "")
        api = connect(place, timeout=settings.api_timeout)
        cronjob = _cronjob(api, settings.fullname)
        shards = months(in_months, settings.taxi_type or _taxi_of(cronjob))
        release = _release(api, settings, model)
        wanted = Backfill(
            in_months,
            len(shards),
            parallel,
            release.to_json().decode(),
            release.digest,
            {variable: str(value) for variable, value in given.items() if value is not None},
            force,
        )
        made = api.create("jobs", job_of(cronjob, wanted))["metadata"]["name"]
        click.echo(f"made the Job {made}: {len(shards)} months by {release.version}", err=True)
        if detach:
            click.echo(made)
            return
        ended = _follow(Follower(api, made, shards), timeout)
    _tell(ended, release, form)
    sys.exit(exit_code(ended))


def _locally(
    settings: BackfillSettings, text: str, parallel: int, force: bool
) -> tuple[Release, list[Ended]]:
    if not settings.taxi_type:
        raise InvalidConfig("say which taxi: --taxi-type green or yellow")
    shards = months(text, settings.taxi_type)
    release = release_of(settings)
    if release is None:
        raise InvalidConfig("no model is named: give a reference, MODEL_RUN_ID or MODEL_URI")
    with tempfile.TemporaryDirectory(prefix="slipway-") as folder:
        lock = Path(folder, "release.json")
        lock.write_bytes(release.to_json())
        common = [f"--release-file={lock}", f"--input={settings.input}"]
        common += [f"--output={settings.output}", *(["--force"] if force else [])]
        commands = {shard: [*_command(shard), *common] for shard in shards}
        # Months are what runs side by side: more threads in each would only be in each other's way.
        one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        processes = Processes(commands, os.environ | one, parallel)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        with closing(processes), _bar(len(shards)) as bar:
            ended = []
            for each in processes:
                ended.append(each)
                bar.add(f"{each.shard}: {_outcome(each)}")
    return release, sorted(ended, key=lambda each: (each.shard.year, each.shard.month))


def _command(shard: Shard) -> list[str]:
    month = [shard.taxi_type, str(shard.year), str(shard.month)]
    return [sys.executable, "-m", "slipway", "score", *month]


def _cronjob(api: KubeApi, fullname: str) -> dict[str, Any]:
    found = api.get("cronjobs", f"{fullname}-batch")
    if found is None:
        raise NotInstalled(
            f"there is no CronJob {fullname}-batch in {api.namespace}: install the chart with "
            "batch.enabled, name another installation by --name, or use --local"
        )
    return found


def _taxi_of(cronjob: dict[str, Any]) -> str:
    pod = cronjob["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    for container in pod["containers"]:
        for each in container.get("env") or ():
            if each["name"] == "SLIPWAY_TAXI_TYPE" and each.get("value"):
                return str(each["value"])
    raise InvalidConfig("the CronJob does not say which taxi: give --taxi-type")


def _release(api: KubeApi, settings: BackfillSettings, model: str | None) -> Release:
    """The release that is named, else the promoted one."""
    if model is not None:
        found = release_of(settings)
        if found is None or found.uri.startswith(("/", "file:")):
            raise InvalidConfig(f"pods cannot reach {model}: give a reference to a store or server")
        return found
    state = api.get("configmaps", f"{settings.fullname}-state") or {}
    promoted = (state.get("data") or {}).get("promoted")
    if not promoted:
        raise NoModel("nothing is promoted yet: give a model reference, or wait for a promotion")
    return parse_release(promoted.encode())


class _Bar:
    """A bar where a person watches, lines elsewhere; on stderr."""

    def __init__(self, bar: Progress, total: int) -> None:
        self._bar, self._total = bar, total
        self._task = bar.add_task("months", total=total)
        self._done = 0

    def add(self, line: str) -> None:
        """One more month has ended."""
        self._done += 1
        self._bar.update(self._task, completed=self._done)
        said = f"{self._done}/{self._total} {line}"
        if self._bar.disable:
            click.echo(said, err=True)
        else:
            self._bar.console.print(said, highlight=False)

    def running(self, count: int) -> None:
        """So many run."""
        self._bar.update(self._task, description=f"months ({count} at work)")


@contextmanager
def _bar(total: int) -> Iterator[_Bar]:
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bar:
        yield _Bar(bar, total)


def _follow(follower: Follower, timeout: float) -> list[Ended]:
    told: set[int] = set()
    with _bar(len(follower.shards)) as bar:

        def report(now: JobProgress) -> None:
            bar.running(now.active)
            for index in sorted((now.done | now.failed) - told):
                outcome = "failed" if index in now.failed else "there"
                bar.add(f"{follower.shards[index]}: {outcome}")
            told.update(now.done | now.failed)

        return follower.wait(timeout, report)


def _outcome(ended: Ended) -> str:
    return "there" if ended.code == 0 else f"failed ({ended.code}): {ended.said}"


def _tell(ended: Sequence[Ended], release: Release, form: Output) -> None:
    if form is Output.JSON:
        identity = {"model_version": release.version, "model_digest": release.digest}
        click.echo(json.dumps(as_document(ended, identity), indent=2))
        return
    there = sum(each.code == 0 for each in ended)
    click.echo(f"{there} of {len(ended)} months are there, by {release.version}")
    for each in ended:
        if each.code:
            click.echo(f"{each.shard}: {_outcome(each)}")
