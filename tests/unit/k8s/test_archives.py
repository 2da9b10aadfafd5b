"""Images written as files: what is inside, and that the same inputs give the same image."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from pathlib import Path
from typing import Any

from k8s.local.archives import ImageSettings, image_id, write_image, write_layer


def make(folder: Path, *, name: str = "slipway-test:1", text: str = "program") -> Path:
    folder.mkdir()
    program, link = folder / "program", folder / "link"
    program.write_text(text)
    link.symlink_to("/usr/bin/real")
    # A file's date and owner are of the moment; the image's are not.
    os.utime(program, (len(text), 1_700_000_000))
    files = [(program, "usr/local/bin/program", 0o755), (link, "opt/link", 0o777)]
    write_layer(folder / "layer.tar", files)
    settings = ImageSettings(entrypoint=["/usr/local/bin/program"], environment={"LANG": "C"})
    write_image(folder / "image.tar", name, [folder / "layer.tar"], settings)
    return folder / "image.tar"


def content(archive: Path, name: str) -> Any:
    with tarfile.open(archive) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return json.load(file)


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    assert make(tmp_path / "a").read_bytes() == make(tmp_path / "b").read_bytes()
    assert image_id(make(tmp_path / "c")) != image_id(make(tmp_path / "d", text="other"))


def test_a_name_is_no_part_of_the_images_identity(tmp_path: Path) -> None:
    first, second = make(tmp_path / "a"), make(tmp_path / "b", name="slipway-test:2")
    assert image_id(first) == image_id(second)
    assert content(second, "manifest.json")[0]["RepoTags"] == ["slipway-test:2"]


def test_ids_and_layer_digests_are_the_hashes_of_what_they_name(tmp_path: Path) -> None:
    archive = make(tmp_path / "a")
    manifest = content(archive, "manifest.json")[0]
    with tarfile.open(archive) as tar:
        for place in [manifest["Config"], *manifest["Layers"]]:
            file = tar.extractfile(place)
            assert file is not None
            assert hashlib.sha256(file.read()).hexdigest() in place
    description = content(archive, manifest["Config"])
    assert description["rootfs"]["diff_ids"] == [
        f"sha256:{place.removesuffix('/layer.tar')}" for place in manifest["Layers"]
    ]
    assert description["config"]["Entrypoint"] == ["/usr/local/bin/program"]
    assert "LANG=C" in description["config"]["Env"]


def test_a_layer_has_its_folders_modes_and_links(tmp_path: Path) -> None:
    make(tmp_path / "a")
    with tarfile.open(tmp_path / "a" / "layer.tar") as layer:
        entries = {entry.name: entry for entry in layer}
    assert list(entries) == [
        "opt",
        "opt/link",
        "usr",
        "usr/local",
        "usr/local/bin",
        "usr/local/bin/program",
    ]
    assert entries["usr/local/bin/program"].mode == 0o755
    assert entries["opt/link"].linkname == "/usr/bin/real"
    assert {(entry.uid, entry.mtime) for entry in entries.values()} == {(0, 0)}
