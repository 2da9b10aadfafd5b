"""Which ways there are for a request, by table."""

from __future__ import annotations

from msgspec import structs

from slipway.cluster.protocol import SlotName
from slipway.router.choice import choice, log_formats, targets
from slipway.router.table import Table, table_of

BLUE: tuple[SlotName, str] = ("blue", "sha256:" + "b1" * 32)
GREEN: tuple[SlotName, str] = ("green", "sha256:" + "9e" * 32)


def places(table: Table) -> list[str]:
    return [target.place for target in targets(table)]


def test_there_are_only_the_ways_that_a_table_needs() -> None:
    assert places(Table(epoch=1)) == []
    assert places(table_of(1, BLUE)) == ["/-stable"]
    canary = table_of(1, BLUE, GREEN, weight=5, shadow=5)
    assert places(canary) == ["/-stable", "/-mirrored", "/-candidate"]
    forced = structs.replace(canary, force_role=True, shadow=None)
    assert places(forced) == [
        "/-stable",
        "/-candidate",
        "/-forced-stable",
        "/-forced-candidate",
    ]


def test_only_live_traffic_of_the_candidate_has_its_short_time() -> None:
    table = structs.replace(table_of(1, BLUE, GREEN, weight=5), force_role=True)
    short = {target.place for target in targets(table) if target.seconds == 2.0}
    assert short == {"/-candidate"}


def test_a_role_is_heard_only_where_the_table_allows_it_and_somebody_is_stable() -> None:
    canary = table_of(1, BLUE, GREEN, weight=5)
    assert "/-forced" not in choice(canary, {})
    assert "/-forced-stable" in choice(structs.replace(canary, force_role=True), {})
    assert "/-forced" not in choice(Table(epoch=1, force_role=True), {})


def test_a_shadow_without_pods_gets_no_copies() -> None:
    shadowed = table_of(1, BLUE, GREEN, shadow=10_000)
    assert "* copied;" in choice(shadowed, {"green": ["a:1"]})
    assert "* only;" in choice(shadowed, {"green": []})
    assert "log_format shadow 'green|9e9e9e9e9e9e|shadow|" in log_formats(shadowed)
