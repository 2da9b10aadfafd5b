"""What a pod counts: names, buckets, closed label sets, one process or several."""

from __future__ import annotations

import itertools
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway import metrics
from slipway.buckets import LATENCY_BUCKETS
from slipway.metrics import DEFAULT_PREDICTION_BUCKETS, SOURCES, PodMetrics


def pod(buckets: tuple[float, ...] = (1.0, 10.0)) -> PodMetrics:
    return PodMetrics(
        slot="blue", release="0123456789ab", run_id="run", form="native", buckets=buckets
    )


def series(text: bytes) -> dict[str, float]:
    lines = (line.rsplit(" ", 1) for line in text.decode().splitlines() if line[0] != "#")
    return {name: float(value) for name, value in lines}


def labelled(name: str, **labels: str) -> str:
    labels = {"slot": "blue", "release": "0123456789ab", **labels}
    return name + "{" + ",".join(f'{key}="{labels[key]}"' for key in sorted(labels)) + "}"


def test_the_latency_buckets_are_those_that_the_gate_counts_on() -> None:
    """CONTRACT 5: the limit 1.5 is three buckets exactly, 87 of them from 0.5 ms to 60 s."""
    assert len(LATENCY_BUCKETS) == 87
    assert LATENCY_BUCKETS[0] == 0.0005
    assert LATENCY_BUCKETS[-1] == pytest.approx(56, abs=5)
    for low, high in zip(LATENCY_BUCKETS, LATENCY_BUCKETS[3:], strict=False):
        assert high / low == pytest.approx(1.5, rel=1e-12)


def test_every_metric_of_the_contract_is_there_and_no_other() -> None:
    counted = pod()
    counted.answered(200, "live", 0.1)
    counted.predicted([5.0], "live")
    families = {
        line.split()[2]
        for line in counted.expose().decode().splitlines()
        if line.startswith("# TYPE")
    }
    ours = {name for name in families if name.startswith("slipway_")}
    assert ours == {
        "slipway_requests_total",
        "slipway_request_seconds",
        "slipway_prediction",
        "slipway_release_info",
        "slipway_in_flight",
    }
    assert all(name.startswith("process_") for name in families - ours)


def test_an_answer_is_counted_by_code_and_source_and_timed_by_source() -> None:
    counted = pod()
    counted.answered(200, "live", 0.1)
    counted.answered(500, "live", 0.3)
    counted.answered(200, "shadow", 0.5)
    found = series(counted.expose())
    for code, source in (("200", "live"), ("500", "live"), ("200", "shadow")):
        assert found[labelled("slipway_requests_total", code=code, source=source)] == 1.0
    assert found[labelled("slipway_request_seconds_sum", source="live")] == pytest.approx(0.4)
    assert found[labelled("slipway_request_seconds_count", source="shadow")] == 1.0
    assert found[labelled("slipway_release_info", run_id="run", form="native")] == 1.0


@settings(deadline=None)
@given(
    st.lists(st.floats(-1e9, 1e9), max_size=6).map(tuple),
    st.lists(st.floats(-1e12, 1e12) | st.integers(-9, 9), min_size=1, max_size=20),
)
def test_any_edges_make_a_histogram_that_holds_every_prediction(
    edges: tuple[float, ...], values: list[float]
) -> None:
    """A release's edges come from its reference sample: in any order, with ties."""
    counted = pod(edges)
    counted.predicted(values, "live")
    found = series(counted.expose())
    buckets = [value for name, value in found.items() if name.startswith("slipway_prediction_buck")]
    assert buckets == sorted(buckets)
    assert buckets[-1] == len(values)
    for edge in edges or DEFAULT_PREDICTION_BUCKETS:
        assert sum(value <= edge for value in values) in buckets


def test_an_idle_slot_has_no_release_and_no_series_that_pretends_one() -> None:
    counted = PodMetrics(slot="green")
    counted.answered(503, "live", 0.001)
    found = series(counted.expose())
    assert not any(name.startswith("slipway_release_info") for name in found)
    name = labelled(
        "slipway_requests_total", slot="green", release="none", code="503", source="live"
    )
    assert found[name] == 1.0


def test_A14_the_number_of_series_has_a_bound() -> None:
    counted = pod()
    for code, source in itertools.product((200, 400, 413, 415, 422, 500, 503), SOURCES):
        counted.answered(code, source, 0.1)
        counted.predicted([1.0], source)
    full = len(series(counted.expose()))
    for code, source in itertools.product((200, 500), SOURCES):
        counted.answered(code, source, math.pi)
    assert len(series(counted.expose())) == full < 700


def test_two_pods_in_one_process_do_not_mix() -> None:
    first, second = pod(), pod()
    first.answered(200, "live", 0.1)
    assert labelled("slipway_requests_total", code="200", source="live") not in series(
        second.expose()
    )


def test_what_is_in_flight_goes_up_and_down() -> None:
    counted = pod()
    counted.in_flight.inc()
    assert series(counted.expose())["slipway_in_flight"] == 1.0
    counted.in_flight.dec()
    assert series(counted.expose())["slipway_in_flight"] == 0.0


WORKER = """
import os, sys
from prometheus_client.multiprocess import mark_process_dead
from slipway.metrics import PodMetrics
folder = os.environ["PROMETHEUS_MULTIPROC_DIR"]
release = {"slot": "blue", "release": "0123456789ab", "run_id": "run", "form": "native"}
pod = PodMetrics(**release, buckets=(1.0,), multiprocess_dir=folder)
pod.answered(200, "live", 0.25)
pod.predicted([0.5, 2.0], "live")
pod.in_flight.inc()
if sys.argv[1] == "die":
    mark_process_dead(os.getpid())
elif sys.argv[1] == "tell":
    sys.stdout.buffer.write(pod.expose())
"""


def test_R50_with_several_processes_each_tells_the_sum_over_all(tmp_path: Path) -> None:
    """R50: the counters of a process that has ended still count, its gauges do not."""

    def worker(word: str) -> bytes:
        return subprocess.run(
            [sys.executable, "-c", WORKER, word],
            env=os.environ
            | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
            timeout=30,
        ).stdout

    worker("die")
    worker("live on")
    # A process that was killed when it had only just made its file, or is about to go on.
    (tmp_path / "counter_99.db").touch()
    found = series(worker("tell"))
    assert found[labelled("slipway_requests_total", code="200", source="live")] == 3.0
    assert found[labelled("slipway_request_seconds_sum", source="live")] == 0.75
    assert found[labelled("slipway_prediction_bucket", source="live", le="1.0")] == 3.0
    assert found[labelled("slipway_prediction_count", source="live")] == 6.0
    assert found[labelled("slipway_release_info", run_id="run", form="native")] == 1.0
    assert found["slipway_in_flight"] == 2.0


def test_metric_names_have_one_home() -> None:
    """HABITS 17: dashboards and gates are tested against this module."""
    root = Path(str(metrics.__file__)).parent
    names = (
        metrics.REQUESTS,
        metrics.SECONDS,
        metrics.PREDICTION,
        metrics.RELEASE_INFO,
        metrics.IN_FLIGHT,
    )
    homes = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if any(f'"{name}' in path.read_text() for name in names)
    }
    assert homes == {"metrics.py"}
