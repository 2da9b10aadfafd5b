"""The routing table: what is taken, what is refused and with which words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.errors import InvalidConfig
from slipway.router.table import Table, parse_table, table_of

BLUE, GREEN = "sha256:" + "b1" * 32, "sha256:" + "9e" * 32
CONTRACT = {
    "schema": 1,
    "epoch": 42,
    "waiting": False,
    "slots": {
        "blue": {"role": "stable", "digest": BLUE, "weight": 9500},
        "green": {"role": "candidate", "digest": GREEN, "weight": 500},
    },
    "shadow": {"slot": "green", "share": 10000},
    "sample": 10000,
    "timeouts": {"candidate": 2.0, "total": 30.0},
    "force_role": False,
}


def document(**changed: Any) -> str:
    return json.dumps({**CONTRACT, **changed})


def slots(**changed: Any) -> dict[str, Any]:
    """The contract's slots; `green_weight=1` changes a member, `green_role=None` takes it away."""
    made: dict[str, Any] = json.loads(json.dumps(CONTRACT["slots"]))
    for name, value in changed.items():
        slot, _, member = name.partition("_")
        made[slot][member] = value
    return made


def test_the_contracts_document_is_read_and_written_back() -> None:
    table = parse_table(json.dumps(CONTRACT))
    assert (table.slot_of("stable"), table.slot_of("candidate")) == ("blue", "green")
    assert table.slot_of("warm") is None
    assert table.slots["blue"].release == "b1" * 6
    assert json.loads(table.to_json()) == CONTRACT
    assert parse_table(table.to_json()) == table


def test_what_is_not_said_has_a_default_and_what_is_not_known_is_ignored() -> None:
    table = parse_table('{"schema": 1, "epoch": 0, "colour": "green"}')
    assert table == Table(epoch=0)
    assert (table.timeouts.candidate, table.timeouts.total) == (2.0, 30.0)


def test_the_checksum_goes_by_what_a_document_says_not_by_how_it_is_written() -> None:
    spaced = json.dumps(CONTRACT, indent=4, sort_keys=True)
    assert parse_table(spaced).checksum == parse_table(document()).checksum
    assert parse_table(document(epoch=43)).checksum != parse_table(document()).checksum


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot be read"),
        ("[]", "cannot be read"),
        ("{}", "epoch"),
        (document(schema=2), "schema 2"),
        (document(schema=2, epoch="later"), "schema 2"),
        (document(epoch=-1), "epoch"),
        (document(epoch=1.5), "epoch"),
        (document(epoch=True), "epoch"),
        (document(slots=slots(green_weight=501)), "add up to 10001"),
        (document(slots=slots(green_weight=-500)), "weight"),
        (document(slots=slots(green_weight=10_001)), "weight"),
        (document(slots=slots(green_weight=500.5)), "weight"),
        (document(slots=slots(green_role="stable")), "same role"),
        (document(slots=slots(green_role="boss")), "role"),
        (document(slots=slots(green_role="warm")), "warm slot has weight"),
        (document(slots=slots(blue_role="warm")), "no stable slot"),
        (document(slots=slots(blue_digest="sha256:12")), "digest"),
        (document(slots=slots(blue_digest=BLUE + "'; evil")), "digest"),
        (document(slots={"red": CONTRACT["slots"]["blue"]}), "red"),  # type: ignore[index]
        (document(slots={}), "shadow.slot"),
        (document(shadow={"slot": "blue"}), "shadow.slot"),
        (document(shadow={"slot": "green", "share": 10_001}), "share"),
        (document(timeouts={"candidate": 31}), "timeouts"),
        (document(timeouts={"total": 61}), "total"),
        (document(timeouts={"candidate": 0}), "candidate"),
        ('{"epoch": 1, "timeouts": {"total": NaN}}', "cannot be read"),
    ],
)
def test_nonsense_is_refused_with_a_sentence(text: str, words: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        parse_table(text)
    assert words in refused.value.message


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_a_table_or_refused(data: bytes) -> None:
    try:
        parse_table(data)
    except InvalidConfig:
        return


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.sampled_from([*CONTRACT, "else"]), JSON)
def test_any_value_in_any_place_is_a_table_or_refused(member: str, value: Any) -> None:
    """A table that is taken always adds up."""
    try:
        table = parse_table(document(**{member: value}))
    except InvalidConfig:
        return
    total = sum(entry.weight for entry in table.slots.values())
    assert total == (10_000 if table.slot_of("stable") else 0)


def test_a_table_is_made_from_who_plays_what() -> None:
    canary = table_of(7, ("blue", BLUE), ("green", GREEN), weight=500, shadow=10_000)
    assert json.loads(canary.to_json()) == {**CONTRACT, "epoch": 7}
    watched = table_of(8, ("green", GREEN), warm=("blue", BLUE), shadow=2500)
    assert watched.slots["green"].weight == 10_000
    assert watched.slots["blue"].weight == 0
    assert watched.shadow
    assert (watched.shadow.slot, watched.shadow.share) == ("blue", 2500)
    assert table_of(9) == Table(epoch=9)


def test_a_table_that_does_not_add_up_cannot_be_made() -> None:
    with pytest.raises(InvalidConfig, match="two roles"):
        table_of(1, ("blue", BLUE), ("blue", GREEN))
    with pytest.raises(InvalidConfig, match="no stable slot"):
        table_of(1, None, ("green", GREEN), weight=5)
