"""Compiled forms kept on a disk that may be damaged, full, read-only or of another version."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fitted_models import of_columns, of_dicts, of_numbers, rides

from slipway.models import form_store
from slipway.models.compile import compile_model
from slipway.models.form_store import FormStore, Kept
from slipway.scoring.forms import Form

DIGEST = "sha256:" + "a" * 64


def compiled(made: tuple[Any, Any]) -> Form:
    model, use_case = made
    return compile_model(model.predict, use_case)


FORMS: dict[str, tuple[Callable[[], Form], list[dict[str, Any]]]] = {
    "linear": (lambda: compiled(of_dicts("linear")), rides(1)),
    "linear of columns": (lambda: compiled(of_columns("ridge")), rides(1)),
    "steps": (lambda: compiled(of_dicts("forest")), rides(1)),
    "steps, zones apart": (
        lambda: compiled(of_dicts("boosting", apart=True)),
        rides(1, apart=True),
    ),
    "trees": (
        lambda: compiled(of_numbers("histogram", missing=True)),
        [{"a": 1.0, "b": float("nan"), "c": 2.5}, {"a": -1.0, "b": 0.5, "c": float("nan")}],
    ),
}


def only_file(folder: Path) -> Path:
    (path,) = (folder / "compiled").iterdir()
    return path


@pytest.mark.parametrize("name", FORMS)
def test_what_is_kept_answers_with_the_same_bits(name: str, tmp_path: Path) -> None:
    make, rows = FORMS[name]
    form, store = make(), FormStore(tmp_path)
    assert store.find(DIGEST) is None
    store.keep(DIGEST, Kept(form, apart=True))
    kept = FormStore(tmp_path).find(DIGEST)
    assert kept is not None
    assert kept.apart
    assert kept.form.name == form.name
    assert kept.form(rows).tobytes() == form(rows).tobytes()
    assert kept.form(rows[:1]).tobytes() == form(rows[:1]).tobytes()
    assert store.find("sha256:" + "b" * 64) is None


@given(st.data())
def test_a_byte_that_has_changed_is_never_believed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    store = FormStore(folder)
    store.keep(DIGEST, Kept(FORMS["linear"][0]()))
    path = only_file(folder)
    document = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(document) - 1))
    document[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(document)
    assert store.find(DIGEST) is None


@pytest.mark.parametrize("size", [0, 10, 100, 1000])
def test_a_file_that_was_cut_off_is_never_believed(size: int, tmp_path: Path) -> None:
    store = FormStore(tmp_path)
    store.keep(DIGEST, Kept(FORMS["linear"][0]()))
    path = only_file(tmp_path)
    path.write_bytes(path.read_bytes()[:size])
    assert store.find(DIGEST) is None
    store.keep(DIGEST, Kept(FORMS["linear"][0]()))
    assert store.find(DIGEST) is not None


def test_another_artefacts_form_is_never_believed(tmp_path: Path) -> None:
    store, other = FormStore(tmp_path), "sha256:" + "b" * 64
    store.keep(DIGEST, Kept(FORMS["linear"][0]()))
    path = only_file(tmp_path)
    path.rename(path.with_name(path.name.replace("a" * 64, "b" * 64)))
    assert store.find(other) is None


def test_another_compilers_form_is_never_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FormStore(tmp_path)
    store.keep(DIGEST, Kept(FORMS["linear"][0]()))
    monkeypatch.setattr(form_store, "COMPILER", form_store.COMPILER + 1)
    assert store.find(DIGEST) is None


def test_only_the_newest_forms_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, form = FormStore(tmp_path), FORMS["linear"][0]()
    store.keep(DIGEST, Kept(form))
    monkeypatch.setattr(form_store, "ROOM", 3 * only_file(tmp_path).stat().st_size)
    for age, letter in enumerate("bcde"):
        digest = "sha256:" + letter * 64
        for path in (tmp_path / "compiled").iterdir():
            os.utime(path, (1000 + age, 1000 + age) if letter in path.name[:1] else None)
        store.keep(digest, Kept(form))
    kept = [letter for letter in "abcde" if store.find("sha256:" + letter * 64)]
    assert len(kept) == 3
    assert kept[-1] == "e"


def test_a_form_beyond_the_room_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(form_store, "ROOM", 100)
    store = FormStore(tmp_path)
    store.keep(DIGEST, Kept(FORMS["linear"][0]()))
    assert store.find(DIGEST) is None


def test_a_folder_that_cannot_be_made_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = FormStore(tmp_path / "file")
    store.keep(DIGEST, Kept(FORMS["linear"][0]()))
    assert store.find(DIGEST) is None


# A process that may write no file of more than so many bytes: for it, the disk is full.
FULL = """
import resource, sys
from pathlib import Path
from tests.artifacts import RIDE
from slipway.models.obtain import obtain
from slipway.settings import ModelSettings, read_settings
from slipway.usecases.rides import Ride
resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
loaded = obtain(read_settings(ModelSettings, location=sys.argv[1], scratch_dir=sys.argv[2]))
print(loaded.scorer.form, loaded.scorer.score([Ride(**RIDE)])[0])
"""


def test_a_full_disk_keeps_nothing_and_stops_nothing(ride_model: Path, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FULL, str(ride_model), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1].startswith("linear 1")
    assert "could not be kept" in ran.stdout + ran.stderr
    assert not list((tmp_path / "compiled").iterdir())


def test_a_file_of_other_kinds_of_arrays_is_refused() -> None:
    with pytest.raises(ValueError, match="another kind"):
        form_store._arrays([["x", "|O", [1]]], bytes(8))
    assert np.array_equal(form_store._arrays([["x", "<i8", [1]]], bytes(8))["x"], [0])
