"""A Kinesis of the test's own, and what scores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.kinesis_stand_in import StandIn, stand_in

from slipway.models.obtain import Loaded, obtain
from slipway.settings import ModelSettings, read_settings
from slipway.stream.processor import Processor


@pytest.fixture
def kinesis() -> Iterator[StandIn]:
    with stand_in() as found:
        yield found


@pytest.fixture(scope="session")
def loaded_rides(ride_model: Path) -> Loaded:
    found = obtain(read_settings(ModelSettings, location=str(ride_model)))
    assert found
    return found


@pytest.fixture
def processor(loaded_rides: Loaded) -> Processor:
    return Processor(loaded_rides.scorer, loaded_rides.release, "ride_events")
