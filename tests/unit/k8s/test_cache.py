"""The cache of what was built: keys follow their inputs, artefacts are whole or not there."""

from __future__ import annotations

import multiprocessing
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from k8s.local.cache import Cache, files_below, key_of


def test_a_key_changes_with_every_fact_and_every_file(tmp_path: Path) -> None:
    file = tmp_path / "units" / "kubelet.service"
    file.parent.mkdir()
    file.write_text("one")
    keys = [key_of(["kind", "0.30.0"], [file])]
    keys.append(key_of(["kind", "0.31.0"], [file]))
    file.write_text("two")
    keys.append(key_of(["kind", "0.30.0"], [file]))
    keys.append(key_of(["kind", "0.30.0"], [file.rename(file.with_name("other"))]))
    assert len(set(keys)) == len(keys)


def test_a_key_does_not_depend_on_where_its_facts_are_parted() -> None:
    assert key_of(["ab", "c"]) != key_of(["a", "bc"])
    assert key_of(["a", "b"]) == key_of(iter(["a", "b"]))


def test_files_come_in_one_order_and_without_folders(tmp_path: Path) -> None:
    for name in ("b/z", "a/y", "c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [file.relative_to(tmp_path).as_posix() for file in files_below(tmp_path)] == [
        "a/y",
        "b/z",
        "c",
    ]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_build_leaves_neither_the_artefact_nor_its_part(
    tmp_path: Path, error: type[BaseException]
) -> None:
    target = Cache(tmp_path).path("images", "node", "0" * 12, ".tar")

    def build() -> None:
        with Cache(tmp_path).making(target) as partial:
            partial.write_text("half")
            assert not target.exists()
            raise error

    with pytest.raises(error):
        build()
    assert list(target.parent.iterdir()) == []


def test_a_build_that_ends_well_replaces_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "programs" / "kind-1"
    for text in ("old", "new"):
        with Cache(tmp_path).making(target) as partial:
            partial.write_text(text)
    assert target.read_text() == "new"


def test_what_a_killed_build_left_is_swept_by_the_next_setup(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    left_file, left_folder = tmp_path / "images" / "a.partial", tmp_path / "work" / "b.partial"
    (left_folder / "inside").mkdir(parents=True)
    left_file.parent.mkdir()
    left_file.touch()
    whole = tmp_path / "images" / "node-1.tar"
    whole.touch()
    with cache.alone(waiting=lambda: None):
        assert not left_file.exists()
        assert not left_folder.exists()
    assert whole.exists()


def test_a_second_setup_waits_for_the_first_and_says_so(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("spawn")
    waiting, done = fork.Event(), fork.Event()
    with Cache(tmp_path).alone(waiting=lambda: None):
        second = fork.Process(target=_hold, args=(tmp_path, waiting, done))
        second.start()
        assert waiting.wait(30)
        assert not done.is_set()
    second.join(30)
    assert done.is_set()


def _hold(root: Path, waiting: Event, done: Event) -> None:
    with Cache(root).alone(waiting=waiting.set):
        done.set()


def test_a_link_leads_to_the_newest_program_also_if_the_old_one_is_gone(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for key in ("1", "2"):
        program = cache.path("programs", "helm", key)
        program.parent.mkdir(exist_ok=True)
        program.write_text(key)
        cache.link(program, "helm")
        assert (cache.bin / "helm").read_text() == key
        program.unlink()


def test_pruning_keeps_the_artefact_in_use_and_one_other(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for key in ("a", "b", "c"):
        artefact = cache.path("images", "node", key * 12, ".tar")
        artefact.parent.mkdir(exist_ok=True)
        artefact.touch()
        cache.prune(artefact, "node", ".tar")
    other = cache.path("images", "node-base", "d" * 12, ".tar")
    other.touch()
    oldest = cache.path("images", "node", "b" * 12, ".tar")
    # In use again: now "c" is the older one, and both stay.
    cache.prune(oldest, "node", ".tar")
    left = {file.name for file in oldest.parent.iterdir()}
    assert left == {f"node-{'b' * 12}.tar", f"node-{'c' * 12}.tar", other.name}
