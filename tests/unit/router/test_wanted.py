"""What should be loaded, from what is loaded and what was seen."""

from __future__ import annotations

import pytest
from msgspec import structs

from slipway.cluster.protocol import Pod, SlotName
from slipway.router.table import Table, table_of
from slipway.router.wanted import EMPTY, Wanted, is_answering, wanted

BLUE, GREEN = "sha256:" + "b1" * 32, "sha256:" + "9e" * 32
CANARY = table_of(5, ("blue", BLUE), ("green", GREEN), weight=500)
LOADED = Wanted(CANARY, {"blue": ("a:1",), "green": ()}, known=True)


def pod(address: str, digest: str = BLUE, ready: bool = True, unheard: bool = False) -> Pod:
    return Pod(address, address, address, digest, ready, unheard=unheard)


def text(table: Table) -> str:
    return table.to_json().decode()


def test_a_newer_document_is_followed_and_so_is_one_of_the_same_epoch() -> None:
    newer = structs.replace(CANARY, epoch=6)
    assert wanted(LOADED, text(newer), {}).table == newer
    edited = table_of(5, ("blue", BLUE))
    assert wanted(LOADED, text(edited), {}).table == edited


@pytest.mark.parametrize("document", ["{", text(structs.replace(CANARY, epoch=4))])
def test_what_cannot_be_followed_changes_nothing_and_is_told(document: str) -> None:
    found = wanted(LOADED, document, {"blue": [pod("a:1")]})
    assert found.table == CANARY
    assert found.refused
    assert found.known
    assert found.pods["blue"] == ("a:1",)
    assert not wanted(EMPTY, "{", {}).known


def test_a_document_that_is_gone_changes_nothing_but_the_pods() -> None:
    found = wanted(LOADED, None, {"blue": [pod("b:1")]})
    assert (found.table, found.refused, found.known) == (CANARY, "", True)
    assert found.pods == {"blue": ("b:1",), "green": ()}


def test_only_ready_pods_that_run_the_tables_digest_count() -> None:
    pods: dict[SlotName, list[Pod]] = {
        "blue": [
            pod("z:1"),
            pod("a:1"),
            pod("not-ready:1", ready=False),
            pod("other-digest:1", GREEN),
            pod("no-digest:1", ""),
            pod("bad address:1; evil"),
        ],
        "green": [pod("g:1", GREEN)],
    }
    assert wanted(EMPTY, text(CANARY), pods).pods == {"blue": ("a:1", "z:1"), "green": ("g:1",)}


def test_F3_pods_of_a_silent_node_serve_where_no_other_ones_do() -> None:
    silent = [pod("a:1", ready=False, unheard=True), pod("c:1", GREEN, ready=False, unheard=True)]
    assert wanted(EMPTY, text(CANARY), {"blue": silent}).pods["blue"] == ("a:1",)
    assert wanted(EMPTY, text(CANARY), {"blue": [*silent, pod("b:1")]}).pods["blue"] == ("b:1",)


def test_a_slot_that_is_not_in_the_table_has_no_pods() -> None:
    only_blue = table_of(1, ("blue", BLUE))
    assert wanted(EMPTY, text(only_blue), {"green": [pod("g:1", GREEN)]}).pods == {"blue": ()}


@pytest.mark.parametrize(
    ("loaded", "answering"),
    [
        (EMPTY, False),
        (Wanted(Table(epoch=1), known=True), True),
        (Wanted(Table(epoch=1, waiting=True), known=True), False),
        (Wanted(structs.replace(CANARY, waiting=True), known=True), True),
        (LOADED, True),
    ],
)
def test_ready_means_that_the_table_is_known_and_no_model_is_awaited(
    loaded: Wanted, answering: bool
) -> None:
    assert is_answering(loaded) is answering
