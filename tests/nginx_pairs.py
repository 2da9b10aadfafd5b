"""The golden pairs: a table and pods as JSON, and beside it the configuration that comes of it.

`python -m tests.nginx_pairs` writes the configurations anew; look at the difference before you
commit it. The folder in them stands for any.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from slipway.cluster.protocol import SlotName
from slipway.router.front_conf import render_front
from slipway.router.nginx_conf import Layout, Limits
from slipway.router.route_conf import render_route
from slipway.router.table import parse_table

PAIRS = Path(__file__).parent / "data" / "nginx"
FOLDER = "/run/slipway-router"
LISTEN = "127.0.0.1:9696"


class Given(msgspec.Struct):
    """What a pair's JSON holds."""

    table: msgspec.Raw
    pods: dict[SlotName, list[str]]


def names() -> list[str]:
    """The pairs of `route`."""
    return sorted(path.stem for path in PAIRS.glob("*.json"))


def rendered(name: str) -> str:
    """The configuration for a pair; `front` has no table."""
    layout = Layout(FOLDER)
    if name == "front":
        return render_front(layout, Limits(), LISTEN).text
    given = msgspec.json.decode((PAIRS / f"{name}.json").read_bytes(), type=Given)
    return render_route(parse_table(bytes(given.table)), given.pods, layout, Limits()).text


def golden(name: str) -> str:
    """The configuration as it was last looked at."""
    return (PAIRS / f"{name}.conf").read_text()


def main() -> None:
    """Write all configurations anew."""
    for name in ["front", *names()]:
        (PAIRS / f"{name}.conf").write_text(rendered(name))


if __name__ == "__main__":
    main()
