"""The rides that the users ask for: made up, the same ones for the same seed. Pure."""

from __future__ import annotations

import random
from typing import Any

POOL = 500
ZONES = 263


def ride_pool(seed: int = 0, size: int = POOL) -> list[dict[str, Any]]:
    """Rides as /predict takes them; some zones as text, as clients write both."""
    chance = random.Random(seed)  # noqa: S311 - the same rides each time is what is wanted
    rides = []
    for index in range(size):
        pickup, dropoff = chance.randint(1, ZONES), chance.randint(1, ZONES)
        distance = round(min(30.0, chance.lognormvariate(0.7, 0.8)), 2)
        rides.append(
            {
                "PULocationID": str(pickup) if index % 5 == 0 else pickup,
                "DOLocationID": dropoff,
                "trip_distance": distance,
            }
        )
    return rides
