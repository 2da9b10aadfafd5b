"""`slipway score` from and to an S3 store (moto's server): whole or not there, whatever happens."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer
from tests.fault_proxy import FaultProxy
from tests.service_process import SLIPWAY
from tests.web_files import web_server

from slipway.clients.objects import s3_client
from slipway.clients.tables import Store
from slipway.errors import Unavailable
from slipway.examples.synthetic import Recipe, write_month

RECIPE = Recipe("green", 2021, 3, rows=3_000, seed=1)
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


class Bucket:
    """A bucket with the month in `in/`; `endpoint` is the server's."""

    def __init__(self, endpoint: str, name: str, month: Path) -> None:
        self.endpoint, self.name = endpoint, name
        self._client = s3_client(endpoint)
        self._client.create_bucket(Bucket=name)
        self._client.put_object(Bucket=name, Key=f"in/{month.name}", Body=month.read_bytes())

    def outputs(self) -> dict[str, bytes]:
        """Key -> bytes of all that is visible below `out/`; nothing may be half uploaded."""
        uploads = self._client.list_multipart_uploads(Bucket=self.name)
        assert not uploads.get("Uploads")
        found = self._client.list_objects_v2(Bucket=self.name, Prefix="out/").get("Contents", ())
        return {
            each["Key"]: self._client.get_object(Bucket=self.name, Key=each["Key"])["Body"].read()
            for each in found
        }

    def empty(self) -> None:
        """Take the outputs away."""
        for key in self.outputs():
            self._client.delete_object(Bucket=self.name, Key=key)

    def close(self) -> None:
        """End the client's connections."""
        self._client.close()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Bucket]:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    month = write_month(tmp_path / "month" / RECIPE.file_name, RECIPE)
    found = Bucket(endpoint, f"b{abs(hash(request.node.name))}", month)
    yield found
    found.close()


def command(*more: str) -> list[str]:
    return [*SLIPWAY, "score", "green", "2021", "3", *more]


def environment(model: Path, bucket: Bucket, **more: str) -> dict[str, str]:
    places = {
        "MODEL_LOCATION": str(model),
        "SLIPWAY_INPUT": f"s3://{bucket.name}/in",
        "SLIPWAY_OUTPUT": f"s3://{bucket.name}/out",
        "AWS_ENDPOINT_URL": bucket.endpoint,
    }
    return os.environ | KEYS | places | more


def score(model: Path, bucket: Bucket, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(),
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
        env=environment(model, bucket, **more),
    )


@pytest.mark.timeout(600)
def test_E1_killed_at_20_moments_no_half_object_is_ever_seen_and_a_rerun_makes_the_same_bytes(
    ride_model: Path, bucket: Bucket
) -> None:
    began = time.monotonic()
    assert score(ride_model, bucket).returncode == 0
    lasts = time.monotonic() - began
    whole = bucket.outputs()
    assert len(whole) == 2
    chance = random.Random(11)
    bucket.empty()
    for _ in range(20):
        # The last part of its life is where it reads and writes.
        with subprocess.Popen(
            command("--force"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(ride_model, bucket),
        ) as process:
            try:
                process.wait(chance.uniform(0.4, 1.0) * lasts)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
        assert bucket.outputs().items() <= whole.items()
    assert score(ride_model, bucket).returncode == 0
    assert bucket.outputs() == whole


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mode", ["refuse", "reset", "cut"])
def test_E5_a_store_that_breaks_while_it_is_read_is_exit_75_and_leaves_nothing(
    mode: str, ride_model: Path, bucket: Bucket
) -> None:
    with FaultProxy(bucket.endpoint, mode) as proxy:
        done = score(ride_model, bucket, AWS_ENDPOINT_URL=proxy.url)
    assert done.returncode == 75, done.stderr
    assert "slipway: Unavailable" in done.stderr
    assert "Traceback" not in done.stderr
    assert bucket.outputs() == {}


@pytest.mark.timeout(300)
def test_E5_a_store_that_breaks_within_the_upload_is_exit_75_and_leaves_nothing(
    ride_model: Path, bucket: Bucket, tmp_path: Path
) -> None:
    """The month is read from a folder, so only what is written comes to the broken store."""
    with FaultProxy(bucket.endpoint, "upload") as proxy:
        done = score(
            ride_model,
            bucket,
            AWS_ENDPOINT_URL=proxy.url,
            SLIPWAY_INPUT=str(tmp_path / "month"),
        )
    assert done.returncode == 75, done.stderr
    assert "slipway: Unavailable" in done.stderr
    assert bucket.outputs() == {}
    assert score(ride_model, bucket).returncode == 0
    assert len(bucket.outputs()) == 2


@pytest.mark.timeout(300)
def test_E5_a_store_that_takes_the_upload_too_slowly_is_exit_75_and_leaves_nothing(
    ride_model: Path, bucket: Bucket, tmp_path: Path
) -> None:
    """It takes so little a second that the month would be a minute's work."""
    month = Recipe("green", 2021, 3, rows=150_000, seed=1)
    write_month(tmp_path / "large" / month.file_name, month)
    with FaultProxy(bucket.endpoint, "trickle") as proxy:
        done = score(
            ride_model,
            bucket,
            AWS_ENDPOINT_URL=proxy.url,
            SLIPWAY_INPUT=str(tmp_path / "large"),
            SLIPWAY_TRANSFER_SECONDS="5",
        )
    assert done.returncode == 75, done.stderr
    assert "SLIPWAY_TRANSFER_SECONDS" in done.stderr
    assert bucket.outputs() == {}


def test_E5_a_store_that_throttles_is_asked_again_and_then_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    with web_server({"/rides/in/x": b""}) as throttling:
        throttling.status = 503
        store = Store(throttling.url)
        with pytest.raises(Unavailable, match="503"):
            store.read("s3://rides/in/x", tmp_path / "x")
        assert len(throttling.asked) == 3
        with pytest.raises(Unavailable, match="503"):
            store.write_text("y", "s3://rides/out/y")
        assert throttling.asked[3:] == ["/rides/out/y"] * 3


@pytest.mark.timeout(300)
def test_E2_two_processes_to_one_store_end_with_one_whole_output(
    ride_model: Path, bucket: Bucket
) -> None:
    given: dict[str, Any] = {"env": environment(ride_model, bucket), "stdout": subprocess.DEVNULL}
    both = [subprocess.Popen(command(), **given) for _ in range(2)]
    assert [process.wait(150) for process in both] == [0, 0]
    outputs = bucket.outputs()
    bucket.empty()
    assert score(ride_model, bucket).returncode == 0
    assert bucket.outputs() == outputs
