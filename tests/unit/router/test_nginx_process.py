"""One real nginx master. (How it dies and is found again: stories/local/test_router_faults)"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.errors import InvalidConfig, Unavailable
from slipway.router.nginx_conf import Layout, Limits, Rendered
from slipway.router.nginx_process import NginxMaster, find_nginx
from slipway.router.route_conf import render_route
from slipway.router.table import Table


@pytest.fixture
def master(layout: Layout) -> Iterator[NginxMaster]:
    made = NginxMaster("route", layout, find_nginx("nginx"))
    yield made
    made.kill()


def rendered(layout: Layout, epoch: int = 1) -> Rendered:
    return render_route(Table(epoch=epoch), {}, layout, Limits())


def test_a_program_that_is_not_there_is_named_with_what_to_do() -> None:
    with pytest.raises(InvalidConfig, match="no-such-nginx is not installed; try"):
        find_nginx("no-such-nginx")


def test_it_starts_says_what_it_has_takes_another_and_stops(
    master: NginxMaster, layout: Layout
) -> None:
    first, second = rendered(layout, 1), rendered(layout, 2)
    assert master.test(first.text) == ""
    master.install()
    assert not master.is_alive()
    assert master.said() is None
    master.start()
    assert master.is_alive()
    assert master.said() == first.said
    assert master.test(second.text) == ""
    assert master.said() == first.said
    master.install()
    assert master.reload(second.said)
    assert master.said() == second.said
    assert master.stop(10)
    assert not master.is_alive()


def test_a_refused_configuration_is_explained_and_not_in_force(
    master: NginxMaster, layout: Layout
) -> None:
    assert master.test(rendered(layout).text) == ""
    master.install()
    why = master.test("events {}\nhttp { nonsense on; }\n")
    assert why == 'unknown directive "nonsense" in route.conf.new:2'
    assert Path(layout.conf("route")).read_text() == rendered(layout).text


def test_a_master_that_does_not_start_says_why(master: NginxMaster, layout: Layout) -> None:
    Path(layout.conf("route")).write_text("nonsense;")
    with pytest.raises(Unavailable, match=r"nginx \(route\) does not start: unknown directive"):
        master.start()
    assert not master.is_alive()


def test_there_is_nothing_to_adopt_where_nothing_runs(master: NginxMaster, layout: Layout) -> None:
    assert not master.adopt()
    # Somebody else's process has got the number by now.
    Path(layout.pid("route")).write_text("1\n")
    assert not master.adopt()
