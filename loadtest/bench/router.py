"""What the router costs, and what a shadow that hangs costs the users beside it.

Real processes: a pod with a ride model, the router's agent with its two nginx.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from loadtest.bench.goals import Figure
from loadtest.bench.pairs import ask_in_turns
from tests.artifacts import save_ride_model
from tests.load import ride
from tests.router_process import routing, table
from tests.service_process import HOST, serving
from tests.stub_pods import stub_pods

PAIRS = 3000
# Milliseconds at the median that the router may add.
MAX_OVERHEAD = 0.5
# The median with a hanging shadow over the one without a shadow.
MAX_HUNG_SHADOW = 2.0


def figures(folder: Path) -> Iterator[Figure]:
    """Both figures; `folder` holds the model."""
    with contextlib.ExitStack() as stack:
        pod = stack.enter_context(serving(save_ride_model(folder / "model")))
        (hung,) = stack.enter_context(stub_pods("green"))
        hung.turn("hang")
        stable = [f"{HOST}:{pod.port}"]
        plain = stack.enter_context(routing(table(), {"blue": stable, "green": []}))
        shadowed = stack.enter_context(
            routing(table(shadow=10_000), {"blue": stable, "green": [hung]})
        )
        overhead = ask_in_turns(pod.port, plain.port, ride(1), PAIRS)
        yield Figure(
            "router overhead",
            overhead.difference,
            MAX_OVERHEAD,
            "ms",
            f"pod {overhead.medians[0]:.2f} ms, through the router {overhead.medians[1]:.2f} ms",
        )
        beside = ask_in_turns(plain.port, shadowed.port, ride(1), PAIRS)
        # Most copies find all the places of the shadow taken by those that hang.
        dropped = int(shadowed.counted()["slipway_router_shadow_dropped_total"].get((), 0))
        yield Figure(
            "hung shadow",
            beside.ratio if dropped else float("nan"),
            MAX_HUNG_SHADOW,
            "times",
            f"without {beside.medians[0]:.2f} ms, with {beside.medians[1]:.2f} ms, "
            f"{dropped} copies dropped",
        )
