"""Drives a Slipway service with rides, and ends with a verdict.

    locust -f loadtest/locustfile.py --headless --host http://127.0.0.1:9696 --shape steady

Exit code 0: all limits are met; 1: one was missed, a sentence says which; 2: it could not run.
Interrupted (SIGINT) it waits for what is in flight and judges what there was until then.
An entry module: it reads options and files; what came back is judged by verdict.py.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import gevent
from loadtest.check import Expected, fault_of
from loadtest.report import lines, report
from loadtest.rides import ride_pool
from loadtest.shapes import SHAPES, asked, rate_at
from loadtest.tally import Answerer, Tally
from loadtest.verdict import WrongLimits, read_limits
from locust import FastHttpUser, LoadTestShape, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.runners import LocalRunner

HERE = Path(__file__).parent
RIDERS = 10_000
ROWS = 5
# Beyond the router's own deadline, so that it is the service that gives up.
GIVE_UP_SECONDS = 40.0
# Requests in flight when the last stage is over are waited for and counted.
LAST_ANSWERS_SECONDS = 10.0


class CannotRun(Exception):
    """The test cannot begin; the sentence says why."""


class LoadTest:
    """One run: its limits and stages, what is expected, and what came back so far."""

    def __init__(self, options: Any) -> None:
        try:
            self.limits = read_limits(Path(options.limits).read_text())
        except OSError as error:
            raise CannotRun(f"--limits: {options.limits}: {error.strerror}") from error
        except WrongLimits as error:
            raise CannotRun(f"--limits: {error}") from error
        rate = options.rate or round(self.limits.requests_per_second)
        if rate < 1 or options.seconds <= 0:
            raise CannotRun("--rate must be at least 1 and --seconds more than 0")
        self.stages = SHAPES[options.shape](rate, options.seconds)
        self.expected = _expected(options.reference)
        self.rides = ride_pool()
        self.chance = random.Random(0)  # noqa: S311 - the same requests each time
        self.tally = Tally()
        self._started = datetime.now(UTC)
        self._began: float | None = None
        self._ended: float | None = None

    def begin(self) -> None:
        """From now on requests are asked for."""
        self._began, self._started = time.monotonic(), datetime.now(UTC)

    def count(
        self, who: Answerer, milliseconds: float, failure: str | None, fallback: bool
    ) -> None:
        """Count a request that has just been answered."""
        now = time.monotonic()
        at = now - (self._began or now)
        self.tally.add(who, milliseconds, failure, fallback=fallback, at=at)

    def end(self) -> None:
        """The last stage is over, or somebody has stopped the test before that."""
        self._ended = self._ended or time.monotonic()

    def result(self) -> dict[str, Any]:
        """The report, as of now."""
        now = time.monotonic()
        elapsed = (self._ended or now) - (self._began or now)
        checked = self.expected is not None
        return report(
            self.tally,
            asked(self.stages, elapsed),
            self.limits,
            checked=checked,
            began=self._started,
        )


@events.init_command_line_parser.add_listener
def _options(parser: LocustArgumentParser) -> None:
    group = parser.add_argument_group("Slipway")
    group.add_argument("--shape", choices=sorted(SHAPES), default="steady", help="How load moves.")
    group.add_argument("--rate", type=int, default=0, help="Requests/s [as the limits say].")
    group.add_argument("--seconds", type=float, default=120.0, help="How long it takes.")
    group.add_argument("--limits", default=str(HERE / "limits.toml"), help="A file of limits.")
    group.add_argument("--report", default="", help="Write the result here as JSON.")
    group.add_argument(
        "--reference",
        nargs="*",
        default=[],
        help="Compare every prediction with those of these models (model references), natively.",
    )


@events.init.add_listener
def _prepare(environment: Environment, runner: Any, **_others: Any) -> None:
    try:
        _check_alone(runner)
        RideUser.test = LoadTest(environment.parsed_options)
    except CannotRun as error:
        sys.stderr.write(f"cannot run: {error}\n")
        sys.exit(2)
    environment.stop_timeout = LAST_ANSWERS_SECONDS
    gevent.signal_handler(signal.SIGINT, _interrupt, runner)


def _interrupt(runner: Any) -> None:
    """End as after the last stage.

    Python would raise KeyboardInterrupt in whichever user runs just then: one that has its answer
    would not count it.
    """
    if runner.shape_greenlet:
        runner.shape_greenlet.kill(block=False)
    else:
        os.kill(os.getpid(), signal.SIGTERM)


def _check_alone(runner: Any) -> None:
    """Each of several processes would hold a part of the figures, and the percentiles of none."""
    if not isinstance(runner, LocalRunner):
        raise CannotRun("the verdict needs one process: run without --master and --worker")


@events.test_start.add_listener
def _begin(**_others: Any) -> None:
    RideUser.test.begin()


@events.test_stopping.add_listener
def _end(**_others: Any) -> None:
    RideUser.test.end()


@events.quitting.add_listener
def _judge(environment: Environment, **_others: Any) -> None:
    result = RideUser.test.result()
    target = getattr(environment.parsed_options, "report", "")
    if target:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        Path(target).write_text(json.dumps(result, indent=2) + "\n")
    # An exception in a user is a fault of this test, which then shows nothing.
    broken = bool(environment.runner and environment.runner.exceptions)
    environment.process_exit_code = 2 if broken else int(not result["passed"])


@events.quit.add_listener
def _tell(**_others: Any) -> None:
    """After locust's own tables: what was judged is what a person reads last."""
    print("\n".join(lines(RideUser.test.result())))


class Shape(LoadTestShape):
    """As many users as requests per second, by the chosen shape."""

    def tick(self) -> tuple[int, float] | None:
        """Users and how many to start a second; None ends the test."""
        rate = rate_at(RideUser.test.stages, self.get_run_time())
        return None if rate is None else (rate, rate)


class RideUser(FastHttpUser):
    """Asks for one prediction a second, most of them for one ride."""

    test: ClassVar[LoadTest]
    host = "http://127.0.0.1:9696"
    network_timeout = GIVE_UP_SECONDS
    connection_timeout = GIVE_UP_SECONDS
    insecure = False

    def on_start(self) -> None:
        """Users that start together must not ask together, second after second."""
        phase = self.test.chance.random()
        self._due = time.monotonic() + phase
        gevent.sleep(phase)

    def wait_time(self) -> float:
        """Until a second after the last request was due; one that took longer is not made up for.

        locust's own pacing counts from the user's making, which would undo the phase.
        """
        now = time.monotonic()
        self._due = max(self._due + 1, now)
        return self._due - now

    @task(8)
    def predict(self) -> None:
        """One ride."""
        [ride] = self._rides(1)
        self._ask("/predict", self.test.rides[ride], [ride])

    @task(1)
    def instances(self) -> None:
        """Several rides at once."""
        rides = self._rides(ROWS)
        self._ask("/predict", {"instances": [self.test.rides[ride] for ride in rides]}, rides)

    @task(1)
    def invocations(self) -> None:
        """MLflow's protocol."""
        rides = self._rides(ROWS)
        rows = [self.test.rides[ride] for ride in rides]
        self._ask("/invocations", {"dataframe_records": rows}, rides)

    def _rides(self, count: int) -> list[int]:
        return self.test.chance.choices(range(len(self.test.rides)), k=count)

    def _ask(self, path: str, body: dict[str, Any], rides: list[int]) -> None:
        key = f"rider-{self.test.chance.randrange(RIDERS)}"
        with self.client.post(
            path, json=body, headers={"X-Slipway-Key": key}, catch_response=True
        ) as answer:
            headers = answer.headers or {}
            who = Answerer.of(headers)
            failure = _failure(answer, who.version, rides, self.test.expected)
            # locust's own report then shows each answerer in a line of its own.
            answer.request_meta["name"] = f"{path} {who}"
            milliseconds = answer.request_meta["response_time"]
            fallback = headers.get("X-Slipway-Fallback") == "1"
            self.test.count(who, milliseconds, failure, fallback=fallback)
            if failure is None:
                answer.success()
            else:
                answer.failure(failure)


def _failure(answer: Any, version: str, rides: list[int], expected: Expected | None) -> str | None:
    if not answer.status_code:
        # The kind of error is enough; its text holds ports, and each would be a failure of its own.
        return f"no answer: {type(answer.error).__name__}"
    if answer.status_code != 200:
        return f"status {answer.status_code}"
    try:
        document = json.loads(answer.content)
    except ValueError:
        return "the answer is no JSON"
    return fault_of(document, version, rides, expected)


def _expected(references: list[str]) -> Expected | None:
    if not references:
        return None
    asking = subprocess.run(
        [sys.executable, "-m", "loadtest.expected", *references],
        cwd=HERE.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    if asking.returncode:
        raise CannotRun(f"--reference: {asking.stderr.strip()}")
    predictions: dict[str, list[float]] = json.loads(asking.stdout)
    return predictions
