"""`make demo`: the first path on one machine, each step a command that a person could type.

Everything it starts runs on 127.0.0.1 and is gone at the end, with all the files it made.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.panel import Panel

from slipway.errors import ModelFailed, SlipwayError
from slipway.examples.demo_rollout import installation, missing_nginx, rollouts
from slipway.examples.synthetic import Recipe, in_kilometres, make_month, write_month
from slipway.examples.tracking_server import answers, end, free_port, tracking_server
from slipway.logs import configure_cli
from slipway.metrics import RELEASE_INFO, REQUESTS, SECONDS

NAME = "ride-duration"
MONTH = Recipe("green", 2021, 3, rows=60_000)
RIDE = {"PULocationID": 10, "DOLocationID": 50, "trip_distance": 40}
READY_SECONDS = 60.0
# What the third version learns from, by mistake.
IN_KILOMETRES = Recipe("green", 2021, 2, rows=20_000)
# All gates, with a look every second; `careful` has one every 15 s.
POLICY = "test"
SHOWN_METRICS = (f"{REQUESTS}_total", RELEASE_INFO, f"{SECONDS}_count")

console = Console(highlight=False)


class Demo:
    """One walk through the first path; `folder` holds all files, `server` is MLflow's address."""

    def __init__(self, folder: Path, server: str) -> None:
        self._folder = folder
        self._environment = os.environ | {
            "MLFLOW_TRACKING_URI": server,
            "SLIPWAY_CACHE_DIR": str(folder / "cache"),
            "SLIPWAY_INPUT": str(folder / "months"),
            "SLIPWAY_OUTPUT": str(folder / "predictions"),
        }

    def walk(self) -> None:
        """All steps, in order; raises at the first that does not work."""
        step("Train and register two versions", "a linear model, then a ridge on the same rides")
        self.run("train", "--alias", "champion")
        self.run("train", "--model", "ridge", "--no-alias", "--no-twin")

        step("Serve version 1", "resolved once, fetched, its digest checked, then loaded")
        with self.serving(f"models:/{NAME}/1") as (url, admin):
            first = self.predict(url)
            self.run("smoke", url)
            step("Look at its metrics", "they count by slot, release, status code and source")
            self.metrics(admin)

        step("Score a month with the same release", f"{MONTH.rows:,} made-up rides of March 2021")
        write_month(self._folder / "months" / MONTH.file_name, MONTH)
        self.run("score", "green", "2021", "3", f"models:/{NAME}/1")

        step("Exchange the model", "the same command with another reference, nothing else")
        with self.serving(f"models:/{NAME}/2") as (url, _admin):
            second = self.predict(url)
        if first["model_version"] == second["model_version"]:
            raise ModelFailed("both versions answered with the same run id")
        say(
            f"Version 1 said {first['duration']:.2f} minutes, version 2 {second['duration']:.2f}. "
            "Each answer names the run that it comes from."
        )
        self.roll_out()

    def roll_out(self) -> None:
        """The second half, where there is nginx."""
        step("Roll out by measured evidence", "two slots behind a router; no request may fail")
        if missing := missing_nginx():
            console.print(f"  [yellow]This part is left out: {missing}[/yellow]", soft_wrap=True)
            return
        month = self._folder / "kilometres" / IN_KILOMETRES.file_name
        write_month(month, in_kilometres(make_month(IN_KILOMETRES)))
        say("Version 3 learns from a month whose distances somebody wrote down in kilometres.")
        self.run("train", "--data", str(month), "--no-alias", "--no-twin")
        folder = str(self._folder / "local")
        up = ["local", "up", folder, "--model", f"models:/{NAME}/1", "--policy", POLICY]
        show(["slipway", *up])
        with installation(self._slipway(up), self._folder, self._environment) as port:

            def run(*arguments: str, code: int = 0) -> None:
                self.run(*arguments, "--local", folder, code=code)

            # When the first of the router's workers answers, others have the table of before.
            run("status", "--wait")
            rollouts(port, run, say, biased=f"models:/{NAME}/3", good=f"models:/{NAME}/2")
            run("history")

    def run(self, *arguments: str, code: int = 0) -> None:
        """A verb of ours, shown and run to the exit code; its output goes to the terminal."""
        show(["slipway", *arguments])
        ended = subprocess.run(self._slipway(arguments), env=self._environment, check=False)
        if ended.returncode != code:
            raise ModelFailed(f"`slipway {' '.join(arguments)}` ended with {ended.returncode}")

    @contextlib.contextmanager
    def serving(self, reference: str) -> Iterator[tuple[str, str]]:
        """A service of the model, ready to answer; gives its URL and its admin port's."""
        port, admin = free_port(), free_port()
        arguments = ["serve", reference, "--port", str(port), "--admin-port", str(admin)]
        show(["slipway", *arguments])
        log = self._folder / "service.log"
        environment = self._environment | {"SLIPWAY_HOST": "127.0.0.1"}
        began = time.monotonic()
        with log.open("wb") as output:
            process = subprocess.Popen(
                self._slipway(arguments),
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        try:
            if not answers(f"http://127.0.0.1:{admin}/readyz", process, READY_SECONDS):
                raise ModelFailed(f"the service did not become ready:\n{log.read_text()[-2000:]}")
            say(f"ready after {time.monotonic() - began:.1f} s")
            yield f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}"
        finally:
            end(process)

    def predict(self, url: str) -> dict[str, float | str]:
        """The course's ride, by curl where there is one."""
        body, place = json.dumps(RIDE), f"{url}/predict"
        command = ["curl", "-s", place, "-H", "Content-Type: application/json", "-d", body]
        show(command)
        if shutil.which("curl"):
            text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        else:
            request = urllib.request.Request(  # noqa: S310 - 127.0.0.1
                place, body.encode(), {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                text = answer.read().decode()
        console.print(f"  {text.strip()}", soft_wrap=True)
        predicted: dict[str, float | str] = json.loads(text)
        return predicted

    def metrics(self, admin: str) -> None:
        """The few lines that matter most."""
        show(["curl", "-s", f"{admin}/metrics"])
        with urllib.request.urlopen(f"{admin}/metrics", timeout=10) as answer:  # noqa: S310
            lines = answer.read().decode().splitlines()
        chosen = [line for line in lines if line.startswith(SHOWN_METRICS)]
        for line in [line for line in chosen if not line.endswith(" 0.0")]:
            console.print(f"  {line}", soft_wrap=True)

    @staticmethod
    def _slipway(arguments: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", "slipway", *arguments]


def step(title: str, said: str) -> None:
    """The heading of a step."""
    console.print(f"\n[bold]{title}[/bold]: {said}")


def show(command: Sequence[str]) -> None:
    """A command as a person would type it."""
    words = [f"'{word}'" if " " in word or '"' in word else word for word in command]
    console.print(f"[dim]$[/dim] [cyan]{' '.join(words)}[/cyan]", soft_wrap=True)


def say(sentence: str) -> None:
    """A remark on what has just happened."""
    console.print(f"  [green]{sentence}[/green]", soft_wrap=True)


def main() -> int:
    """Run the demo; 0 when every step worked."""
    configure_cli()
    began = time.monotonic()
    console.print(
        Panel(
            "Slipway on this machine alone: a tracking server, two versions of a model, a service, "
            "a month scored; a bad version stopped, a good one rolled out under load, and back. "
            "No Docker, no cluster; all of it is gone at the end.",
            title="slipway demo",
        )
    )
    try:
        with tempfile.TemporaryDirectory(prefix="slipway-demo-") as made:
            folder = Path(made)
            step("Start an MLflow tracking server", "its own environment, SQLite, a free port")
            with tracking_server(folder / "mlflow", os.environ) as server:
                say(f"listens on {server}")
                Demo(folder, server).walk()
    except SlipwayError as error:
        console.print(f"[red]The demo stopped: {error.message}[/red]")
        return 1
    console.print(
        f"\nDone in {time.monotonic() - began:.0f} s, and everything is stopped. Next:\n"
        "  slipway train --help     your own months of rides, forests, tips\n"
        "  slipway serve --help     all settings of the service\n"
        "  slipway local up --help  an installation of your own on this machine\n"
        "  make test                what is promised, shown"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
