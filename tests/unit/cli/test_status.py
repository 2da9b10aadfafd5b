"""A status as people and scripts read it."""

from __future__ import annotations

import json

import msgspec
import pytest
import yaml
from tests.controller_place import ControllerPlace
from tests.unit.rollout.scene import release

from slipway.cli.status import Output, shown
from slipway.rollout.admin import answers
from slipway.rollout.remote import read_status
from slipway.rollout.status import ControllerStatus, Status


@pytest.fixture
def place() -> ControllerPlace:
    """The second model in its first canary step."""
    place = ControllerPlace("preset: manual\nsteps: [5, 50]")
    for number in (1, 2):
        place.want(f"models:/ride/{number}")
        place.rest()
    place.ask("promote", force=True)
    place.rest()
    return place


def status(place: ControllerPlace) -> Status:
    return read_status(place.view(), place.clock.now())


def test_text_says_what_serves_what_is_tried_and_how_far(place: ControllerPlace) -> None:
    text = shown(status(place), Output.TEXT)
    rows = dict(line.split(maxsplit=1) for line in text.splitlines() if not line.startswith(" "))
    assert rows["phase"] == "canary, step 1 of 2, 5 %"
    assert rows["wanted"] == "models:/ride/2"
    assert rows["stable"] == f"{release('a').run_id} in blue (models:/ride/a)"
    assert rows["candidate"] == f"{release('b').run_id} in green (models:/ride/b)"
    assert rows["blue"] == "2 of 2 pods ready"
    assert "StepStarted" in text


def test_wide_shows_digests(place: ControllerPlace) -> None:
    assert release("b").digest in shown(status(place), Output.WIDE)
    assert release("b").digest not in shown(status(place), Output.TEXT)


def test_json_and_yaml_say_the_same(place: ControllerPlace) -> None:
    found = json.loads(shown(status(place), Output.JSON))
    assert found == yaml.safe_load(shown(status(place), Output.YAML))
    assert (found["schema"], found["phase"], found["weight"]) == (1, "canary", 500)
    assert found["spare"]["digest"] == release("b").digest


def test_why_it_does_not_move_is_said(place: ControllerPlace) -> None:
    place.want("models:/ride/77")
    place.tick(4)
    text = shown(status(place), Output.TEXT)
    assert "models:/ride/77 (not taken up yet)" in text
    assert "Unresolvable: nobody knows models:/ride/77" in text


def test_what_only_the_controller_knows_is_shown_where_it_is_there(place: ControllerPlace) -> None:
    place.tick()
    body = answers(place.loop, place.metrics, "pod")["/status"]("")[2]
    rollout = msgspec.json.decode(body, type=ControllerStatus).rollout
    assert rollout is not None
    text = shown(rollout, Output.TEXT)
    assert "errors      UNKNOWN" in text
    assert "waits for" in text


def test_an_installation_without_a_model_says_so() -> None:
    place = ControllerPlace()
    place.tick(2)
    text = shown(status(place), Output.TEXT)
    assert "no model is named yet" in text
    assert "blue        empty" in text
