"""What routers count of both sides, by difference of two scrapes of the real exposition."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest
from tests.unit.rollout.scene import release

from slipway.buckets import LATENCY_BUCKETS
from slipway.metrics import PodMetrics, RouterMetrics
from slipway.rollout.measures import LATENCY_CELLS, Counts
from slipway.rollout.plan import Measure
from slipway.rollout.state import Placement
from slipway.rollout.totals import PodLatency, Totals, gained, is_new, read_totals

A, B = "610000000000", "620000000000"
NO_REQUESTS = (0,) * LATENCY_CELLS
CANARY = Measure(
    epoch=7,
    candidate=Placement(slot="green", release=release("b"), role="candidate"),
    control=Placement(slot="blue", release=release("a"), role="stable"),
    mirrored=False,
    interval=15.0,
    settle=30.0,
    key_cap=5,
    edges=(5.0, 10.0),
)
SHADOW = dataclasses.replace(CANARY, mirrored=True)
# After promotion: the release under test is stable, and the copies go to the warm one.
WATCH = dataclasses.replace(
    SHADOW,
    candidate=Placement(slot="green", release=release("b"), role="stable"),
    control=Placement(slot="blue", release=release("a"), role="warm"),
)


def metrics() -> RouterMetrics:
    """A router's, with the table of epoch 7."""
    made = RouterMetrics()
    made.loaded(7)
    return made


def exposed(pods: Mapping[str, PodMetrics]) -> dict[str, bytes | None]:
    return {name: pod.expose() for name, pod in pods.items()}


def totals(made: RouterMetrics, measure: Measure = CANARY) -> Totals:
    found = read_totals(made.expose(), measure)
    assert found
    return found


def test_in_canary_each_side_has_its_own_live_requests_and_failures_are_fallbacks() -> None:
    made = metrics()
    for slot, release_, code, source, times in (
        ("green", B, "200", "live", 7),
        ("green", B, "500", "live", 3),
        ("blue", A, "200", "live", 90),
        ("blue", A, "503", "live", 2),
        ("blue", A, "422", "live", 1),
        ("blue", A, "404", "live", 1),
        # What counts for neither: what stable answered instead, forced, others' releases, none's.
        ("blue", A, "200", "fallback", 3),
        ("green", B, "500", "forced", 5),
        ("green", "other", "500", "live", 5),
        ("blue", B, "500", "live", 5),
        ("none", "none", "503", "live", 5),
    ):
        for _ in range(times):
            made.answered(slot, release_, code, source, 0.02)
    made.fell_back("5xx", "answered")
    made.fell_back("timeout", "answered")
    made.fell_back("422", "failed")
    assert totals(made).counts == Counts(10, 2, 94, 0, both_failed=1, control_own=3)


@pytest.mark.parametrize(
    ("measure", "candidate_failed", "control_failed"), [(SHADOW, 3, 2), (WATCH, 2, 3)]
)
def test_mirrored_requests_are_pairs_and_a_failure_is_one_that_a_side_had_alone(
    measure: Measure, candidate_failed: int, control_failed: int
) -> None:
    """The copies are the candidate's in shadow, and the warm release's after promotion."""
    slot, release_ = ("green", B) if measure is SHADOW else ("blue", A)
    made = metrics()
    for failed, times in (("none", 20), ("shadow", 3), ("live", 2), ("both", 4)):
        for _ in range(times):
            made.paired(slot, release_, failed)
    made.paired(slot, "another", "shadow")
    assert totals(made, measure).counts == Counts(
        29, candidate_failed, 29, control_failed, both_failed=4
    )


def test_a_canarys_latencies_are_the_routers_of_live_requests() -> None:
    made = metrics()
    for source in ("live", "shadow", "forced", "fallback"):
        made.answered("green", B, "200", source, LATENCY_BUCKETS[3] if source == "live" else 9.0)
        made.answered("blue", A, "200", source, 100.0 if source == "live" else 9.0)
    found = totals(made)
    assert len(found.candidate) == len(found.control) == LATENCY_CELLS
    assert (sum(found.candidate), found.candidate[3]) == (1, 1)
    assert (sum(found.control), found.control[-1]) == (1, 1)


@pytest.mark.parametrize(
    ("measure", "candidate", "control"), [(SHADOW, "shadow", "live"), (WATCH, "live", "shadow")]
)
def test_mirrored_latencies_are_the_pods_own_for_the_source_that_each_side_plays(
    measure: Measure, candidate: str, control: str
) -> None:
    for side, slot, of, source in (
        (measure.candidate, "green", B, candidate),
        (measure.control, "blue", A, control),
    ):
        pods = {name: PodMetrics(slot=slot, release=of) for name in ("one", "two")}
        latency = PodLatency(measure, side)
        pods["one"].answered(200, source, 0.1)
        assert latency.gained(exposed(pods)) == NO_REQUESTS
        for other in ("live", "shadow", "forced", "fallback"):
            pods["one"].answered(200, other, LATENCY_BUCKETS[3] if other == source else 9.0)
            pods["two"].answered(500, other, 100.0 if other == source else 9.0)
        gain = latency.gained(exposed(pods))
        assert gain
        assert (sum(gain), gain[3], gain[-1]) == (2, 1, 1)
        assert latency.gained(exposed(pods)) == NO_REQUESTS


def test_a_pod_that_came_or_began_anew_is_counted_from_then_on() -> None:
    pods = {name: PodMetrics(slot="green", release=B) for name in ("one", "two")}
    latency = PodLatency(SHADOW, SHADOW.candidate)
    for pod in pods.values():
        for _ in range(9):
            pod.answered(200, "shadow", 0.01)
    latency.gained(exposed(pods))
    pods = {name: PodMetrics(slot="green", release=B) for name in ("one", "three")}
    for pod in pods.values():
        pod.answered(200, "shadow", 0.02)
    assert latency.gained(exposed(pods)) == NO_REQUESTS
    for pod in pods.values():
        pod.answered(200, "shadow", 0.03)
    gain = latency.gained(exposed(pods))
    assert gain
    assert sum(gain) == 2


def test_D9_a_pod_that_tells_no_counts_is_no_pod_without_requests() -> None:
    pods = {name: PodMetrics(slot="green", release=B) for name in ("one", "two")}
    latency = PodLatency(SHADOW, SHADOW.candidate)
    latency.gained(exposed(pods))
    pods["one"].answered(200, "shadow", 0.02)
    bodies = exposed(pods)
    broken = pods["one"].expose().replace(b'source="shadow"} 1.0', b'source="shadow"} NaN')
    for body in (None, b"", b"<html>503</html>", broken):
        assert latency.gained({**bodies, "one": body}) is None


def test_what_came_in_is_the_sum_over_the_routers_since_the_scrape_before() -> None:
    one, two = metrics(), metrics()
    one.answered("green", B, "200", "live", 0.001)
    before = {"one": totals(one), "two": totals(two)}
    one.answered("green", B, "500", "live", 0.001)
    one.fell_back("5xx", "answered")
    two.answered("blue", A, "200", "live", 0.001)
    now = {"one": totals(one), "two": totals(two)}
    gain = gained(before, now)
    assert gain.counts == Counts(1, 1, 1, 0)
    assert (sum(gain.candidate), sum(gain.control)) == (1, 1)
    nothing = gained(now, now)
    assert nothing.counts == Counts()
    assert (sum(nothing.candidate), len(nothing.candidate)) == (0, LATENCY_CELLS)


def test_a_counter_that_fell_makes_a_count_that_no_collector_takes() -> None:
    made = metrics()
    made.answered("green", B, "200", "live", 0.001)
    assert not gained({"one": totals(made)}, {"one": totals(metrics())}).counts.sound


def test_routers_that_came_went_or_began_anew_are_told() -> None:
    one = totals(metrics())
    anew = dataclasses.replace(one, started=one.started + 0.01)
    assert not is_new({"a": one, "b": one}, {"b": one, "a": one})
    assert is_new({"a": one}, {"a": one, "b": one})
    assert is_new({"a": one, "b": one}, {"a": one})
    assert is_new({"a": one}, {"b": one})
    assert is_new({"a": one, "b": one}, {"a": one, "b": anew})


@pytest.mark.parametrize(
    "change",
    [
        lambda _body: b"",
        lambda _body: b"<html>503</html>",
        lambda body: body[: len(body) // 2],
        # Another table, as before or after the one that is measured.
        lambda body: body.replace(b"loaded_epoch 7.0", b"loaded_epoch 8.0"),
        lambda body: body.replace(b"loaded_epoch 7.0", b"loaded_epoch NaN"),
        lambda body: body.replace(b'source="live"} 1.0', b'source="live"} NaN'),
        lambda body: body.replace(b'source="live"} 1.0', b'source="live"} -1.0'),
        lambda body: body.replace(b'source="live"} 1.0', b'source="live"} +Inf'),
        lambda body: body.replace(b'source="live"} 1.0', b'source="live"} 0.5'),
        lambda body: body.replace(b'source="live"} 1.0', b'source="live"} one'),
        lambda body: body.replace(b"process_start_time_seconds", b"process_end"),
        lambda body: body.replace(b'le="+Inf"', b'le="70.0"'),
        lambda body: body.replace(b'code="200",', b""),
    ],
)
def test_D9_a_scrape_that_is_none_or_of_another_table_is_no_zero(change: object) -> None:
    made = metrics()
    made.answered("green", B, "200", "live", 0.001)
    made.answered("blue", A, "200", "live", 0.001)
    body = change(made.expose())  # type: ignore[operator]
    assert read_totals(body, CANARY) is None
