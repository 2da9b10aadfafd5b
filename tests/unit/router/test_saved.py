"""The last table on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.router.saved import restore, save
from slipway.router.table import table_of
from slipway.router.wanted import Wanted

LOADED = Wanted(
    table_of(5, ("blue", "sha256:" + "b1" * 32)), {"blue": ("10.0.0.1:9696",)}, known=True
)


def test_what_is_saved_comes_back_without_what_was_wrong_at_the_time(tmp_path: Path) -> None:
    path = tmp_path / "loaded.json"
    save(path, Wanted(LOADED.table, LOADED.pods, known=True, refused="something"))
    assert restore(path) == LOADED
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"{}",
        b'{"table": {}, "pods": {}}',
        b'{"table": {"epoch": 1}}',
        b'{"pods": {"\x80": []}}',
    ],
)
def test_what_cannot_be_read_is_nothing(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "loaded.json"
    assert restore(path) is None
    path.write_bytes(content)
    assert restore(path) is None


def test_a_folder_that_cannot_be_written_costs_nothing_now(tmp_path: Path) -> None:
    save(tmp_path / "missing" / "loaded.json", LOADED)
