"""Nothing is written without the lease, not even a moment after it may have gone."""

from __future__ import annotations

import pytest
from tests.fakes import FakeCluster

from slipway.cluster.leader import LedCluster
from slipway.cluster.protocol import Document, Event
from slipway.errors import Conflict, Unavailable


@pytest.fixture
def cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.install()
    return cluster


@pytest.fixture
def led(cluster: FakeCluster) -> LedCluster:
    return LedCluster(cluster, "one", 15.0, cluster.clock.monotonic)


def test_who_leads_writes(cluster: FakeCluster, led: LedCluster) -> None:
    assert led.lead()
    led.write(Document("state", {}))
    led.fill("blue", None, 1)
    led.record(Event("Started", "x"))
    assert [effect[0] for effect in cluster.store.effects] == ["write", "fill"]
    assert len(cluster.store.events) == 1


def test_who_does_not_lead_reads_only(cluster: FakeCluster, led: LedCluster) -> None:
    assert led.read("state") is None
    assert led.workload("blue") is not None
    for act in (
        lambda: led.write(Document("state", {})),
        lambda: led.fill("blue", None, 1),
    ):
        with pytest.raises(Conflict, match="the lease was lost"):
            act()
    led.record(Event("Started", "x"))
    assert cluster.store.effects == []
    assert cluster.store.events == []


def test_D6_a_process_that_was_stopped_may_not_write_when_it_wakes(
    cluster: FakeCluster, led: LedCluster
) -> None:
    assert led.lead()
    cluster.clock.advance(30)
    with pytest.raises(Conflict):
        led.write(Document("state", {}))


def test_writing_ends_before_others_may_begin(cluster: FakeCluster, led: LedCluster) -> None:
    other = LedCluster(FakeCluster(cluster.store, cluster.clock), "two", 15.0,
                       cluster.clock.monotonic)  # fmt: skip
    assert led.lead()
    assert not other.lead()
    while led.leads:
        assert not other.lead()
        cluster.clock.advance(0.5)
    assert not other.lead()
    cluster.clock.advance(15.5)
    assert other.lead()
    assert not led.lead()


def test_the_time_that_renewing_took_does_not_lengthen_the_lease(
    cluster: FakeCluster, led: LedCluster
) -> None:
    hold = cluster.hold_lease

    def slow(holder: str, seconds: float) -> bool:
        held = hold(holder, seconds)
        cluster.clock.advance(9)
        return held

    cluster.hold_lease = slow  # type: ignore[method-assign]
    assert led.lead()
    assert led.leads
    cluster.clock.advance(1.5)
    assert not led.leads


def test_D3_an_api_server_that_is_away_for_a_moment_takes_nothing_away(
    cluster: FakeCluster, led: LedCluster
) -> None:
    assert led.lead()
    cluster.clock.advance(5)
    cluster.fail("hold_lease")
    with pytest.raises(Unavailable):
        led.lead()
    led.write(Document("state", {}))
    cluster.clock.advance(6)
    assert not led.leads


def test_giving_back_lets_the_next_one_lead_at_once(cluster: FakeCluster, led: LedCluster) -> None:
    other = LedCluster(FakeCluster(cluster.store, cluster.clock), "two", 15.0,
                       cluster.clock.monotonic)  # fmt: skip
    assert led.lead()
    assert not other.lead()
    led.give_back()
    assert other.lead()
    led.give_back()
    assert other.lead()
    with pytest.raises(Conflict):
        led.write(Document("state", {}))
