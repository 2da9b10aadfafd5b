"""The same contract for a folder and for a store (moto's server): whole, or not at all."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from tests.fault_proxy import FaultProxy

from slipway.clients import tables
from slipway.clients.objects import s3_client
from slipway.clients.tables import CHUNK, Store, is_s3
from slipway.errors import InputDataMissing, InvalidConfig, Unavailable

BODY = bytes(range(256)) * (CHUNK // 256) + b"the rest"


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


@pytest.fixture(params=["folder", "store"])
def place(request: pytest.FixtureRequest, s3_server: str, tmp_path: Path) -> tuple[Store, str]:
    """A store and a URI in it below which there is nothing yet."""
    if request.param == "folder":
        return Store(), str(tmp_path / "out")
    bucket = f"b{uuid.uuid4().hex}"
    client = s3_client(s3_server)
    client.create_bucket(Bucket=bucket)
    client.close()
    return Store(s3_server), f"s3://{bucket}/out"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    source.write_bytes(BODY)
    return source


def test_what_is_written_is_read_and_identified_by_its_bytes(
    place: tuple[Store, str], written: Path, tmp_path: Path
) -> None:
    store, uri = place
    store.write(written, f"{uri}/a/month.parquet")
    found = store.read(f"{uri}/a/month.parquet", tmp_path / "scratch")
    assert found.path.read_bytes() == BODY
    assert (found.name, found.size) == ("month.parquet", len(BODY))
    assert found.sha256 == hashlib.sha256(BODY).hexdigest()


def test_a_text_is_written_and_read(place: tuple[Store, str]) -> None:
    store, uri = place
    assert store.read_text(f"{uri}/summary.json") is None
    for text in ("first é\r\n", "second"):
        store.write_text(text, f"{uri}/summary.json")
        assert store.read_text(f"{uri}/summary.json") == text


def test_what_is_no_text_is_none(place: tuple[Store, str], tmp_path: Path) -> None:
    store, uri = place
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    store.write(binary, f"{uri}/summary.json")
    assert store.read_text(f"{uri}/summary.json") is None


def test_a_folder_in_a_files_place_is_not_the_file(tmp_path: Path) -> None:
    assert Store().read_text(str(tmp_path)) is None
    assert not Store().exists(str(tmp_path))
    with pytest.raises(InputDataMissing):
        Store().read(str(tmp_path), tmp_path / "scratch")
    with pytest.raises(Unavailable, match="cannot be written"):
        Store().write_text("x", str(tmp_path))


def test_whether_something_is_there(place: tuple[Store, str]) -> None:
    store, uri = place
    assert not store.exists(f"{uri}/x")
    store.write_text("x", f"{uri}/x")
    assert store.exists(f"{uri}/x")
    assert not store.exists(uri)


def test_E3_what_is_missing_is_named(place: tuple[Store, str], tmp_path: Path) -> None:
    store, uri = place
    with pytest.raises(InputDataMissing, match=r"month\.parquet"):
        store.read(f"{uri}/month.parquet", tmp_path / "scratch")


def test_E3_a_bucket_that_is_missing_is_named(s3_server: str, written: Path) -> None:
    with pytest.raises(InvalidConfig, match="there is no bucket none; make it"):
        Store(s3_server).write(written, "s3://none/x")
    assert Store(s3_server).read_text("s3://none/x") is None
    assert not Store(s3_server).exists("s3://none/x")


def test_E1_a_write_that_fails_leaves_what_was_there_and_nothing_half_made(
    tmp_path: Path, written: Path
) -> None:
    """A file is in its place after the last byte, by a rename."""

    class Cut:
        def __init__(self) -> None:
            self.parts = [b"half"]

        def read(self, _size: int) -> bytes:
            if self.parts:
                return self.parts.pop()
            raise KeyboardInterrupt

    target = tmp_path / "out" / "month.parquet"
    Store().write_text("before", str(target))
    with pytest.raises(KeyboardInterrupt):
        tables._write_local(Cut(), target)
    assert [path.name for path in target.parent.iterdir()] == ["month.parquet"]
    assert target.read_text() == "before"
    assert target.stat().st_mode & 0o777 == 0o644


def test_E5_a_place_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="cannot be written"):
        Store().write_text("x", str(tmp_path / "file" / "below"))


@pytest.mark.parametrize("mode", ["refuse", "reset"])
def test_E5_a_store_that_breaks_is_unavailable_and_never_missing(
    mode: str, s3_server: str, written: Path, tmp_path: Path
) -> None:
    client = s3_client(s3_server)
    client.create_bucket(Bucket=f"broken-{mode}")
    client.close()
    Store(s3_server).write(written, f"s3://broken-{mode}/x")
    with FaultProxy(s3_server, mode) as proxy:
        store = Store(proxy.url)
        with pytest.raises(Unavailable):
            store.read(f"s3://broken-{mode}/x", tmp_path / "scratch")


@pytest.mark.timeout(90)
@pytest.mark.parametrize(("mode", "seconds"), [("silent", 900.0), ("trickle", 3.0)])
def test_E5_a_store_that_takes_nothing_or_too_little_ends_the_upload(
    mode: str, seconds: float, s3_server: str, tmp_path: Path
) -> None:
    """By the client's own limits, and by ours; at that pace the file would take two minutes."""
    client = s3_client(s3_server)
    client.create_bucket(Bucket=f"slow-{mode}")
    large = tmp_path / "large"
    large.write_bytes(BODY * 8)
    said = {"silent": "does not answer", "trickle": "SLIPWAY_TRANSFER_SECONDS"}[mode]
    with FaultProxy(s3_server, mode) as proxy:
        began = time.monotonic()
        with pytest.raises(Unavailable, match=said):
            Store(proxy.url, seconds).write(large, f"s3://slow-{mode}/x")
        assert time.monotonic() - began < 60
    assert not client.list_objects_v2(Bucket=f"slow-{mode}").get("Contents")
    assert not client.list_multipart_uploads(Bucket=f"slow-{mode}").get("Uploads")
    client.close()


def test_only_a_stores_uri_is_one() -> None:
    assert is_s3("s3://bucket/key")
    assert not is_s3("/s3://x")
