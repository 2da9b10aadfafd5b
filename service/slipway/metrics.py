"""The one home of metric names; nothing else in the package spells one.

Labels come from closed sets only (the slot, the release, a status code, four sources), so no
client can make a series. With several worker processes prometheus-client keeps the values in
files under PROMETHEUS_MULTIPROC_DIR, and whoever scrapes gets the sum over all of them.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
    pushadd_to_gateway,
    write_to_textfile,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

from slipway.buckets import LATENCY_BUCKETS

SOURCES = ("live", "shadow", "forced", "fallback")

REQUESTS = "slipway_requests"
SECONDS = "slipway_request_seconds"
PREDICTION = "slipway_prediction"
RELEASE_INFO = "slipway_release_info"
IN_FLIGHT = "slipway_in_flight"

ROLLOUT_WEIGHT = "slipway_rollout_weight"
ROLLOUT_PHASE = "slipway_rollout_phase"
GATE_FIGURES = ("estimate", "lower", "upper", "limit", "samples")
GATES = {figure: f"slipway_gate_{figure}" for figure in GATE_FIGURES}
DECISIONS = "slipway_decisions"

ROUTER_REQUESTS = "slipway_router_requests"
ROUTER_SECONDS = "slipway_router_request_seconds"
ROUTER_FALLBACKS = "slipway_router_fallbacks"
ROUTER_PAIRS = "slipway_router_pairs"
ROUTER_SHADOW_DROPPED = "slipway_router_shadow_dropped"
ROUTER_LOADED_EPOCH = "slipway_router_loaded_epoch"
# prometheus-client's own.
PROCESS_START = "process_start_time_seconds"

BATCH_LAST_RUN = "slipway_batch_last_run_timestamp_seconds"
BATCH_SUCCESS = "slipway_batch_last_run_success"
BATCH_SECONDS = "slipway_batch_last_run_seconds"
BATCH_PERIOD = "slipway_batch_period_timestamp_seconds"
BATCH_INFO = "slipway_batch_release_info"
BATCH_RIDES = "slipway_batch_rides"
BATCH_DROPPED = "slipway_batch_dropped_rides"
# Of the summary's members, those that are figures of the predictions.
BATCH_FIGURES = {
    figure: f"slipway_batch_{figure}"
    for figure in (
        *("mean_predicted", "std_predicted", "mean_actual"),
        *("mean_absolute_error", "share_beyond_10"),
    )
}

STREAM_RECORDS = "slipway_stream_records"
STREAM_BAD = "slipway_stream_bad_records"
STREAM_RETRIES = "slipway_stream_retries"
STREAM_BEHIND = "slipway_stream_behind_seconds"
STREAM_AGE = "slipway_stream_age_seconds"
STREAM_SHARDS = "slipway_stream_shards"
STREAM_INFO = "slipway_stream_release_info"

# For a release without a reference sample: 1, 2, 5 to 5,000.
DEFAULT_PREDICTION_BUCKETS = tuple(digit * 10.0**power for power in range(4) for digit in (1, 2, 5))

NO_RELEASE = "none"


class PodMetrics:
    """What a slot's pod counts. `release` and `run_id` are empty for an idle slot.

    `multiprocess_dir` is the folder that prometheus-client was told of before it was imported, or
    empty for one process.
    """

    def __init__(
        self,
        *,
        slot: str,
        release: str = "",
        run_id: str = "",
        form: str = "",
        buckets: Sequence[float] = (),
        multiprocess_dir: str = "",
    ) -> None:
        # Times of creation double the series and say what the process's start time says.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._multiprocess_dir = multiprocess_dir
        self._labels = (slot, release or NO_RELEASE)
        names = ("slot", "release")
        self._requests = Counter(
            REQUESTS,
            "Answers to prediction requests.",
            (*names, "code", "source"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            SECONDS,
            "Time from a request's whole body to its answer.",
            (*names, "source"),
            buckets=LATENCY_BUCKETS,
            registry=self._registry,
        )
        self._predictions = Histogram(
            PREDICTION,
            "Predictions given.",
            (*names, "source"),
            buckets=tuple(sorted(set(buckets))) or DEFAULT_PREDICTION_BUCKETS,
            registry=self._registry,
        )
        # Children are looked up once: a look-up costs more than counting.
        self._count = functools.cache(
            lambda code, source: self._requests.labels(*self._labels, str(code), source)
        )
        self._time = functools.cache(lambda source: self._seconds.labels(*self._labels, source))
        self._predict = functools.cache(
            lambda source: self._predictions.labels(*self._labels, source)
        )
        self.in_flight = Gauge(
            IN_FLIGHT,
            "Prediction requests being answered.",
            registry=self._registry,
            multiprocess_mode="livesum",
        )
        if release:
            info = Gauge(
                RELEASE_INFO,
                "1 for the release that is served; form says what predicts.",
                (*names, "run_id", "form"),
                registry=self._registry,
                multiprocess_mode="max",
            )
            info.labels(*self._labels, run_id, form).set(1)
        if not multiprocess_dir:
            ProcessCollector(registry=self._registry)

    def answered(self, code: int, source: str, seconds: float) -> None:
        """Count an answer: its status code, its source (one of SOURCES) and how long it took."""
        self._count(code, source).inc()
        self._time(source).observe(seconds)

    def predicted(self, values: Iterable[float], source: str) -> None:
        """Put numeric predictions into the histogram."""
        observe = self._predict(source).observe
        for value in values:
            observe(value)

    def expose(self) -> bytes:
        """The metrics in Prometheus's text format."""
        if not self._multiprocess_dir:
            return generate_latest(self._registry)
        # A registry of its own for each scrape: it holds the sum over all workers' files.
        registry = CollectorRegistry()
        registry.register(_AllProcesses(self._multiprocess_dir))
        return generate_latest(registry)


class _AllProcesses:
    """The sum over the files of all worker processes in a folder.

    A file that another process has only just made is empty for a moment, and for good if that
    process was killed then; prometheus-client's own collector fails at it.
    """

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def collect(self) -> Iterable[Metric]:
        """Of those that hold anything."""
        files = [str(path) for path in self._folder.glob("*.db") if _size(path)]
        merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return merged


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


class ControllerMetrics:
    """What the controller decided and sees. The gauges of one scrape are of one tick."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._gauges: tuple[GaugeMetricFamily, ...] = ()
        self._registry.register(self)
        self._decisions = Counter(
            DECISIONS,
            "Decisions by reason; verb is the request that asked for it, or none.",
            ("verb", "reason"),
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)

    def decided(self, verb: str, reason: str) -> None:
        """Count one decision."""
        self._decisions.labels(verb or "none", reason).inc()

    def show(
        self, phase: str, weight: int, gates: Mapping[str, Mapping[str, float | None]]
    ) -> None:
        """Set the gauges: the candidate's weight of 10,000, and gate -> figure -> value."""
        shown = GaugeMetricFamily(ROLLOUT_PHASE, "1 for the present phase.", labels=["phase"])
        shown.add_metric([phase], 1)
        share = GaugeMetricFamily(
            ROLLOUT_WEIGHT, "The candidate's share of the requests, of 10,000.", value=weight
        )
        figures = []
        for figure in GATE_FIGURES:
            family = GaugeMetricFamily(GATES[figure], f"A gate's {figure}.", labels=["gate"])
            for gate, values in gates.items():
                value = values.get(figure)
                if value is not None:
                    family.add_metric([gate], value)
            figures.append(family)
        self._gauges = (shown, share, *figures)

    def hide(self) -> None:
        """Show no gauges: another controller leads."""
        self._gauges = ()

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """The gauges, for the registry."""
        return self._gauges

    def expose(self) -> bytes:
        """The metrics in Prometheus's text format."""
        return generate_latest(self._registry)


class RouterMetrics:
    """What a router counts: all answers, by the slot that gave them.

    The seconds are those spent on a slot's pods, retries included; nginx knows them to the
    millisecond.
    """

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        names = ("slot", "release")
        self._requests = Counter(
            ROUTER_REQUESTS,
            "Answers of a slot, or of the router itself (slot none).",
            (*names, "code", "source"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            ROUTER_SECONDS,
            "Time from asking a slot to its answer.",
            (*names, "source"),
            buckets=LATENCY_BUCKETS,
            registry=self._registry,
        )
        self._fallbacks = Counter(
            ROUTER_FALLBACKS,
            "Requests that the candidate failed, and whether stable could answer them.",
            ("reason", "outcome"),
            registry=self._registry,
        )
        self._pairs = Counter(
            ROUTER_PAIRS,
            "Requests that were copied, by the copy's slot and whether one of both sides failed.",
            (*names, "failed"),
            registry=self._registry,
        )
        self._dropped = Counter(
            ROUTER_SHADOW_DROPPED,
            "Copies for the shadow that were not sent, as too many were under way.",
            registry=self._registry,
        )
        self._epoch = Gauge(
            ROUTER_LOADED_EPOCH, "The epoch of the routing table in force.", registry=self._registry
        )
        ProcessCollector(registry=self._registry)

    def answered(
        self, slot: str, release: str, code: str, source: str, seconds: float | None
    ) -> None:
        """Count an answer; `seconds` is None if no pod was asked."""
        self._requests.labels(slot, release, code, source).inc()
        if seconds is not None:
            self._seconds.labels(slot, release, source).observe(seconds)

    def fell_back(self, reason: str, outcome: str) -> None:
        """Count a request that the candidate failed."""
        self._fallbacks.labels(reason, outcome).inc()

    def paired(self, slot: str, release: str, failed: str) -> None:
        """Count a request that was copied to a slot; `failed` is none, live, shadow or both."""
        self._pairs.labels(slot, release, failed).inc()

    def dropped(self) -> None:
        """Count a copy that was not sent."""
        self._dropped.inc()

    def loaded(self, epoch: int) -> None:
        """Set the epoch in force."""
        self._epoch.set(epoch)

    def forget(self, release: str) -> None:
        """Drop a release's series: a router outlives many releases."""
        for metric in (self._requests, self._seconds, self._pairs):
            metric.remove_by_labels({"release": release})

    def expose(self) -> bytes:
        """The metrics in Prometheus's text format."""
        return generate_latest(self._registry)


class BatchMetrics:
    """What the last run of a batch did; for a file or a Pushgateway, as no run is there for long.

    `label` and `value` say what was scored: `taxi_type` or `table`. `period` is the beginning of
    the month that was scored, in seconds since 1970; None where it is not known.
    """

    def __init__(self, label: str, value: str, period: float | None = None) -> None:
        self.registry = CollectorRegistry()
        self._label, self._value = label, value
        self._gauges: dict[str, Gauge] = {}
        if period is not None:
            self._set(BATCH_PERIOD, "Beginning of the period that was to be scored.", period)

    def ended(self, at: float, seconds: float, *, success: bool) -> None:
        """How and when the run ended."""
        self._set(BATCH_LAST_RUN, "When the last run ended.", at)
        self._set(BATCH_SECONDS, "How long the last run took.", seconds)
        self._set(BATCH_SUCCESS, "1 if the last run wrote, or found, its output.", float(success))

    def scored(self, summary: Mapping[str, Any], release: str) -> None:
        """The figures of a run that was a success."""
        self._set(BATCH_RIDES, "Rides scored.", summary["scored"])
        for reason, count in summary["dropped"].items():
            self._set(BATCH_DROPPED, "Rides left out.", count, reason=reason)
        for figure, name in BATCH_FIGURES.items():
            if summary.get(figure) is not None:
                self._set(name, f"{figure.replace('_', ' ')} of the last run.", summary[figure])
        told = {"release": release, "run_id": str(summary["model_version"])}
        self._set(BATCH_INFO, "1 for the release that scored.", 1.0, **told)

    def _set(self, name: str, told: str, value: float, **labels: str) -> None:
        names = (self._label, *labels)
        gauge = self._gauges.get(name) or Gauge(name, told, names, registry=self.registry)
        self._gauges[name] = gauge
        gauge.labels(self._value, *labels.values()).set(value)

    def write(self, path: Path) -> None:
        """Put them into a file by a rename, so that no collector reads half of it."""
        write_to_textfile(str(path), self.registry)

    def push(self, gateway: str) -> None:
        """Put them into a Pushgateway; what an earlier run left there under other names stays."""
        group = {self._label: self._value}
        pushadd_to_gateway(gateway, "slipway-batch", self.registry, group, timeout=5)


class StreamMetrics:
    """What one consumer does; its sources are stable, candidate and fallback."""

    def __init__(self, application: str) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = CollectorRegistry()
        self._application = application
        self._records = Counter(
            STREAM_RECORDS,
            "Records whose events were put.",
            ("application", "release", "source"),
            registry=self._registry,
        )
        self._bad = Counter(
            STREAM_BAD,
            "Records that cannot be scored.",
            ("application", "reason"),
            registry=self._registry,
        )
        self._retries = Counter(
            STREAM_RETRIES,
            "Tries that failed and are repeated.",
            ("application", "reason"),
            registry=self._registry,
        )
        self._behind = self._gauge(STREAM_BEHIND, "Seconds behind the newest record, at most.")
        # Seconds behind, and when that was so: one that waits for its sink falls behind meanwhile.
        self._stood: tuple[float, float] | None = None
        self._age = self._gauge(STREAM_AGE, "Age of the last record when its event was put.")
        self._shards = self._gauge(STREAM_SHARDS, "Shards that this consumer reads.")
        self._info: tuple[str, str] | None = None
        self._release = Gauge(
            STREAM_INFO,
            "1 for the release that scores as stable.",
            ("application", "release", "run_id"),
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)

    def scored(self, release: str, source: str, count: int) -> None:
        """Count events that were put."""
        self._records.labels(self._application, release, source).inc(count)

    def bad(self, reason: str) -> None:
        """Count a record that was put aside."""
        self._bad.labels(self._application, reason).inc()

    def again(self, reason: str) -> None:
        """Count a try that failed."""
        self._retries.labels(self._application, reason).inc()

    def stands(self, behind: float, shards: int) -> None:
        """Where the consumer is: seconds behind, and how many shards it has."""
        self._stood = behind, time.monotonic()
        self._shards.set(shards)

    def aged(self, seconds: float) -> None:
        """How old the last record was when its event was put."""
        self._age.set(seconds)

    def scores_with(self, release: str, run_id: str) -> None:
        """Set the release in force; the one before is shown no more."""
        if self._info != (release, run_id):
            self._release.clear()
            self._release.labels(self._application, release, run_id).set(1)
            self._info = (release, run_id)

    def expose(self) -> bytes:
        """The metrics in Prometheus's text format."""
        if self._stood:
            behind, since = self._stood
            self._behind.set(behind + time.monotonic() - since)
        return generate_latest(self._registry)

    def _gauge(self, name: str, told: str) -> Gauge:
        gauge = Gauge(name, told, ("application",), registry=self._registry)
        return gauge.labels(self._application)
