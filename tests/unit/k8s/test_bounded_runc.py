"""The runtime in front of runc: it takes away what the machine holds back, and nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from k8s.local import bounded_runc
from k8s.local.bounded_runc import CAPABILITIES, edit, held_back, option, without

ALL = (1 << len(CAPABILITIES)) - 1


def status(bounding: int) -> str:
    return f"Name:\tpython\nCapEff:\t{0:016x}\nCapBnd:\t{bounding:016x}\nCapAmb:\t{0:016x}\n"


@pytest.mark.parametrize(
    ("bounding", "missing"),
    [
        (ALL, set()),
        (ALL & ~(1 << 24), {"CAP_SYS_RESOURCE"}),
        (ALL & ~1 & ~(1 << 40), {"CAP_CHOWN", "CAP_CHECKPOINT_RESTORE"}),
        # A kernel that knows more than this table.
        (ALL | 1 << 60, set()),
        (0, {f"CAP_{name}" for name in CAPABILITIES}),
    ],
)
def test_the_bounding_set_says_what_is_held_back(bounding: int, missing: set[str]) -> None:
    assert held_back(status(bounding)) == missing


def test_a_system_without_a_bounding_set_holds_nothing_back() -> None:
    assert held_back("Name:\tpython\n") == set()


def test_numbers_are_the_kernels() -> None:
    """linux/capability.h: CAP_SYS_ADMIN is 21, CAP_SYS_RESOURCE 24, the last 40."""
    assert CAPABILITIES.index("SYS_ADMIN") == 21
    assert CAPABILITIES.index("SYS_RESOURCE") == 24
    assert CAPABILITIES.index("CHECKPOINT_RESTORE") == 40 == len(CAPABILITIES) - 1


def test_every_set_of_a_process_loses_what_is_missing_and_keeps_the_rest() -> None:
    process = {
        "args": ["sh"],
        "capabilities": {"bounding": ["CAP_A", "CAP_B"], "effective": ["CAP_B"], "ambient": []},
    }
    assert without(process, {"CAP_B"}) == {
        "args": ["sh"],
        "capabilities": {"bounding": ["CAP_A"], "effective": [], "ambient": []},
    }
    assert without({"args": ["sh"]}, {"CAP_B"}) == {"args": ["sh"]}


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (["create", "--bundle", "/b", "id"], "/b"),
        (["create", "--bundle=/b", "id"], "/b"),
        (["create", "-b", "/b", "id"], "/b"),
        (["create", "id", "--bundle"], None),
        (["create", "id"], None),
    ],
)
def test_options_are_read_in_both_forms(arguments: list[str], value: str | None) -> None:
    assert option(arguments, "--bundle", "-b") == value


def write(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document))
    return path


def test_create_and_exec_edit_the_document_that_they_are_about_to_use(tmp_path: Path) -> None:
    sets = {"bounding": ["CAP_A", "CAP_B"]}
    config = write(tmp_path / "config.json", {"root": {}, "process": {"capabilities": sets}})
    process = write(tmp_path / "process.json", {"cwd": "/", "capabilities": sets})
    edit(["--root", "/run", "create", "--bundle", str(tmp_path), "id"], {"CAP_B"})
    edit(["exec", "--process", str(process), "id"], {"CAP_B"})
    light = {"bounding": ["CAP_A"]}
    assert json.loads(config.read_text()) == {"root": {}, "process": {"capabilities": light}}
    assert json.loads(process.read_text()) == {"cwd": "/", "capabilities": light}


def test_other_calls_touch_nothing(tmp_path: Path) -> None:
    config = write(tmp_path / "config.json", {"process": {"capabilities": {"bounding": ["CAP_A"]}}})
    before = config.read_text()
    for arguments in (["kill", "id", "9"], ["state", "id"], ["exec", "id", "sh"], ["--version"]):
        edit(["--root", str(tmp_path), *arguments], {"CAP_A"})
    assert config.read_text() == before


def test_it_becomes_runc_with_the_same_arguments(tmp_path: Path) -> None:
    """As the engine runs it: the file alone, without our package."""
    runc = tmp_path / "runc"
    runc.write_text('#!/bin/sh\necho "$@"\nexit 7\n')
    runc.chmod(0o755)
    ended = subprocess.run(
        [sys.executable, "-IS", bounded_runc.__file__, "kill", "some id", "KILL"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (7, "kill some id KILL\n")
