"""Files of web servers: whole and in time, or an error that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fault_proxy import FaultProxy
from tests.web_files import WebServer, web_server

from slipway.clients import downloads
from slipway.clients.tables import Store
from slipway.errors import AccessDenied, InputDataMissing, Unavailable

BODY = bytes(range(256)) * 400


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[WebServer]:
    monkeypatch.setattr(downloads, "PAUSE", 0.0)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with web_server({"/months/a.parquet": BODY}) as server:
        yield server


def test_a_file_is_fetched_and_named_without_its_signature(web: WebServer, tmp_path: Path) -> None:
    found = Store().read(f"{web.url}/months/a.parquet?secret=x", tmp_path / "file")
    assert found.path.read_bytes() == BODY
    assert found.name == "a.parquet"
    assert web.asked == ["/months/a.parquet?secret=x"]


def test_a_file_that_has_moved_is_followed(web: WebServer, tmp_path: Path) -> None:
    assert Store().read(f"{web.url}/moved", tmp_path / "file").size == len(BODY)


def test_E5_a_transfer_that_breaks_off_is_begun_anew(web: WebServer, tmp_path: Path) -> None:
    web.broken = downloads.TRIES - 1
    assert Store().read(f"{web.url}/months/a.parquet", tmp_path / "file").size == len(BODY)
    assert len(web.asked) == downloads.TRIES


def test_E5_after_the_last_try_it_is_unavailable(web: WebServer, tmp_path: Path) -> None:
    web.broken = 100
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1 does not answer or broke off"):
        Store().read(f"{web.url}/months/a.parquet", tmp_path / "file")
    assert len(web.asked) == downloads.TRIES


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, InputDataMissing), (403, InputDataMissing), (401, AccessDenied), (503, Unavailable)],
)
def test_E3_what_a_server_refuses_is_said(
    status: int, kind: type[Exception], web: WebServer, tmp_path: Path
) -> None:
    web.status = status
    with pytest.raises(kind, match=str(status) if status != 401 else "credentials"):
        Store().read(f"{web.url}/months/a.parquet?secret=x", tmp_path / "file")
    with pytest.raises(kind) as refused:
        Store().read(f"{web.url}/months/a.parquet?secret=x", tmp_path / "file")
    assert "secret" not in str(refused.value)


def test_E5_a_file_that_comes_too_slowly_is_given_up(web: WebServer, tmp_path: Path) -> None:
    """The proxy lets a KiB a second through: no wait is long, but all of them together."""
    with FaultProxy(web.url, "slow") as proxy, pytest.raises(Unavailable, match="too slowly"):
        Store(seconds=2).read(f"{proxy.url}/months/a.parquet", tmp_path / "file")


def test_E5_nobody_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        Store().read("http://127.0.0.1:9/a.parquet", tmp_path / "file")
