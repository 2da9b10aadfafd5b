"""`slipway router`: settings are checked before anything starts."""

from __future__ import annotations

import pytest

from slipway.cli.router import router
from slipway.errors import InvalidConfig
from slipway.settings import RouterSettings, read_settings
from slipway.variables import variable_of


def test_a_bad_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_ROUTER_WORKERS", "none")
    with pytest.raises(InvalidConfig, match="SLIPWAY_ROUTER_WORKERS"):
        router.main([], standalone_mode=False)


def test_its_names_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_PORT", "1")
    monkeypatch.setenv("SLIPWAY_ROUTER_PORT", "2")
    assert read_settings(RouterSettings).router_port == 2
    assert variable_of(RouterSettings, "router_port") == "SLIPWAY_ROUTER_PORT"
