"""Reading artefacts from an S3 API (moto's server) and from folders; faults by a TCP proxy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer
from tests.fault_proxy import FaultProxy

from slipway.clients.objects import FolderObjects, Objects, S3Objects, objects_for, s3_client
from slipway.errors import AccessDenied, ArtifactMissing, Unavailable
from slipway.models.cache import ArtifactCache
from slipway.models.obtain import fetch, release_of
from slipway.settings import ModelSettings, read_settings

BUCKET = "models"
KEYS = {"a/one": b"1" * 10, "a/deep/two": b"2" * 20, "ab/other": b"3"}


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDOFTHETEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret-of-the-test")


@pytest.fixture
def filled(s3_server: str, ride_model: Path) -> str:
    """The endpoint of a store with a few objects and the ride model under `ride/`."""
    client = s3_client(s3_server)
    client.create_bucket(Bucket=BUCKET)
    for key, body in KEYS.items():
        client.put_object(Bucket=BUCKET, Key=key, Body=body)
    for path in ride_model.rglob("*"):
        if path.is_file():
            key = f"ride/{path.relative_to(ride_model).as_posix()}"
            client.put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes())
    client.close()
    return s3_server


def test_a_store_and_a_folder_list_the_same_objects(filled: str, tmp_path: Path) -> None:
    for key, body in KEYS.items():
        target = tmp_path / key
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(body)
    stores: list[tuple[Objects, str]] = [
        (S3Objects(s3_client(filled)), f"s3://{BUCKET}/a"),
        (FolderObjects(), str(tmp_path / "a")),
    ]
    for objects, uri in stores:
        assert [(entry.path, entry.size) for entry in objects.list(uri)] == [
            ("deep/two", 20),
            ("one", 10),
        ]
        with objects.open(uri, "deep/two") as stream:
            assert stream.read(1 << 20) == KEYS["a/deep/two"]
        assert objects.list(uri + "/nothing-here") == []
        with pytest.raises(ArtifactMissing), objects.open(uri, "missing"):
            pass


def test_more_objects_than_one_page_are_all_listed(s3_server: str) -> None:
    client = s3_client(s3_server)
    client.create_bucket(Bucket="many")
    for number in range(1_001):
        client.put_object(Bucket="many", Key=f"m/{number:05}", Body=b"")
    assert len(S3Objects(client).list("s3://many/m")) == 1_001


def settings_for(endpoint: str, tmp_path: Path, **more: Any) -> ModelSettings:
    return read_settings(
        ModelSettings,
        uri=f"s3://{BUCKET}/ride",
        s3_endpoint=endpoint,
        cache_dir=tmp_path / "cache",
        **more,
    )


def test_R16_a_model_comes_from_an_s3_store_by_endpoint_and_keys(
    filled: str, tmp_path: Path
) -> None:
    settings = settings_for(filled, tmp_path)
    release = release_of(settings)
    assert release is not None
    assert fetch(settings, release).path.parent == tmp_path / "cache" / "models"


def test_B2_a_missing_artefact_is_named(filled: str, tmp_path: Path) -> None:
    settings = read_settings(
        ModelSettings,
        uri=f"s3://{BUCKET}/gone",
        s3_endpoint=filled,
        cache_dir=tmp_path,
    )
    with pytest.raises(ArtifactMissing, match=r"artifact missing.*gone"):
        release_of(settings)


def test_B13_a_failing_store_is_given_up_in_a_minute_and_leaves_nothing(
    filled: str, tmp_path: Path
) -> None:
    """Faults begin after resolving, in the middle of the fetch; all at once, to wait but once."""
    release = release_of(settings_for(filled, tmp_path))
    assert release is not None
    modes = ["refuse", "silent", "reset", "cut", "slow"]
    with contextlib.ExitStack() as stack:
        proxies = [stack.enter_context(FaultProxy(filled, mode)) for mode in modes]
        pool = stack.enter_context(ThreadPoolExecutor(len(modes)))
        outcomes = [
            pool.submit(fetch, settings_for(proxy.url, tmp_path / proxy.mode), release)
            for proxy in proxies
        ]
        for mode, outcome in zip(modes, outcomes, strict=True):
            assert isinstance(outcome.exception(60), Unavailable), mode
    for mode in modes:
        cache = tmp_path / mode / "cache"
        assert ArtifactCache(cache).find(release) is None
        assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_B9_what_is_in_the_cache_needs_no_store(filled: str, tmp_path: Path) -> None:
    settings = settings_for(filled, tmp_path)
    release = release_of(settings)
    assert release is not None
    first = fetch(settings, release)
    away = settings_for("http://127.0.0.1:9", tmp_path)
    assert release_of(away) == release
    assert fetch(away, release) == first


class Denying:
    """What boto3 raises when a store refuses the key; moto's server refuses nobody."""

    def get_object(self, **_: Any) -> Any:
        from botocore.exceptions import ClientError

        raise ClientError({"Error": {"Code": "InvalidAccessKeyId"}}, "GetObject")


def test_B14_refused_credentials_are_called_so_and_not_shown() -> None:
    with (
        pytest.raises(AccessDenied, match="credentials") as refused,
        S3Objects(Denying()).open("s3://models/x", "MLmodel"),
    ):
        pass
    assert "the-secret" not in refused.value.message
    assert "AKID" not in refused.value.message


def test_B14_no_credentials_at_all_are_called_so(
    filled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(AccessDenied, match="AWS_ACCESS_KEY_ID"):
        release_of(settings_for(filled, tmp_path))


def test_a_port_where_nobody_listens_is_unavailable() -> None:
    objects = objects_for("s3://models/x", s3_endpoint="http://127.0.0.1:9")
    with pytest.raises(Unavailable, match="bucket models"):
        objects.list("s3://models/x")
