"""What headers say of a request, made safe."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.metrics import SOURCES
from slipway.web.call import MAX_ID, MAX_KEY, Call, read_call


def call(**headers: str) -> Call:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return read_call("POST", "/predict", named)


@pytest.mark.parametrize("given", ["a", "x" * MAX_ID, 'a b;c="d"', "00-4bf92f3577b34da6-01"])
def test_A16_a_sane_request_id_is_kept(given: str) -> None:
    assert call(X_Request_Id=given).request_id == given


@pytest.mark.parametrize("given", ["", "x" * (MAX_ID + 1), "a\nb", "a\tb", "é", "\x7f", "\ud800"])
def test_A16_any_other_is_replaced_by_our_own(given: str) -> None:
    for made in (call(X_Request_Id=given).request_id, call(X_Slipway_Pair=given).pair):
        assert re.fullmatch("[0-9a-f]{32}", made)


def test_A16_without_headers_every_request_has_ids_of_its_own() -> None:
    calls = [call() for _ in range(10)]
    assert len({c.request_id for c in calls} | {c.pair for c in calls}) == 20


def test_a_constant_request_id_does_not_make_one_pair_of_all_requests() -> None:
    pairs = {call(X_Request_Id="always-the-same").pair for _ in range(10)}
    assert len(pairs) == 10
    assert "always-the-same" not in pairs


@pytest.mark.parametrize("source", SOURCES)
def test_the_routers_source_is_believed(source: str) -> None:
    assert call(X_Slipway_Source=source).source == source


@given(st.text())
def test_A14_any_other_source_is_live(text: str) -> None:
    assert call(X_Slipway_Source=text).source in SOURCES
    assert call(X_Slipway_Source=f"{text}!").source == "live"


def test_a_key_is_kept_up_to_a_bound() -> None:
    assert call().key == ""
    assert call(X_Slipway_Key="user-1").key == "user-1"
    assert call(X_Slipway_Key="k" * 5_000).key == "k" * MAX_KEY


def test_A18_its_time_is_of_the_monotonic_clock() -> None:
    before = time.perf_counter()
    assert before <= call().started <= time.perf_counter()
