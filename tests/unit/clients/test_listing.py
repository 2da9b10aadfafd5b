"""Patterns mean the same in a folder and in a store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from slipway.clients.objects import s3_client
from slipway.clients.tables import Store
from slipway.errors import InputDataMissing

NAMES = ["in/a-1.parquet", "in/a-2.parquet", "in/b-1.parquet", "in/deep/er/a-3.parquet", "top"]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["folder", "store"])
def root(
    request: pytest.FixtureRequest,
    endpoint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Store, str]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    uri = str(tmp_path) if request.param == "folder" else "s3://patterns"
    if request.param == "store":
        client = s3_client(endpoint)
        client.create_bucket(Bucket="patterns")
        client.close()
    store = Store(endpoint)
    for name in NAMES:
        store.write_text("x", f"{uri}/{name}")
    return store, uri


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("in/a-*.parquet", [0, 1]),
        ("in/*-1.parquet", [0, 2]),
        ("in/a-?.parquet", [0, 1]),
        ("in/[b]-1.parquet", [2]),
        ("*/a-1.parquet", [0]),
        ("**/a-*.parquet", [0, 1, 3]),
        ("in/**/a-3.parquet", [3]),
        ("t*", [4]),
    ],
)
def test_a_pattern_gives_its_files_sorted(
    pattern: str, found: list[int], root: tuple[Store, str]
) -> None:
    store, uri = root
    assert store.matching(f"{uri}/{pattern}") == [f"{uri}/{NAMES[place]}" for place in found]


def test_a_name_without_wildcards_is_itself(root: tuple[Store, str]) -> None:
    store, uri = root
    assert store.matching(f"{uri}/none") == [f"{uri}/none"]


def test_E3_a_pattern_that_nothing_fits_is_missing(root: tuple[Store, str]) -> None:
    store, uri = root
    with pytest.raises(InputDataMissing, match=r"x\*"):
        store.matching(f"{uri}/x*")


def test_a_file_whose_name_looks_like_a_pattern_is_itself(tmp_path: Path) -> None:
    odd = tmp_path / "a[1].parquet"
    odd.touch()
    assert Store().matching(str(odd)) == [str(odd)]
