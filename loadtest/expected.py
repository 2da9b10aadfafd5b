"""`python -m loadtest.expected REFERENCE...`: what the native models say to the pool of rides.

Prints JSON, model version -> predictions. A process of its own: the load generator patches the
standard library for its many users, and nothing numeric should run beside that.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import msgspec
from loadtest.rides import ride_pool

from slipway.errors import SlipwayError
from slipway.logs import configure_cli
from slipway.models.obtain import obtain
from slipway.settings import ModelSettings, read_settings


def expected_of(references: Sequence[str]) -> dict[str, list[float]]:
    """Model version -> a prediction for each ride of the pool; raises a SlipwayError."""
    found = {}
    for reference in references:
        # The model itself: what is compared with it may be its compiled form.
        loaded = obtain(read_settings(ModelSettings, uri=reference, compiled=False))
        assert loaded is not None  # noqa: S101 - a reference is given
        row_type = loaded.scorer.use_case.row_type()
        rows = [msgspec.convert(ride, row_type) for ride in ride_pool()]
        # One by one, as the service is asked: a batch may be summed in another order.
        found[loaded.release.version] = [float(loaded.scorer.score([row])[0]) for row in rows]
    return found


def main() -> None:
    """Print the table, or say on stderr why there is none and end with 2."""
    configure_cli()
    try:
        print(json.dumps(expected_of(sys.argv[1:])))
    except SlipwayError as error:
        sys.stderr.write(f"{error.reason}: {error.message}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
