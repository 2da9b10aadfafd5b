"""Real load on a real service: the verdict must be able to pass and to fail (R52)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.load_test import WIDE, Verdict, load_test
from tests.service_process import free_port, serving, stub
from tests.waiting import until

SECONDS = ("--seconds", "3")
# Three seconds of load, but a service and a load generator to start beside whatever else runs.
pytestmark = pytest.mark.timeout(300)


def run(url: str, folder: Path, *options: str, limits: str = WIDE) -> Verdict:
    with load_test(url, folder, *SECONDS, *options, limits=limits) as running:
        return running.wait()


def failures(verdict: Verdict) -> set[str]:
    assert verdict.report is not None, verdict.said
    return {why for row in verdict.report["answered_by"] for why in row["failures"]}


def test_R52_a_good_model_passes_at_wide_limits_and_is_named_in_both_reports(
    tmp_path: Path,
) -> None:
    with serving(command=stub("good"), environment={"SLIPWAY_SLOT": "blue"}) as service:
        verdict = run(service.url, tmp_path)
        requests = service.requests()
    assert verdict.code == 0, verdict.said
    assert "passed: all limits are met" in verdict.said
    group = only_group(verdict)
    assert (group["slot"], group["failed"]) == ("blue", 0)
    assert group["requests"] == len(requests) > 20
    assert f"{group['model_version'][:12]} blue" in (tmp_path / "load.html").read_text()
    assert {line["path"] for line in requests} == {"/predict", "/invocations"}


def test_R52_a_model_that_sleeps_fails_with_a_sentence_for_each_missed_limit(
    tmp_path: Path,
) -> None:
    limits = WIDE.replace("10000", "200").replace("5000", "100")
    with serving(command=stub("slow")) as service:
        verdict = run(service.url, tmp_path, "--rate", "3", limits=limits)
    assert verdict.code == 1, verdict.said
    for sentence in ("MISSED: p95 is", "MISSED: p99 is"):
        assert sentence in verdict.said
    assert verdict.report is not None
    assert not verdict.report["passed"]


def test_R52_a_service_without_a_model_fails_by_its_status(tmp_path: Path) -> None:
    with serving() as service:
        verdict = run(service.url, tmp_path)
    assert verdict.code == 1, verdict.said
    assert failures(verdict) == {"status 503"}


def test_a_service_that_is_not_there_fails_by_the_kind_of_error(tmp_path: Path) -> None:
    verdict = run(f"http://127.0.0.1:{free_port()}", tmp_path)
    assert verdict.code == 1, verdict.said
    assert failures(verdict) == {"no answer: ConnectionRefusedError"}


def test_an_interrupted_test_judges_what_there_was_and_loses_no_answer(tmp_path: Path) -> None:
    with (
        serving(command=stub("good")) as service,
        load_test(service.url, tmp_path, "--seconds", "60") as running,
    ):
        until(lambda: len(service.requests()) > 30, 30, "some requests")
        verdict = running.interrupt()
        requests = service.requests()
    assert verdict.code == 0, verdict.said
    assert only_group(verdict)["requests"] == len(requests)


def test_every_prediction_is_compared_with_the_native_models(
    ride_model: Path, tmp_path: Path
) -> None:
    with serving(ride_model) as service:
        verdict = run(service.url, tmp_path, "--reference", str(ride_model))
    assert verdict.code == 0, verdict.said
    assert verdict.report is not None
    assert verdict.report["checked_against_native"]
    assert "compared with the native model's" in verdict.said


def test_another_models_predictions_are_failures_where_a_reference_is_given(
    ride_model: Path, tmp_path: Path
) -> None:
    with serving(command=stub("good")) as service:
        verdict = run(service.url, tmp_path, "--reference", str(ride_model))
    assert verdict.code == 1, verdict.said
    assert failures(verdict) == {"answered by a model version that no --reference names"}


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
    verdict = run(f"http://127.0.0.1:{free_port()}", tmp_path, *options)
    assert verdict.code == 2, verdict.said
    assert word in verdict.said
    assert "Traceback" not in verdict.said
    assert verdict.report is None


def only_group(verdict: Verdict) -> dict[str, Any]:
    assert verdict.report is not None, verdict.said
    [group] = verdict.report["answered_by"]
    found: dict[str, Any] = group
    return found
