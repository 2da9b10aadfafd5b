"""The artefact cache: whole or not at all, whatever happens on the way."""

from __future__ import annotations

import multiprocessing
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from slipway.clients.objects import FolderObjects, ObjectInfo
from slipway.clients.registry import Registry
from slipway.errors import DigestMismatch, InvalidConfig, Unavailable, Untrusted
from slipway.models.cache import ArtifactCache, verify
from slipway.models.release import FileDigest, Release, digest_of
from slipway.models.resolve import Resolver


def release_of(folder: Path) -> Release:
    resolver = Resolver(_no_registry, lambda _uri: FolderObjects(), max_bytes=1 << 30)
    return resolver.resolve(str(folder))


def _no_registry() -> Registry:
    raise AssertionError("the registry was asked")


def fetch(cache: ArtifactCache, release: Release, objects: FolderObjects | None = None) -> Path:
    store = objects or FolderObjects()
    return cache.fetch(release, store, FolderObjects().list(release.uri)).path


class Failing(FolderObjects):
    """A store that breaks off in the middle of the second object."""

    @contextmanager
    def open(self, uri: str, path: str) -> Iterator[object]:  # type: ignore[override]
        with super().open(uri, path) as stream:
            if path == "MLmodel":
                yield stream
            else:
                yield _Broken()


class _Broken:
    def __init__(self) -> None:
        self.left = 3

    def read(self, _amount: int = -1) -> bytes:
        self.left -= 1
        if not self.left:
            raise Unavailable("broke off")
        return b"x" * 100


def everything_below(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def test_what_was_fetched_is_found_again_without_a_store(ride_model: Path, tmp_path: Path) -> None:
    cache, release = ArtifactCache(tmp_path), release_of(ride_model)
    assert cache.find(release) is None
    folder = fetch(cache, release)
    found = cache.find(release)
    assert found is not None
    assert found.path == folder
    assert everything_below(folder) == everything_below(ride_model)


def test_B13_a_download_that_breaks_off_leaves_nothing_visible(
    ride_model: Path, tmp_path: Path
) -> None:
    cache, release = ArtifactCache(tmp_path), release_of(ride_model)
    with pytest.raises(Unavailable, match="broke off"):
        fetch(cache, release, Failing())
    assert cache.find(release) is None
    assert everything_below(tmp_path) == []


def test_B3_row_3_other_bytes_than_the_lock_says_are_refused_and_thrown_away(
    ride_model: Path, tmp_path: Path
) -> None:
    release = release_of(ride_model)
    wrong = Release(
        **{name: getattr(release, name) for name in release.__struct_fields__}
        | {"digest": "sha256:" + "0" * 64}
    )
    with pytest.raises(DigestMismatch, match="digest mismatch"):
        fetch(ArtifactCache(tmp_path), wrong)
    assert everything_below(tmp_path) == []


def test_B3_row_3_a_damaged_copy_is_noticed_and_exchanged(ride_model: Path, tmp_path: Path) -> None:
    cache, release = ArtifactCache(tmp_path), release_of(ride_model)
    model = fetch(cache, release) / "model.skops"
    good = model.read_bytes()
    model.write_bytes(bytes([good[0] ^ 1]) + good[1:])
    with pytest.raises(DigestMismatch):
        cache.find(release)
    fetch(cache, release)
    assert model.read_bytes() == good
    assert cache.find(release)


def test_an_added_file_changes_the_digest(ride_model: Path, tmp_path: Path) -> None:
    cache, release = ArtifactCache(tmp_path), release_of(ride_model)
    (fetch(cache, release) / "extra.py").write_text("x = 1")
    with pytest.raises(DigestMismatch):
        cache.find(release)


def test_the_file_that_mlflow_adds_does_not(ride_model: Path, tmp_path: Path) -> None:
    cache, release = ArtifactCache(tmp_path), release_of(ride_model)
    (fetch(cache, release) / "registered_model_meta").write_text("{}")
    assert cache.find(release)


def test_an_object_that_climbs_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    digest = digest_of([FileDigest("../x", 1, "0" * 64)])
    release = Release(
        reference="x", uri="/nowhere", digest=digest, size=1, flavor="sklearn",
        serialization="skops", use_case="rides", resolved_at="",
    )  # fmt: skip
    with pytest.raises(Untrusted, match="outside"):
        ArtifactCache(tmp_path).fetch(release, FolderObjects(), [ObjectInfo("../x", 1)])


def test_a_store_that_only_drips_is_given_up(ride_model: Path, tmp_path: Path) -> None:
    """B13: the clock of this test runs ten seconds a look."""
    ticks = iter(range(0, 10_000, 10))
    cache = ArtifactCache(tmp_path, clock=lambda: float(next(ticks)))
    with pytest.raises(Unavailable, match="too slow"):
        fetch(cache, release_of(ride_model), _Dripping())
    assert everything_below(tmp_path) == []


class _Dripping(FolderObjects):
    @contextmanager
    def open(self, uri: str, path: str) -> Iterator[object]:  # type: ignore[override]
        with super().open(uri, path) as stream:
            yield _ByteByByte(stream)


class _ByteByByte:
    def __init__(self, stream: object) -> None:
        self._stream = stream

    def read(self, _amount: int = -1) -> bytes:
        data: bytes = self._stream.read(1)  # type: ignore[attr-defined]
        return data


def test_B15_an_artefact_larger_than_the_disk_says_so_and_gives_the_space_back(
    ride_model: Path, tmp_path: Path
) -> None:
    release = release_of(ride_model)
    huge = [ObjectInfo(entry.path, 1 << 60) for entry in FolderObjects().list(release.uri)]
    with pytest.raises(Unavailable, match=r"bytes free.*SLIPWAY_CACHE_DIR"):
        ArtifactCache(tmp_path).fetch(release, FolderObjects(), huge)
    assert everything_below(tmp_path) == []


def test_a_cache_that_cannot_be_written_says_which_setting_helps(ride_model: Path) -> None:
    # Even root may make nothing there.
    unwritable = Path("/sys/slipway")
    with pytest.raises(InvalidConfig, match="SLIPWAY_CACHE_DIR"):
        ArtifactCache(unwritable).remember("x", release_of(ride_model))


def _fetch_in_a_process(root: str, folder: str, barrier: object, results: object) -> None:
    release = release_of(Path(folder))
    barrier.wait(30)  # type: ignore[attr-defined]
    path = fetch(ArtifactCache(Path(root)), release)
    results.put(verify(path, release.digest).digest)  # type: ignore[attr-defined]


def test_B16_two_processes_at_once_end_with_one_whole_copy(
    ride_model: Path, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(2), context.Queue()
    processes = [
        context.Process(
            target=_fetch_in_a_process, args=(str(tmp_path), str(ride_model), barrier, results)
        )
        for _ in range(2)
    ]
    for process in processes:
        process.start()
    digests = {results.get(timeout=60) for _ in processes}
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    assert digests == {release_of(ride_model).digest}
    assert len(list((tmp_path / "models").iterdir())) == 1
    assert list((tmp_path / "tmp").iterdir()) == []


def test_what_a_reference_led_to_is_remembered(ride_model: Path, tmp_path: Path) -> None:
    cache, release = ArtifactCache(tmp_path), release_of(ride_model)
    assert cache.remembered("a") is None
    cache.remember("a", release)
    assert cache.remembered("a") == release
    assert cache.remembered("b") is None


def test_a_damaged_record_is_ignored(ride_model: Path, tmp_path: Path) -> None:
    cache = ArtifactCache(tmp_path)
    cache.remember("a", release_of(ride_model))
    (record,) = (tmp_path / "releases").iterdir()
    record.write_bytes(record.read_bytes()[:50])
    assert cache.remembered("a") is None


def test_work_left_by_a_crash_is_swept_after_an_hour(ride_model: Path, tmp_path: Path) -> None:
    old, young = tmp_path / "tmp" / "old", tmp_path / "tmp" / "young"
    for left in (old, young):
        left.mkdir(parents=True)
    os.utime(old, (0, 0))
    fetch(ArtifactCache(tmp_path), release_of(ride_model))
    assert not old.exists()
    assert young.exists()


def _fetch_on_a_small_disk(root: str, folder: str, results: object) -> None:
    """A limit on the size of files stands in for a disk that runs full while we write."""
    release = release_of(Path(folder))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, resource.RLIM_INFINITY))
    try:
        fetch(ArtifactCache(Path(root)), release)
    except Unavailable as error:
        results.put(error.message)  # type: ignore[attr-defined]
    else:
        results.put("fetched")  # type: ignore[attr-defined]


def test_B15_a_disk_that_runs_full_on_the_way_is_said_and_given_back(
    ride_model: Path, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(
        target=_fetch_on_a_small_disk, args=(str(tmp_path), str(ride_model), results)
    )
    process.start()
    said = results.get(timeout=60)
    process.join(30)
    assert "cannot be used" in said
    assert everything_below(tmp_path) == []
