"""Real load on a real service: the verdict must be able to pass and to fail (R52)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.service_process import ROOT, serving, stub

WIDE = """
requests_per_second = 20
answered_share = 0.5
failed_share = 0.0
p95 = 5000
p99 = 10000
"""


def load(url: str, folder: Path, *options: str, limits: str = WIDE) -> tuple[int, str, Any]:
    """Exit code, what was printed, and the JSON report, of three seconds of load."""
    (folder / "limits.toml").write_text(limits)
    command = [sys.executable, "-m", "locust", "-f", "loadtest/locustfile.py", "--headless"]
    command += ["--host", url, "--seconds", "3", "--limits", str(folder / "limits.toml")]
    command += ["--report", str(folder / "load.json"), "--html", str(folder / "load.html")]
    ran = subprocess.run(
        [*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=90, check=False
    )
    report = folder / "load.json"
    document = json.loads(report.read_text()) if report.exists() else None
    return ran.returncode, ran.stdout + ran.stderr, document


def test_R52_a_good_model_passes_at_wide_limits_and_is_named_in_both_reports(
    tmp_path: Path,
) -> None:
    with serving(command=stub("good"), environment={"SLIPWAY_SLOT": "blue"}) as service:
        code, said, report = load(service.url, tmp_path)
        requests = service.requests()
    assert code == 0, said
    assert "passed: all limits are met" in said
    [group] = report["answered_by"]
    assert (group["slot"], group["failed"]) == ("blue", 0)
    assert group["requests"] == len(requests) > 20
    assert group["model_version"][:12] in (tmp_path / "load.html").read_text()
    assert {line["path"] for line in requests} == {"/predict", "/invocations"}


def test_R52_a_model_that_sleeps_fails_with_a_sentence_for_each_missed_limit(
    tmp_path: Path,
) -> None:
    limits = WIDE.replace("5000", "100").replace("10000", "200")
    with serving(command=stub("slow")) as service:
        code, said, report = load(service.url, tmp_path, limits=limits)
    assert code == 1, said
    assert "MISSED: p95 is" in said
    assert not report["passed"]


def test_R52_a_service_without_a_model_fails_by_its_status(tmp_path: Path) -> None:
    with serving() as service:
        code, said, report = load(service.url, tmp_path)
    assert code == 1, said
    assert {why for row in report["answered_by"] for why in row["failures"]} == {"status 503"}


def test_every_prediction_is_compared_with_the_native_models(
    ride_model: Path, tmp_path: Path
) -> None:
    with serving(ride_model) as service:
        code, said, report = load(service.url, tmp_path, "--reference", str(ride_model))
    assert code == 0, said
    assert report["checked_against_native"]
    with serving(command=stub("good")) as service:
        code, said, _ = load(service.url, tmp_path, "--reference", str(ride_model))
    assert code == 1, said
    assert "no --reference names" in said


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--seconds", "0"), "--seconds more than 0"),
        (("--reference", "/no/such/folder"), "--reference:"),
        (("--limits", "/no/such/file"), "--limits: /no/such/file"),
        (("--master",), "one process"),
    ],
)
def test_what_cannot_run_is_exit_code_2_and_a_sentence(
    options: tuple[str, ...], word: str, tmp_path: Path
) -> None:
    code, said, report = load("http://127.0.0.1:9", tmp_path, *options)
    assert code == 2, said
    assert word in said
    assert "Traceback" not in said
    assert report is None
