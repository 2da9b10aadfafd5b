"""Reading chunk by chunk, with a clock that the test moves."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway.clients.objects import FolderObjects
from slipway.errors import Unavailable
from slipway.models.transfer import CHUNK, PATIENCE_SECONDS, Transfer


def test_a_file_comes_in_chunks_and_whole(tmp_path: Path) -> None:
    data = bytes(range(256)) * 1_000
    (tmp_path / "object").write_bytes(data)
    chunks = list(Transfer(FolderObjects(), str(tmp_path), len(data)).chunks("object"))
    assert b"".join(chunks) == data
    assert max(map(len, chunks)) == CHUNK


@pytest.mark.parametrize(("elapsed", "gives_up"), [(0.5, False), (1.5, True)])
def test_B13_patience_is_for_the_whole_artefact(
    tmp_path: Path, elapsed: float, gives_up: bool
) -> None:
    (tmp_path / "object").write_bytes(b"x")
    now = [0.0]
    size = 10 << 20
    transfer = Transfer(FolderObjects(), str(tmp_path), size, clock=lambda: now[0])
    now[0] = elapsed * (PATIENCE_SECONDS + 10)
    if gives_up:
        with pytest.raises(Unavailable, match="too slow"):
            list(transfer.chunks("object"))
    else:
        assert list(transfer.chunks("object")) == [b"x"]
