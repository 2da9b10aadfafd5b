"""From logs to metrics, and from nginx' errors to ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from slipway import logs
from slipway.router.counting import MAX_PASSED_ON, Counting
from slipway.router.nginx_conf import Layout
from slipway.router.nginx_process import NginxMaster

ANSWERED = "blue|b1b1|live|none|none|-|200|200|0.002|0.003|34|34|id\n"
FELL_BACK = "green|9e9e|live|blue|b1b1|-|200|500 : 200|0.1 : 0.2|0.1 : 0.2|34|0 : 34|id\n"
DROPPED = "green|9e9e|shadow|none|none|REJECTED|503|-|-|-|-|-|id\n"


@pytest.fixture
def counting(layout: Layout) -> Iterator[Counting]:
    masters = NginxMaster("front", layout, "nginx"), NginxMaster("route", layout, "nginx")
    made = Counting(masters, layout)
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


def test_nginxs_errors_are_passed_on_a_few_at_a_time(
    counting: Counting, layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure()
    Path(layout.error_log("route")).write_text('no live upstreams, "x"\n' * (MAX_PASSED_ON + 7))
    counting.collect()
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in said] == ["nginx"] * MAX_PASSED_ON + ["nginx said more"]
    assert said[0]["line"] == 'no live upstreams, "x"'
    assert said[-1]["lines"] == 7
