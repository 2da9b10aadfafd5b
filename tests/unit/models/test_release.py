"""The release lock and its digest."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.errors import InvalidConfig
from slipway.models.release import FileDigest, Release, digest_of, is_part, parse_release
from slipway.usecases.protocol import InputField

RELEASE = Release(
    reference="models:/ride-duration@champion",
    run_id="0" * 32,
    uri="s3://mlflow/1/models/m-1/artifacts",
    digest="sha256:" + "a" * 64,
    size=48211,
    flavor="sklearn",
    serialization="skops",
    requires={"scikit-learn": "1.9.1"},
    use_case="rides",
    inputs=[InputField("PULocationID", "zone")],
    buckets=[1.2, 2.4],
    resolved_at="2026-11-23T10:00:00Z",
)


def test_a_lock_is_read_back_as_it_was_written() -> None:
    assert parse_release(RELEASE.to_json()) == RELEASE


def test_the_document_has_the_members_of_the_contract() -> None:
    document = json.loads(RELEASE.to_json())
    assert document["schema"] == 1
    assert document["bytes"] == 48211
    assert document["inputs"] == [{"name": "PULocationID", "type": "zone", "required": True}]


def test_an_unknown_member_is_let_through_and_a_newer_schema_is_not() -> None:
    document = json.loads(RELEASE.to_json())
    assert parse_release(json.dumps(document | {"later": 1}).encode()) == RELEASE
    with pytest.raises(InvalidConfig, match="schema 2"):
        parse_release(json.dumps(document | {"schema": 2}).encode())


@pytest.mark.parametrize(
    "broken",
    [b"", b"{}", b"[]", b'{"digest": 1}', b'{"digest": "\xff"}', b"\xff", RELEASE.to_json()[:-9]],
)
def test_a_broken_lock_is_refused(broken: bytes) -> None:
    with pytest.raises(InvalidConfig, match="release lock"):
        parse_release(broken)


def test_a_digest_that_is_none_is_refused() -> None:
    document = json.loads(RELEASE.to_json()) | {"digest": "sha256:../../x"}
    with pytest.raises(InvalidConfig, match="digest"):
        parse_release(json.dumps(document).encode())


FILES = st.lists(
    st.builds(
        FileDigest,
        path=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1),
        size=st.integers(0, 2**40),
        sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
    ),
    min_size=1,
    max_size=8,
)


@given(FILES, st.randoms())
def test_the_order_of_the_files_does_not_change_the_digest(
    files: list[FileDigest], order: random.Random
) -> None:
    shuffled = list(files)
    order.shuffle(shuffled)
    assert digest_of(shuffled) == digest_of(files)


@given(FILES, st.data())
def test_any_change_of_a_file_changes_the_digest(
    files: list[FileDigest], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(files) - 1))
    old = files[index]
    changed = data.draw(
        st.sampled_from(
            [
                FileDigest(old.path + "x", old.size, old.sha256),
                FileDigest(old.path, old.size + 1, old.sha256),
                FileDigest(old.path, old.size, old.sha256[::-1] + "0"),
            ]
        )
    )
    assert digest_of([*files[:index], changed, *files[index + 1 :]]) != digest_of(files)


def test_the_file_that_mlflow_adds_now_and_then_is_not_part_of_the_artefact() -> None:
    assert not is_part("registered_model_meta")
    assert is_part("MLmodel")


def test_the_version_is_the_run_id_or_else_the_digest() -> None:
    assert RELEASE.version == "0" * 32
    nameless = json.loads(RELEASE.to_json()) | {"run_id": None}
    assert parse_release(json.dumps(nameless).encode()).version == "a" * 12
