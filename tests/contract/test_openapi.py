"""/openapi.json against the real service: schemathesis, with all its checks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from tests.service_process import ServiceProcess, bare_environment, get, serving, stub

HOOKS = Path(__file__).with_name("schemathesis_hooks.py")
EXAMPLES = 10


@pytest.fixture(scope="module", params=["good", "columns", "a tensor"])
def service(request: pytest.FixtureRequest) -> Iterator[ServiceProcess]:
    with serving(command=stub(request.param)) as running:
        yield running


@pytest.mark.timeout(300)
def test_F17_schemathesis_finds_nothing_with_all_its_checks(
    service: ServiceProcess, tmp_path: Path
) -> None:
    """No 5xx, no answer that is not in the document, what fits is taken and what does not is not.

    The seed is fixed: what is found, is found each time.
    """
    run = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{service.url}/openapi.json"),
            *("--checks", "all", "--phases", "examples,coverage,fuzzing"),
            *("--max-examples", str(EXAMPLES), "--workers", "1"),
            *("--generation-deterministic", "--no-color"),
        ],
        cwd=tmp_path,
        env=bare_environment() | {"SCHEMATHESIS_HOOKS": str(HOOKS)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert "No issues found" in run.stdout
    assert service.errors() == []


def test_each_path_of_the_document_is_there_and_its_schemas_are_schemas(
    service: ServiceProcess,
) -> None:
    document = json.loads(get(f"{service.url}/openapi.json")[1])
    for path, methods in document["paths"].items():
        if "get" in methods:
            assert get(f"{service.url}{path}")[0] == 200, path
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
