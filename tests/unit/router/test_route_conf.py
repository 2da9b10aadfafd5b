"""`route`: golden pairs that a real nginx takes, and what no pair shows."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.nginx_pairs import FOLDER, golden, names, rendered

from slipway.router.nginx_conf import Layout, Limits
from slipway.router.nginx_process import find_nginx
from slipway.router.route_conf import render_route, usable_address
from slipway.router.table import table_of

NAMES = ["front", *names()]
BLUE, GREEN = "sha256:" + "b1" * 32, "sha256:" + "9e" * 32


@pytest.mark.parametrize("name", NAMES)
def test_a_golden_pair_is_what_is_rendered(name: str) -> None:
    """If this fails after an intended change: python -m tests.nginx_pairs"""
    assert golden(name) == rendered(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_golden_configuration_passes_a_real_nginx(name: str, layout: Layout) -> None:
    folder = layout.folder
    conf = Path(folder) / "golden.conf"
    conf.write_text(golden(name).replace(FOLDER, folder))
    done = subprocess.run(
        [find_nginx("nginx"), "-t", "-e", "stderr", "-p", folder, "-c", str(conf)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr.replace('the "user" directive', "")


def test_the_pairs_show_each_kind_of_table() -> None:
    texts = {name: golden(name) for name in names()}
    assert "5.00% candidate;" in texts["canary-5"]
    assert "mirror /-shadow;" in texts["shadow"]
    assert "25.00% copied;" in texts["reversed-shadow"]
    assert "/-forced-candidate" in texts["forced-role"]
    for name in ("empty", "waiting"):
        assert "upstream" not in texts[name].replace("$upstream", "").replace("_upstream", "")


def test_the_smallest_and_the_largest_share_can_be_said() -> None:
    """One of 10,000 is 0.01 %; nginx knows neither 0 % nor a rest that nobody gets."""
    shares = {weight: _split(weight) for weight in (0, 1, 9999, 10_000)}
    assert shares == {
        0: ["* stable;"],
        1: ["0.01% candidate;", "* stable;"],
        9999: ["99.99% candidate;", "* stable;"],
        10_000: ["* candidate;"],
    }


@pytest.mark.parametrize(
    ("address", "usable"),
    [
        ("10.0.0.1:9696", True),
        ("[fd00::1]:9696", True),
        ("pod-1.example:80", True),
        ("10.0.0.1", False),
        ("10.0.0.1:9696; evil", False),
        ("10.0.0.1:9696 down", False),
        ("unix:/x:1", False),
        ("$host:80", False),
        ("a:1\nb:2", False),
        (":80", False),
    ],
)
def test_only_a_plain_host_and_port_goes_into_a_configuration(address: str, usable: bool) -> None:
    assert usable_address(address) is usable


def _split(weight: int) -> list[str]:
    table = table_of(1, ("blue", BLUE), ("green", GREEN), weight=weight)
    text = render_route(table, {}, Layout(FOLDER), Limits()).text
    block = text.partition("$slipway_split {")[2].partition("}")[0]
    return [line.strip() for line in block.strip().splitlines()]
