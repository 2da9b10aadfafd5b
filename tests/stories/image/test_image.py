"""The product's image, run as its users run it. `slipway:VERSION` must be built before."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.artifacts import RIDE, ride_pipeline
from tests.containers import (
    ROOT,
    AtATerminal,
    Container,
    container,
    docker,
    image_name,
    run_once,
    version,
    why_not,
)
from tests.kinesis_stand_in import course_event
from tests.service_process import get, post
from tests.waiting import until

from slipway.examples.synthetic import Recipe, write_month
from slipway.models.obtain import obtain
from slipway.settings import ModelSettings, read_settings
from slipway.stream.lambda_runtime import INVOCATIONS
from slipway.usecases.rides import ride_features

pytestmark = [pytest.mark.platform, pytest.mark.kind]

ENDS_BY_ITSELF = 20
# Of /opt/slipway: Python's packages and our own.
MAX_BYTES = 600_000_000


@pytest.fixture(scope="module", autouse=True)
def _image() -> None:
    if missing := why_not():
        pytest.skip(missing)


@pytest.fixture(scope="module")
def mounted(ride_model: Path) -> Iterator[Container]:
    """A model folder from outside, the root file system read-only, no capability."""
    with container(*with_model(ride_model)) as running:
        yield running


@pytest.fixture
def with_course_model(tmp_path: Path) -> Iterator[str]:
    """An image on top of ours that holds the course's pickled pair at /app/model.bin."""
    pipeline = ride_pipeline()
    (tmp_path / "model.bin").write_bytes(pickle.dumps((pipeline[0], pipeline[1])))
    (tmp_path / "Dockerfile").write_text(
        f"FROM {image_name()}\nCOPY model.bin /app/model.bin\n"
        "ENV MODEL_FILE=/app/model.bin SLIPWAY_ALLOW_PICKLE=true\n"
    )
    name = f"slipway-test-{os.getpid()}:course"
    docker("build", "--quiet", "--tag", name, str(tmp_path))
    yield name
    docker("rmi", "--force", name)


def with_model(folder: Path) -> tuple[str, ...]:
    return ("--volume", f"{folder}:/model:ro", "--env", "MODEL_LOCATION=/model")


def native() -> float:
    features = ride_features("10_50", 40.0)
    return float(ride_pipeline().predict([features])[0])


def locked(file: str) -> dict[str, set[str]]:
    """Name and versions of all that a lock file may install; some differ by Python version."""
    pins: dict[str, set[str]] = {}
    for name, pinned in re.findall(r"(?m)^([\w.-]+)==([^\s;]+)", (ROOT / file).read_text()):
        pins.setdefault(normal(name), set()).add(pinned)
    return pins


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def installed() -> dict[str, str]:
    listing = run_once(
        "-c",
        "import importlib.metadata as m, json;"
        "print(json.dumps({found.name: found.version for found in m.distributions()}))",
        program="python",
    )
    return {normal(name): version for name, version in json.loads(listing.stdout).items()}


def test_R12_the_courses_command_serves_and_ctrl_c_ends_it(with_course_model: str) -> None:
    """`docker run -it --rm -p 9696:9696 IMAGE`, at a terminal, on another port of the host."""
    with contextlib.closing(AtATerminal(9696, with_course_model)) as running:

        def answers() -> bool:
            with contextlib.suppress(OSError):
                return get(f"{running.url}/readyz")[0] == 200
            return False

        until(answers, 60, "the service to be ready")
        status, said, _ = post(f"{running.url}/predict", RIDE)
        assert running.ctrl_c(ENDS_BY_ITSELF) == 0
    assert status == 200
    assert said["duration"] == pytest.approx(native(), abs=1e-9)


def test_R12_a_mounted_model_is_served_from_a_read_only_root(
    mounted: Container, ride_model: Path
) -> None:
    status, said, headers = post(f"{mounted.url}/predict", RIDE)
    assert status == 200
    assert said["duration"] == pytest.approx(native(), abs=1e-9)
    loaded = obtain(read_settings(ModelSettings, location=str(ride_model)))
    assert loaded
    assert said["model_version"] == loaded.release.version == headers["X-Slipway-Run-Id"]


def test_R10_process_1_is_gunicorn_and_nobody_warns_of_a_development_server(
    mounted: Container,
) -> None:
    first = mounted.inside("cat", "/proc/1/cmdline").split("\0")
    assert first[1].endswith("/gunicorn")
    log = mounted.log()
    assert "Starting gunicorn" in log
    assert "development server" not in log
    assert all(json.loads(line) for line in log.splitlines())


def test_it_runs_as_nobody_in_particular_and_can_change_nothing_of_its_own(
    mounted: Container,
) -> None:
    assert mounted.inside("id", "-u").strip() == "65532"
    writable = "find /opt /app /usr /etc ! -type l -writable -print -quit 2>/dev/null || true"
    assert mounted.inside("sh", "-c", writable) == ""


def test_without_a_model_it_is_ready_and_idle_and_stops_when_told() -> None:
    with container() as idle:
        status, said, _ = post(f"{idle.url}/predict", RIDE)
        assert (status, said["type"]) == (503, "urn:slipway:NoModel")
        assert idle.stop(ENDS_BY_ITSELF) == 0


def test_R9_the_packages_are_the_locks_and_none_is_for_tests() -> None:
    there = installed()
    ours = locked("requirements.lock")
    assert there.pop("slipway") == version()
    assert not {name for name, found in there.items() if found not in ours.get(name, ())}
    for_tests = locked("requirements-dev.lock").keys() - ours.keys()
    assert {"pytest", "locust", "mypy", "moto"} <= for_tests
    assert not there.keys() & for_tests


def test_its_python_part_is_no_larger_than_promised() -> None:
    """docs/image.md tells what it is made of; without full mlflow's 440 MB and what none loads."""
    sizes = run_once("/opt/slipway", "-type", "f", "-printf", "%s\\n", program="find")
    assert sizes.returncode == 0, sizes.stderr
    assert 100_000_000 < sum(map(int, sizes.stdout.split())) <= MAX_BYTES


def test_what_was_left_out_is_missed_by_nothing_that_slipway_uses() -> None:
    """The packages' parts that DESIGN names: Parquet, boto3's clients, credentials, estimators."""
    program = """
import boto3, pyarrow.compute, pyarrow.csv, pyarrow.dataset, pyarrow.fs, pyarrow.parquet
for service in ("s3", "kinesis", "dynamodb", "sts", "sso", "sso-oidc", "signin"):
    boto3.client(service, region_name="eu-west-1")
import kubernetes.client, kubernetes.config, mlflow.pyfunc, mlflow.sklearn, skops.io
import scipy.sparse, scipy.stats, sklearn.compose, sklearn.ensemble, sklearn.linear_model
"""
    found = run_once("-W", "ignore", "-c", program, program="python")
    assert found.returncode == 0, found.stderr


def test_it_has_no_compiler() -> None:
    names = "cc gcc g++ clang ld make"
    found = run_once("-c", f"for name in {names}; do command -v $name; done; true", program="sh")
    assert (found.returncode, found.stdout) == (0, "")


def test_it_holds_no_model_no_training_code_and_no_tests() -> None:
    search = run_once(
        *("/opt", "/app", "/home", "-name", "MLmodel", "-o", "-name", "*.skops"),
        *("-o", "-path", "*/slipway/examples*", "-o", "-type", "d", "-name", "tests"),
        *("-o", "-path", "/app/*", "-o", "-path", "/home/slipway/*"),
        program="find",
    )
    assert (search.returncode, search.stdout) == (0, ""), search.stderr


def test_R30_train_is_refused_with_a_sentence() -> None:
    refused = run_once("train")
    assert refused.returncode == 2
    assert "only applies models" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_R30_it_scores_a_month(ride_model: Path, tmp_path: Path) -> None:
    recipe = Recipe("green", 2021, 3, rows=1_000, seed=1)
    write_month(tmp_path / "in" / recipe.file_name, recipe)
    output = tmp_path / "out"
    output.mkdir()
    output.chmod(0o777)
    scored = run_once(
        *("score", "green", "2021", "3", "--input", "/in", "--output", "/out", "-o", "json"),
        options=(
            *with_model(ride_model),
            *("--volume", f"{tmp_path / 'in'}:/in:ro", "--volume", f"{output}:/out"),
        ),
    )
    assert scored.returncode == 0, scored.stderr
    assert len(list(output.rglob("*.parquet"))) == 1


def test_R44_a_model_from_the_image_beneath_is_served(with_course_model: str) -> None:
    with container(image=with_course_model) as running:
        status, said, _ = post(f"{running.url}/predict", RIDE)
    assert status == 200
    assert said["duration"] == pytest.approx(native(), abs=1e-9)


def test_R44_a_mounted_pair_is_refused_until_pickles_are_allowed(tmp_path: Path) -> None:
    pipeline = ride_pipeline()
    (tmp_path / "model.bin").write_bytes(pickle.dumps((pipeline[0], pipeline[1])))
    refused = run_once(
        options=(
            *("--volume", f"{tmp_path / 'model.bin'}:/app/model.bin:ro"),
            *("--env", "MODEL_FILE=/app/model.bin"),
        )
    )
    assert refused.returncode == 1
    assert "SLIPWAY_ALLOW_PICKLE" in refused.stdout + refused.stderr


def test_the_routers_nginx_takes_what_the_router_writes_without_rights() -> None:
    settings = (
        "pid /tmp/pid; error_log stderr; events {} http { access_log off; "
        "client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; "
        "uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s; limit_conn_zone $uri zone=z:1m; "
        "split_clients $request_id $slot { 50% blue; * green; } "
        "server { listen unix:/tmp/route; location / { mirror /copy; limit_conn z 1; return 204; } "
        "location /copy { internal; return 204; } } }"
    )
    script = f"echo '{settings}' > /tmp/conf && nginx -t -c /tmp/conf"
    said = run_once("-c", script, program="sh")
    assert said.returncode == 0, said.stderr


def test_R27_R22_R23_the_courses_event_is_answered_by_the_function_in_the_same_image(
    ride_model: Path,
) -> None:
    """`docker run -it --rm -p 8080:8080 -e TEST_RUN=True … IMAGE lambda`, as in docs/stream.md."""
    options = (*with_model(ride_model), "--env", "TEST_RUN=True", image_name(), "lambda")
    with contextlib.closing(AtATerminal(8080, *options)) as running:

        def answer() -> dict[str, Any] | None:
            with contextlib.suppress(OSError):
                return dict(post(f"{running.url}{INVOCATIONS}", course_event())[1])
            return None

        [prediction] = until(answer, 60, "the function")["predictions"]
        refused = post(f"{running.url}{INVOCATIONS}", {"Records": "none"})[1]
        assert running.ctrl_c(ENDS_BY_ITSELF) == 0
    loaded = obtain(read_settings(ModelSettings, location=str(ride_model)))
    assert loaded
    assert prediction["version"] == loaded.release.version
    features = ride_features("130_205", 3.66)
    duration = float(ride_pipeline().predict([features])[0])
    assert prediction["prediction"] == {
        "ride_duration": pytest.approx(duration, abs=1e-9),
        "ride_id": 256,
    }
    assert refused["errorType"] == "InvalidInput"
