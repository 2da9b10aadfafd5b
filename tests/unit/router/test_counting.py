"""From logs to metrics, and from nginx' errors to ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from slipway import logs
from slipway.router.access_log import Answer
from slipway.router.counting import MAX_PASSED_ON, MAX_RELEASES, Counting
from slipway.router.nginx_conf import Layout
from slipway.router.nginx_process import NginxMaster
from slipway.router.pairs import Pairs
from slipway.router.table import table_of

ANSWERED = "blue|b1b1|live|none|none|-|200|200|0.002|0.003|34|34|-|id\n"
FELL_BACK = "green|9e9e|live|blue|b1b1|-|200|500 : 200|0.1 : 0.2|0.1 : 0.2|34|0 : 34|-|id\n"
DROPPED = "green|9e9e|shadow|none|none|REJECTED|503|-|-|-|-|-|p3|id\n"


@pytest.fixture
def clock() -> list[float]:
    return [100.0]


@pytest.fixture
def counting(layout: Layout, clock: list[float]) -> Iterator[Counting]:
    masters = NginxMaster("front", layout, "nginx"), NginxMaster("route", layout, "nginx")
    made = Counting(masters, layout, lambda: clock[0])
    yield made
    made.close()


def samples(counting: Counting) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(counting.metrics.expose().decode())
        for sample in family.samples
        if sample.name.endswith(("_total", "_count", "_sum"))
    }


def test_every_line_is_counted_once(counting: Counting, layout: Layout) -> None:
    route, front = Path(layout.access_log("route")), Path(layout.access_log("front"))
    route.write_text(ANSWERED + FELL_BACK + "nonsense\n" + DROPPED)
    front.write_text("413\n")
    counting.collect()
    counting.collect()
    found = samples(counting)
    requests = "slipway_router_requests_total"
    assert {key[1:]: n for key, n in found.items() if key[0] == requests} == {
        ("200", "b1b1", "blue", "live"): 1,
        ("500", "9e9e", "green", "live"): 1,
        ("200", "b1b1", "blue", "fallback"): 1,
        ("413", "none", "none", "live"): 1,
    }
    assert found["slipway_router_fallbacks_total", "answered", "5xx"] == 1
    assert found["slipway_router_shadow_dropped_total",] == 1
    assert found["slipway_router_request_seconds_sum", "9e9e", "green", "live"] == 0.1
    assert ("slipway_router_request_seconds_count", "none", "none", "live") not in found


def test_the_two_answers_to_a_copied_request_are_counted_together(
    counting: Counting, layout: Layout
) -> None:
    """Whichever line comes first, and in whichever scrape."""

    def live(pair: str, code: str = "200") -> str:
        return f"blue|b1b1|live|none|none|-|{code}|{code}|0.002|0.003|34|34|{pair}|id\n"

    def copy(pair: str, code: str = "200") -> str:
        return f"green|9e9e|shadow|none|none|PASSED|{code}|{code}|0.1|0.1|-|34|{pair}|id\n"

    lines = [
        *(copy("p1"), live("p1"), live("p2"), copy("p2")),
        *(live("p3", "500"), copy("p3"), copy("p4", "504"), live("p4")),
        *(copy("p5", "422"), live("p5", "422"), live("p6", "404"), copy("p6", "404")),
        # No pairs: not copied, gone away, the copy dropped, or twice the same side.
        *(live("-"), copy("p7"), live("p7", "499"), live("p8"), DROPPED.replace("p3", "p8")),
        *(live("p9"), live("p9")),
    ]
    log = Path(layout.access_log("route"))
    for line in lines:
        with log.open("a") as file:
            file.write(line)
        counting.collect()
    found = {k[1:]: n for k, n in samples(counting).items() if k[0] == "slipway_router_pairs_total"}
    # The labels in the order of their names: failed, release, slot.
    assert found == {
        ("none", "9e9e", "green"): 3,
        ("live", "9e9e", "green"): 1,
        ("shadow", "9e9e", "green"): 1,
        ("both", "9e9e", "green"): 1,
    }


def test_halves_whose_other_half_never_comes_are_forgotten() -> None:
    live, copy = Answer("blue", "b1b1", "200", "live"), Answer("green", "9e9e", "200", "shadow")
    pairs = Pairs(most=2)
    for number in range(3):
        assert pairs.add(f"p{number}", live) is None
    assert pairs.add("p0", copy) is None
    assert pairs.add("p2", copy) == ("green", "9e9e", "none")


def test_nginxs_errors_are_passed_on_a_few_a_second(
    counting: Counting,
    layout: Layout,
    clock: list[float],
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure()
    with Path(layout.error_log("route")).open("a") as file:
        for _ in range(3):
            file.write('no live upstreams, "x"\n' * (MAX_PASSED_ON + 7))
            file.flush()
            counting.collect()
    clock[0] += 1
    counting.collect()
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in said] == ["nginx"] * MAX_PASSED_ON + ["nginx said more"]
    assert said[0]["line"] == 'no live upstreams, "x"'
    assert said[-1]["lines"] == 3 * 7 + 2 * MAX_PASSED_ON


def test_a_release_long_gone_has_no_series(counting: Counting, layout: Layout) -> None:
    """A router outlives many releases; the ones before the last few are dropped."""
    log = Path(layout.access_log("route"))
    for number in range(MAX_RELEASES + 3):
        digest = f"{number:02x}" * 32
        counting.loaded(table_of(number, ("blue", f"sha256:{digest}")))
        with log.open("a") as file:
            file.write(ANSWERED.replace("b1b1", digest[:12]))
        counting.collect()
    releases = {key[2] for key in samples(counting) if key[0] == "slipway_router_requests_total"}
    assert releases == {f"{number:02x}" * 6 for number in range(3, MAX_RELEASES + 3)}
