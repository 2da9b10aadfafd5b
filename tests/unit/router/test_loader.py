"""From wanted to loaded: at most one reload a second, refusals kept apart, acknowledged last."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.cluster.protocol import SlotName
from slipway.router.loader import RELOAD_EVERY, RETRY_AFTER, Loader
from slipway.router.nginx_conf import Layout, Limits
from slipway.router.saved import restore
from slipway.router.table import table_of
from slipway.router.wanted import EMPTY, Wanted

BLUE: tuple[SlotName, str] = ("blue", "sha256:" + "b1" * 32)
GREEN: tuple[SlotName, str] = ("green", "sha256:" + "9e" * 32)


def canary(epoch: int, weight: int = 500) -> Wanted:
    table = table_of(epoch, BLUE, GREEN, weight=weight)
    return Wanted(table, {"blue": ("a:1",), "green": ("b:1",)}, known=True)


class FakeMaster:
    """An nginx that refuses what it is told to refuse."""

    def __init__(self) -> None:
        self.refuses, self.deaf = "", False
        self.tested, self.installed, self.loaded = "", "", ""
        self.reloads = 0

    def test(self, text: str) -> str:
        self.tested = text
        return f"it has {self.refuses}" if self.refuses and self.refuses in text else ""

    def install(self) -> None:
        self.installed = self.tested

    def reload(self, expected: str) -> bool:
        self.reloads += 1
        if self.deaf or f'"{expected}"' not in self.installed:
            return False
        self.loaded = expected
        return True


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def master() -> FakeMaster:
    return FakeMaster()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def loader(master: FakeMaster, clock: Clock, layout: Layout) -> Loader:
    return Loader(master, layout, Limits(), clock)


def test_what_is_wanted_is_tested_put_in_force_loaded_and_saved(
    loader: Loader, master: FakeMaster, layout: Layout
) -> None:
    loader.follow(canary(2))
    assert loader.loaded == canary(2)
    assert loader.rejected == ""
    assert master.loaded.startswith("2 ")
    assert restore(Path(layout.saved)) == canary(2)


def test_what_is_loaded_is_not_loaded_again(
    loader: Loader, master: FakeMaster, clock: Clock
) -> None:
    for _ in range(3):
        loader.follow(canary(2))
        clock.now += 5
    assert master.reloads == 1


def test_changes_within_a_second_are_loaded_together(
    loader: Loader, master: FakeMaster, clock: Clock
) -> None:
    for epoch in range(2, 12):
        loader.follow(canary(epoch))
        clock.now += RELOAD_EVERY / 100
    assert (master.reloads, loader.loaded.table.epoch) == (1, 2)
    clock.now += RELOAD_EVERY
    loader.follow(canary(11))
    assert (master.reloads, loader.loaded.table.epoch) == (2, 11)


def test_C5_what_nginx_refuses_is_told_and_tried_again_only_later(
    loader: Loader, master: FakeMaster, clock: Clock
) -> None:
    loader.follow(canary(2))
    clock.now += 5
    master.refuses = "50.00%"
    loader.follow(canary(3, 5000))
    assert loader.loaded == canary(2)
    assert loader.rejected == "it has 50.00%"
    assert "50.00%" not in master.installed
    master.refuses, clock.now = "", clock.now + RETRY_AFTER / 2
    loader.follow(canary(3, 5000))
    assert loader.loaded == canary(2)
    clock.now += RETRY_AFTER
    loader.follow(canary(3, 5000))
    assert loader.loaded == canary(3, 5000)
    assert loader.rejected == ""


def test_another_table_after_a_refused_one_is_loaded_at_once(
    loader: Loader, master: FakeMaster, clock: Clock
) -> None:
    master.refuses = "50.00%"
    loader.follow(canary(3, 5000))
    clock.now += RELOAD_EVERY
    loader.follow(canary(4))
    assert loader.loaded == canary(4)


def test_what_nginx_does_not_acknowledge_is_not_loaded(loader: Loader, master: FakeMaster) -> None:
    master.deaf = True
    loader.follow(canary(2))
    assert loader.loaded == EMPTY
    assert "in time" in loader.rejected


def test_why_a_document_is_not_followed_is_told_while_the_pods_are(
    loader: Loader, clock: Clock
) -> None:
    loader.follow(canary(2))
    clock.now += RELOAD_EVERY
    loader.follow(Wanted(canary(2).table, {"blue": ("c:1",), "green": ()}, True, "too old"))
    assert loader.loaded.pods["blue"] == ("c:1",)
    assert loader.rejected == "too old"


def test_a_start_with_a_table_that_nginx_refuses_is_a_start_with_none(
    loader: Loader, master: FakeMaster
) -> None:
    master.refuses = "upstream blue"
    rendered = loader.prepare(canary(2))
    assert rendered.said.startswith("0 ")
    assert loader.loaded == EMPTY
    assert master.installed == rendered.text
