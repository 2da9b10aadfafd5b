"""wrk: so many kept connections, each asks again when it has its answer, another ride each time.

A system of several addresses gets a thread of wrk for each, with its share of the connections; at
one connection only the first is asked. wrk's own share of the machine is told with each run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
# Two, as many as a system has processes, unless there are fewer connections.
THREADS = 2

# wrk calls setup once a thread before it starts, init in the thread, done at the end.
_SCRIPT = """
local ports = {%(ports)s}
local made = 0
function setup(thread)
  thread.addr = wrk.lookup("%(host)s", ports[made %% #ports + 1])[1]
  made = made + 1
end
local requests, at = {}, 0
function init(arguments)
  for body in io.lines("%(bodies)s") do
    requests[#requests + 1] = wrk.format("POST", "%(path)s",
      {["Content-Type"] = "application/json", ["Host"] = "%(host)s"}, body)
  end
end
function request()
  at = at %% #requests + 1
  return requests[at]
end
%(delay)s
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\nRESULT {"requests":%%d,"microseconds":%%d,"median":%%f,"p99":%%f,' ..
    '"broken":%%d,"refused":%%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.timeout, e.status))
end
"""
_DELAY = """
function delay()
  return math.random(0, %d)
end
"""


class DriverFailed(Exception):
    """wrk is not there, or said nothing that can be used."""


@dataclass(frozen=True)
class Target:
    """What is asked: the ports of 127.0.0.1, the path, a file with a body a line."""

    ports: Sequence[int]
    path: str
    bodies: Path


@dataclass(frozen=True)
class Driven:
    """One run. `broken` are connections that ended early, `refused` answers that are no 2xx.

    `cores` is the CPU time that wrk itself took, a second.
    """

    requests: int
    rate: float
    median_ms: float
    p99_ms: float
    broken: int
    refused: int
    cores: float


def drive_version() -> str:
    """wrk's own name and version. Raises DriverFailed."""
    done = subprocess.run([_wrk(), "-v"], capture_output=True, text=True, check=False)
    return " ".join((done.stdout or done.stderr).split()[:2])


def drive(target: Target, connections: int, seconds: float, pause_ms: int = 0) -> Driven:
    """One run of so many seconds; each connection waits `pause_ms` between requests, on average.

    Raises DriverFailed.
    """
    script = _SCRIPT % {
        "ports": ", ".join(f'"{port}"' for port in target.ports),
        "host": HOST,
        "bodies": target.bodies,
        "path": target.path,
        "delay": _DELAY % (2 * pause_ms) if pause_ms else "",
    }
    threads = min(THREADS, connections)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as lua:
        lua.write(script)
        lua.flush()
        command = [_wrk(), f"-t{threads}", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
        command += ["--timeout", "10s", "-s", lua.name, f"http://{HOST}:{target.ports[0]}"]
        before = os.times()
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + 60, check=False
        )
        after = os.times()
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if done.returncode or not lines:
        raise DriverFailed(f"wrk: {(done.stderr or done.stdout).strip()[-500:]}")
    told = json.loads(lines[0].removeprefix("RESULT "))
    took = told["microseconds"] / 1e6
    used = (after.children_user + after.children_system) - (
        before.children_user + before.children_system
    )
    return Driven(
        requests=told["requests"],
        rate=told["requests"] / took,
        median_ms=told["median"] / 1000,
        p99_ms=told["p99"] / 1000,
        broken=told["broken"],
        refused=told["refused"],
        cores=used / took,
    )


def _wrk() -> str:
    found = shutil.which("wrk")
    if found is None:
        raise DriverFailed("wrk is missing; install it, as with: sudo apt-get install wrk")
    return found
