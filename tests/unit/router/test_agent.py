"""What can be said of the agent without starting it. (The rest: stories/local/test_router_*)"""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.errors import InvalidConfig
from slipway.router.agent import alone_in, layout_of
from slipway.router.nginx_conf import Layout


def test_a_folder_that_cannot_be_made_names_the_setting() -> None:
    with pytest.raises(InvalidConfig, match=r"SLIPWAY_ROUTER_DIR: .* cannot be made"):
        layout_of(Path("/proc/slipway-router"))


def test_the_folder_is_for_its_owner_only(layout: Layout) -> None:
    assert Path(layout.folder).stat().st_mode & 0o777 == 0o700


def test_two_agents_cannot_have_one_folder(layout: Layout) -> None:
    folder = Path(layout.folder)
    first = alone_in(folder)
    with first, pytest.raises(InvalidConfig, match="another router works in"):
        alone_in(folder).__enter__()
    with alone_in(folder):
        pass
