"""The service as a process of its own: started as a user starts it, asked as a client asks."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.artifacts import RIDE, edit_mlmodel, ride_pipeline, save_ride_model
from tests.raw_http import exchange
from tests.raw_http import post as raw_post
from tests.service_process import (
    HOST,
    SLIPWAY,
    ServiceProcess,
    free_port,
    get,
    post,
    serving,
    stub,
)
from tests.stub_models import CURSED, RUN_ID
from tests.waiting import until

from slipway.models.cache import verify
from slipway.usecases.rides import ride_features

GRACEFUL = 20
BODY = json.dumps(RIDE).encode()


@pytest.fixture(scope="module")
def service(ride_model: Path) -> Iterator[ServiceProcess]:
    with serving(ride_model) as running:
        yield running


@pytest.fixture(scope="module")
def stubbed() -> Iterator[ServiceProcess]:
    with serving(command=stub("good")) as running:
        yield running


def ride(distance: float) -> dict[str, Any]:
    return RIDE | {"trip_distance": distance}


def series(text: bytes | str) -> dict[str, float]:
    """An exposition's samples: `name{labels}` -> value."""
    lines = (text.decode() if isinstance(text, bytes) else text).splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def counted(url: str, **labels: str) -> float:
    """The requests that a scrape tells of, over all series with these labels."""
    wanted = [f'{name}="{value}"' for name, value in labels.items()]
    return sum(
        value
        for name, value in series(get(f"{url}/metrics")[1]).items()
        if name.startswith("slipway_requests_total") and all(label in name for label in wanted)
    )


def test_R7_F14_the_course_request_gets_a_duration(service: ServiceProcess) -> None:
    """R7, with the number that the pipeline itself gives."""
    status, document, headers = post(f"{service.url}/predict", RIDE)
    expected = ride_pipeline().predict([ride_features("10_50", 40.0)])[0]
    assert status == 200
    assert document["duration"] == expected
    assert isinstance(document["duration"], float)
    assert headers["X-Slipway-Run-Id"] == document["model_version"]


def test_R10_the_process_is_gunicorn_and_no_development_server(service: ServiceProcess) -> None:
    """R10: `slipway serve` becomes gunicorn under its own process id, as it must be PID 1."""
    command = Path(f"/proc/{service.pid}/cmdline").read_bytes().split(b"\0")
    assert any(b"gunicorn" in word for word in command)
    assert "development server" not in service.log.read_text()
    assert get(f"{service.url}/livez")[0] == 200


def test_R11_the_smoke_client_is_content_with_a_sound_service(service: ServiceProcess) -> None:
    ended = smoke(service.url)
    assert ended.returncode == 0, ended.stderr
    assert [line.split()[0] for line in ended.stdout.splitlines()] == ["ok", "ok", "ok"]


def test_R11_the_smoke_client_says_what_is_wrong() -> None:
    """R11: an idle service, a model that answers nonsense, nobody at all: each its own code."""
    with serving() as idle:
        ended = smoke(idle.url)
        assert ended.returncode == 1
        assert ended.stderr.startswith("slipway: NoModel: ")
    with serving(command=stub("nan")) as wrong:
        row = json.dumps(ride(CURSED))
        ended = smoke(wrong.url, "--row", row)
        assert ended.returncode == 1
        assert "answered 500 where 200 was expected" in ended.stderr
    nobody = smoke(f"http://{HOST}:{free_port()}")
    assert nobody.returncode == 75
    assert "does not answer" in nobody.stderr


def smoke(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SLIPWAY, "smoke", url, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_an_idle_service_is_ready_and_says_that_it_has_no_model() -> None:
    with serving() as idle:
        assert json.loads(get(f"{idle.admin_url}/readyz")[1]) == {"ready": True, "idle": True}
        status, problem, headers = post(f"{idle.url}/predict", RIDE)
        assert (status, problem["title"]) == (503, "No model is loaded")
        assert headers["Retry-After"] == "5"
        assert idle.stop() == 0


def test_R4_F23_requests_in_flight_are_answered_and_the_service_ends_well() -> None:
    """R4: SIGTERM while a request is being computed; readiness says it at once."""
    with serving(command=stub("slow")) as service, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(post, f"{service.url}/predict", ride(2.0))
        until(lambda: in_flight(service) == 1, 10, "the request to be in flight")
        service.process.send_signal(signal.SIGTERM)
        until(lambda: not service.is_ready(), 10, "the service to say that it drains")
        status, document, _ = answer.result(timeout=30)
        assert (status, document["duration"]) == (200, 4.0)
        assert service.process.wait(GRACEFUL + 1) == 0
        assert service.errors() == []


def in_flight(service: ServiceProcess) -> float:
    found = series(get(f"{service.admin_url}/metrics")[1])
    return next(value for name, value in found.items() if name.startswith("slipway_in_flight"))


def test_R4_one_connection_carries_many_requests(stubbed: ServiceProcess) -> None:
    connection = http.client.HTTPConnection(HOST, stubbed.port, timeout=10)
    for number in range(50):
        connection.request("POST", "/predict", json.dumps(ride(number)), JSON_HEADERS)
        with connection.getresponse() as answer:
            assert json.load(answer)["duration"] == 2.0 * number
    connection.close()


JSON_HEADERS = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("signals", "code"),
    [
        ((signal.SIGTERM, signal.SIGTERM), 0),
        ((signal.SIGINT,), 0),
        ((signal.SIGHUP,), 0),
        ((signal.SIGTERM, signal.SIGINT, signal.SIGHUP), 0),
    ],
    ids=lambda value: "+".join(s.name for s in value) if isinstance(value, tuple) else "",
)
def test_A15_every_signal_that_means_stop_drains_once(
    signals: tuple[signal.Signals, ...], code: int
) -> None:
    with serving(command=stub("slow")) as service, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(post, f"{service.url}/predict", ride(1.0))
        until(lambda: in_flight(service) == 1, 10, "the request to be in flight")
        for number in signals:
            service.process.send_signal(number)
        assert answer.result(timeout=30)[0] == 200
        assert service.process.wait(GRACEFUL + 1) == code


@pytest.mark.parametrize("kind", ["raises", "nan", "too few"])
def test_A9_A10_a_failing_model_is_a_500_that_names_the_row_and_is_counted(kind: str) -> None:
    """A9, A10: the other rows are not lost in silence, and the error gate can see it."""
    with serving(command=stub(kind)) as service:
        rows = [ride(1.0), ride(CURSED), ride(2.0)]
        status, problem, headers = post(f"{service.url}/predict", {"instances": rows})
        assert status == 500
        assert problem["pointer"] == "/instances/1"
        assert problem["request_id"] == headers["X-Request-Id"]
        assert "secret" not in json.dumps(problem)
        assert "Traceback" not in json.dumps(problem)
        assert counted(service.admin_url, code="500") == 1
        good, document, _ = post(f"{service.url}/predict", ride(3.0))
        assert good == 200
        assert counted(service.admin_url, code="200") == 1
        assert document["model_version"] == RUN_ID
        (line,) = [line for line in service.requests() if line["status"] == 500]
        assert line["request_id"] == headers["X-Request-Id"]


CONFINED = (
    "mount -o remount,ro,bind / && mount -t tmpfs -o mode=1777 tmpfs /mnt && exec setpriv "
    "--reuid 65534 --regid 65534 --clear-groups "
    # An interpreter may lie where only root may look; reading is all that this allows.
    "--inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search "
    "--bounding-set=-all,+dac_read_search env -u HOME TMPDIR=/mnt "
)


def confined() -> list[str]:
    """A command's prefix: read-only root file system, uid 65534, no HOME."""
    if os.getuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("a read-only root file system can be made by root only")
    return ["unshare", "--mount", "sh", "-c", CONFINED + '"$@"', "confined"]


def test_A13_it_serves_from_a_read_only_root_as_nobody_without_a_home(ride_model: Path) -> None:
    probe = [*confined(), "sh", "-c", "id -u; touch /tmp/written 2>&1; echo ${HOME-none}"]
    seen = subprocess.run(probe, capture_output=True, text=True, check=True, timeout=30).stdout
    assert seen.split("\n")[0] == "65534"
    assert "Read-only file system" in seen
    assert seen.endswith("none\n")
    for model in (ride_model, None):
        with serving(model, command=[*confined(), *SLIPWAY, "serve"]) as service:
            status, _, _ = post(f"{service.url}/predict", RIDE)
            assert status == (200 if model else 503)
            assert service.stop() == 0
            assert service.errors() == []


def test_A14_no_client_can_make_a_series(stubbed: ServiceProcess) -> None:
    """A14: odd paths, methods, zones and headers by the thousand; the metrics stay the same."""
    post(f"{stubbed.url}/predict", RIDE)
    post(f"{stubbed.url}/predict", {})
    before = set(series(get(f"{stubbed.admin_url}/metrics")[1]))
    connection = http.client.HTTPConnection(HOST, stubbed.port, timeout=10)
    for number in range(2_500):
        odd = {"X-Slipway-Source": f"s{number}", "X-Slipway-Pair": f"p{number}", **JSON_HEADERS}
        for method, path, body in (
            ("GET", f"/odd/{number}", None),
            (f"ODD{number}", "/predict", None),
            ("POST", "/predict", json.dumps(RIDE | {"PULocationID": f"z{number}"})),
            ("POST", "/predict", json.dumps({f"field{number}": 1})),
        ):
            connection.request(method, path, body, odd)
            connection.getresponse().read()
    connection.close()
    assert set(series(get(f"{stubbed.admin_url}/metrics")[1])) == before


HOSTILE_IDS = [
    "",
    "x" * 129,
    "x" * 7_000,
    "caf\xe9",
    "tab\there",
]


@pytest.mark.parametrize("given", HOSTILE_IDS, ids=range(len(HOSTILE_IDS)))
def test_A16_a_hostile_request_id_is_replaced_by_our_own(
    given: str, stubbed: ServiceProcess
) -> None:
    request = raw_post(BODY, f"X-Request-Id: {given}", "traceparent: not-a-trace")
    answer = exchange(stubbed.port, request.decode().encode("latin-1"))
    assert answer.status == 200
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["x-request-id"])


def test_A16_F20_each_request_makes_one_line_of_json(stubbed: ServiceProcess) -> None:
    """A16: text from outside stays inside its own line, whatever it holds."""
    seen = len(stubbed.requests())
    injected = 'x\n{"level":"error","event":"request"}\r\n\x1b[31m\u2028'
    post(f"{stubbed.url}/predict", RIDE | {"PULocationID": injected})
    post(f"{stubbed.url}/predict", {injected: 1})
    get(f"{stubbed.url}/no%0a%7b%22level%22%3a%22error%22%7d", {"User-Agent": injected[:1]})
    post(f"{stubbed.url}/predict", RIDE, {"X-Request-Id": "kept-as-it-is"})
    until(lambda: len(stubbed.requests()) == seen + 4, 5, "four lines")
    lines = stubbed.requests()[seen:]
    assert [line["status"] for line in lines] == [200, 422, 404, 200]
    assert lines[-1]["request_id"] == "kept-as-it-is"
    assert stubbed.errors() == []
    assert b"\x1b" not in stubbed.log.read_bytes()


def test_R50_F64_F65_with_four_workers_every_scrape_tells_the_whole_sum(tmp_path: Path) -> None:
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    # Left over from a start before: it must not be counted again.
    (tmp_path / "counter_1.db").write_bytes(b"not a metric")
    with serving(
        command=(*SLIPWAY, "serve"), arguments=["--workers", "4"], environment=environment
    ) as idle:
        for number in range(1, 41):
            assert post(f"{idle.url}/predict", RIDE)[0] == 503
            assert counted(idle.admin_url) == counted(idle.url) == number


def test_probes_answer_while_all_threads_are_busy() -> None:
    with serving(command=stub("slow")) as service, ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(post, f"{service.url}/predict", ride(3.0)) for _ in range(4)]
        until(lambda: in_flight(service) == 4, 10, "all threads to be busy")
        assert get(f"{service.admin_url}/livez")[0] == 200
        assert get(f"{service.admin_url}/sample")[0] == 200
        assert in_flight(service) == 4
        assert [answer.result(timeout=30)[0] for answer in answers] == [200] * 4


def test_clients_that_say_nothing_do_not_keep_others_waiting(stubbed: ServiceProcess) -> None:
    silent = [socket.create_connection((HOST, stubbed.port), timeout=10) for _ in range(40)]
    try:
        answers = [post(f"{stubbed.url}/predict", RIDE, seconds=30) for _ in range(10)]
        assert [status for status, _, _ in answers] == [200] * 10
    finally:
        for connection in silent:
            connection.close()


def test_a_client_that_hangs_up_is_no_error_of_ours(stubbed: ServiceProcess) -> None:
    seen = len(stubbed.errors())
    for _ in range(20):
        with socket.create_connection((HOST, stubbed.port), timeout=10) as connection:
            connection.sendall(raw_post(BODY))
    assert post(f"{stubbed.url}/predict", RIDE)[0] == 200
    assert stubbed.errors()[seen:] == []


def test_the_same_thousand_requests_at_once_get_the_same_answer(stubbed: ServiceProcess) -> None:
    def ask(_number: int) -> tuple[int, Any]:
        status, document, _ = post(f"{stubbed.url}/predict", ride(7.0), seconds=60)
        return status, document["duration"]

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(ask, range(1_000))) == {(200, 14.0)}


def test_pipelined_requests_are_answered_in_their_order(stubbed: ServiceProcess) -> None:
    requests = [raw_post(json.dumps(ride(n)).encode()) for n in range(1, 6)]
    with socket.create_connection((HOST, stubbed.port), timeout=10) as connection:
        connection.sendall(b"".join(requests))
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while part := connection.recv(65536):
            received += part
    found = [float(text) for text in re.findall(rb'"duration":([0-9.]+)', received)]
    assert found == [2.0, 4.0, 6.0, 8.0, 10.0]


REFUSED_SECONDS = 30


@pytest.mark.parametrize(
    ("break_it", "reason"),
    [
        (lambda folder: (folder / "model.skops").write_bytes(b"not a model"), "ModelFailed"),
        (lambda folder: (folder / "MLmodel").unlink(), "Unresolvable"),
        (
            lambda folder: edit_mlmodel(folder, {"flavors.sklearn.sklearn_version": "0.9.1"}),
            "VersionMismatch",
        ),
        (lambda folder: edit_mlmodel(folder, {"signature": None}), "Unsigned"),
        (
            lambda folder: edit_mlmodel(
                folder, {"flavors.sklearn.serialization_format": "cloudpickle"}
            ),
            "Untrusted",
        ),
    ],
    ids=["garbage", "no MLmodel", "another scikit-learn", "unsigned", "a pickle"],
)
def test_B1_what_cannot_be_served_ends_the_process_with_its_reason(
    break_it: Any, reason: str, ride_model: Path, tmp_path: Path
) -> None:
    """B1, B6, B7: exit code 1, one line that says why, and the same for Kubernetes to show."""
    folder = tmp_path / "model"
    shutil.copytree(ride_model, folder)
    break_it(folder)
    told = tmp_path / "termination-log"
    told.touch()
    environment = {"SLIPWAY_TERMINATION_LOG": str(told)}
    with serving(folder, environment=environment, ready=False) as service:
        assert service.process.wait(REFUSED_SECONDS) == 1
        (line,) = [line for line in service.errors() if line["event"].startswith("the service")]
        assert line["reason"] == reason
        assert told.read_text().startswith(f"{reason}: ")
        assert "Traceback" not in service.log.read_text()


def test_B3_one_flipped_byte_ends_the_process_before_anything_is_deserialised(
    ride_model: Path, tmp_path: Path
) -> None:
    locked = subprocess.run(
        [*SLIPWAY, "fetch", str(ride_model)], capture_output=True, check=True, timeout=60
    ).stdout
    folder = tmp_path / "model"
    shutil.copytree(ride_model, folder)
    content = bytearray((folder / "model.skops").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "model.skops").write_bytes(content)
    lock = tmp_path / "release.json"
    lock.write_bytes(locked.replace(str(ride_model).encode(), str(folder).encode()))
    arguments = ["--release-file", str(lock)]
    with serving(arguments=arguments, ready=False) as service:
        assert service.process.wait(REFUSED_SECONDS) == 1
        assert "DigestMismatch" in service.log.read_text()
    verify(ride_model, json.loads(locked)["digest"])


def test_a_port_that_is_taken_is_said_in_one_line(ride_model: Path) -> None:
    with socket.create_server((HOST, 0)) as taken:
        environment = {"SLIPWAY_ADMIN_PORT": str(taken.getsockname()[1])}
        with serving(ride_model, environment=environment, ready=False) as service:
            assert service.process.wait(REFUSED_SECONDS) == 1
            assert "SLIPWAY_ADMIN_PORT: cannot listen" in service.log.read_text()


def test_bad_settings_are_a_usage_error_and_all_of_them_are_named() -> None:
    environment = {"SLIPWAY_THREADS": "none", "SLIPWAY_MAX_ROWS": "0", "MODEL_RUN_ID": "a b"}
    with serving(environment=environment, ready=False) as service:
        assert service.process.wait(REFUSED_SECONDS) == 2
        said = service.log.read_text()
    assert all(name in said for name in environment)


def test_the_sample_gives_what_was_predicted_and_goes_on_from_its_cursor(
    stubbed: ServiceProcess,
) -> None:
    cursor = json.loads(get(f"{stubbed.admin_url}/sample")[1])["next"]
    post(f"{stubbed.url}/predict", ride(5.0), {"X-Slipway-Key": "me", "X-Slipway-Source": "shadow"})
    post(f"{stubbed.url}/predict", {"instances": [ride(1.0), ride(2.0)]})
    page = json.loads(get(f"{stubbed.admin_url}/sample?after={cursor}")[1])
    assert [row[1] for row in page["rows"]] == [0, 0, 1]
    assert [row[3] for row in page["rows"]] == [10.0, 2.0, 4.0]
    assert [row[4] for row in page["rows"]] == ["shadow", "live", "live"]
    assert page["lost"] == 0
    again = json.loads(get(f"{stubbed.admin_url}/sample?after={page['next']}")[1])
    assert again["rows"] == []


def test_a_model_that_takes_long_to_load_is_waited_for(tmp_path: Path) -> None:
    """Liveness must not depend on the load: gunicorn's own limit would end the worker."""
    slow = tmp_path / "slow_obtain.py"
    slow.write_text(
        "import time\n"
        "from tests.stub_models import obtain\n"
        "from slipway.web import wsgi\n"
        "def application():\n"
        "    time.sleep(4)\n"
        "    return wsgi.application(lambda _settings: obtain('good'))\n"
    )
    command = (
        *(sys.executable, "-m", "gunicorn", "--config", "python:slipway.web.gunicorn_conf"),
        *("--timeout", "2", "--pythonpath", str(tmp_path), "slow_obtain:application()"),
    )
    began = time.monotonic()
    with serving(command=command) as service:
        assert time.monotonic() - began > 4
        assert post(f"{service.url}/predict", RIDE)[0] == 200


def test_requests_that_come_while_it_drains_are_still_answered_or_refused_cleanly() -> None:
    """No answer is half an answer: a client gets all of it, or a closed connection."""
    with serving(command=stub("good")) as service:
        outcomes: list[int] = []
        stopped = threading.Event()

        def ask() -> None:
            while not stopped.is_set():
                try:
                    status, document, _ = post(f"{service.url}/predict", ride(2.0), seconds=10)
                    outcomes.append(status if document["duration"] == 4.0 else -1)
                except (OSError, http.client.HTTPException):
                    return

        asking = threading.Thread(target=ask)
        asking.start()
        until(lambda: len(outcomes) > 20, 10, "some answers")
        assert service.stop() == 0
        stopped.set()
        asking.join(15)
        assert set(outcomes) == {200}


def test_the_model_is_described(tmp_path: Path) -> None:
    folder = save_ride_model(tmp_path / "model")
    with serving(folder) as service:
        document = json.loads(get(f"{service.url}/model")[1])
    assert document["use_case"] == "rides"
    assert [field["name"] for field in document["inputs"]] == [
        "PULocationID",
        "DOLocationID",
        "trip_distance",
    ]
    assert document["form"] == "linear"
    assert "agrees with it on" in document["form_reason"]
    assert document["digest"].startswith("sha256:")
