"""`slipway simulate` as a user meets it."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from slipway.cli import picture
from slipway.cli.verbs import app
from slipway.rollout.policy import PRESETS
from slipway.rollout.simulate import Rollout
from slipway.rollout.traffic import Traffic, ride_answers

SAME = ride_answers(2000)


def run(*arguments: str) -> str:
    found = CliRunner().invoke(app, ["simulate", *arguments])
    assert found.exit_code == 0, found.output
    return found.output


def test_it_says_what_a_policy_needs_and_draws_a_rollout() -> None:
    told = " ".join(run("--runs", "5", "--rate", "50").split())
    assert "this policy needs about" in told
    assert "requests to 100 %" in told
    assert "promoted 100 % of 5" in told
    assert "watch" in told
    assert "errors +" in told


def test_a_bad_model_is_said_to_be_stopped_and_by_what() -> None:
    told = run("--runs", "3", "--higher", "1.3")
    assert "stopped 100 % of 3" in told
    assert "3 by mean at shadow" in told


def test_results_as_json_are_one_object_a_rollout() -> None:
    found = json.loads(run("--runs", "3", "-o", "json"))
    assert [r["end"] for r in found] == ["promoted"] * 3


def test_a_policy_comes_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("preset: careful\nsteps: [10]\n")
    assert "10 %" in run("--runs", "2", "--policy", str(path))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--policy", "nowhere.yaml"], "no preset and no file"),
        (["-o", "xml"], "text or json"),
        (["--figures", "--only", "nothing-like-it"], "no scenario"),
    ],
)
def test_a_wrong_option_is_a_sentence(arguments: list[str], words: str) -> None:
    found = CliRunner().invoke(app, ["simulate", *arguments])
    assert found.exit_code != 0
    assert words in str(found.exception)


def test_the_list_of_figures_prints_a_table_row_for_each() -> None:
    told = run("--figures", "--only", "errors-20-shadow", "--runs", "4")
    assert told.startswith("| errors-20-shadow | stopped in shadow | 100 %")


def test_a_figure_that_is_missed_makes_the_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    from slipway.rollout import figures

    worse = figures.Scenario("bad", "bad", Traffic(50, SAME, worse=0.3), [figures.stopped(0.01)])
    monkeypatch.setattr(figures, "scenarios", lambda _rides: [worse])
    found = CliRunner().invoke(app, ["simulate", "--figures", "--runs", "2"])
    assert found.exit_code == 1
    assert "missed" in found.output


def test_the_picture_is_a_png_with_the_weight_and_a_panel_for_each_gate(tmp_path: Path) -> None:
    path = tmp_path / "rollout.png"
    run("--runs", "1", "--draw", str(path))
    dots = decoded(path.read_bytes())
    assert dots.shape[1] == picture.WIDTH
    assert dots.shape[0] > 5 * picture.PANEL
    # Above, the weight rises to all of the traffic; it is green from the promotion on.
    green = np.all(dots[: picture.PANEL + picture.GAP] == picture.GREEN, axis=2)
    assert green[:, picture.LEFT : picture.LEFT + 100].sum() == 0
    assert green[:, -10:].any()


def decoded(data: bytes) -> np.ndarray:
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", data[16:24])
    start = data.index(b"IDAT") + 4
    (length,) = struct.unpack(">I", data[start - 8 : start - 4])
    rows = np.frombuffer(zlib.decompress(data[start : start + length]), np.uint8)
    return rows.reshape(height, 1 + 3 * width)[:, 1:].reshape(height, width, 3)


def test_nothing_is_not_drawn() -> None:
    with pytest.raises(ValueError, match="nothing"):
        picture.draw([])


def test_a_gates_values_are_drawn_in_units_of_what_is_allowed() -> None:
    rollout = Rollout(PRESETS["careful"], Traffic(50, SAME), 1, brief=False)
    look = next(iter(rollout.looks(600)))
    for verdict in look.verdicts:
        limit = picture.allowed(verdict, verdict.limit)
        if verdict.estimate is not None:
            assert limit == pytest.approx(1.0)
