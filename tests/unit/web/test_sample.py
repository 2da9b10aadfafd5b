"""The ring against a plain list: what is kept, what is lost, and which requests are chosen."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.errors import Malformed
from slipway.web.sample import CAPACITY, WHOLE, SampleRing, hash53

PAIRS = [f"pair-{number}" for number in range(2_000)]


def ring(share: int = WHOLE, capacity: int = CAPACITY) -> SampleRing:
    return SampleRing("pod", "sha256:x", share, capacity)


def kept(share: int) -> set[int]:
    sample = ring(share)
    for pair in PAIRS:
        sample.add(pair, "", [1.0], "live")
    return {row[0] for row in sample.after().rows}


def test_a_row_holds_hashes_and_never_the_ids_themselves() -> None:
    sample = ring()
    sample.add("pair", "somebody@example.org", [1.5, 2.5], "shadow")
    sample.add("pair", "", ["yes"], "live")
    page = sample.after()
    assert page.rows == [
        (hash53("pair"), 0, hash53("somebody@example.org"), 1.5, "shadow"),
        (hash53("pair"), 1, hash53("somebody@example.org"), 2.5, "shadow"),
        (hash53("pair"), 0, 0, "yes", "live"),
    ]
    assert (page.pod, page.digest, page.lost) == ("pod", "sha256:x", 0)


@given(st.text())
def test_a_hash_fits_exactly_into_a_number_of_json(text: str) -> None:
    number = hash53(text)
    assert 0 <= number < 2**53
    assert int(float(number)) == number


def test_the_hash_is_the_same_in_every_process_and_every_release_of_slipway() -> None:
    """Both slots must keep the same requests; one may run an older Slipway. So the values stand."""
    assert hash53("") == 8_044_937_785_282_358
    assert hash53("pair-1") == 7_448_264_656_406_530
    program = f"from slipway.web.sample import hash53; print([hash53(p) for p in {PAIRS[:50]!r}])"
    for seed in ("1", "2"):
        told = subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
        ).stdout
        assert json.loads(told) == [hash53(pair) for pair in PAIRS[:50]]


def test_the_share_is_of_the_requests_and_a_larger_one_holds_the_smaller() -> None:
    none, tenth, half, all_of_them = (kept(share) for share in (0, 1_000, 5_000, WHOLE))
    assert none == set()
    assert tenth < half < all_of_them
    assert len(all_of_them) == len(PAIRS)
    assert len(tenth) == pytest.approx(200, abs=45)
    assert len(half) == pytest.approx(1_000, abs=75)


def test_all_rows_of_a_request_are_kept_or_none() -> None:
    sample = ring(5_000)
    for pair in PAIRS[:100]:
        sample.add(pair, "", [0.0, 1.0, 2.0], "live")
    rows = sample.after().rows
    assert [row[1] for row in rows] == [0, 1, 2] * (len(rows) // 3)


@settings(deadline=None)
@given(st.integers(1, 8), st.lists(st.integers(0, 12) | st.none(), max_size=30), st.data())
def test_it_gives_what_a_list_would_give_that_forgets_its_beginning(
    capacity: int, steps: list[int | None], data: st.DataObject
) -> None:
    """A step adds so many predictions, or (None) reads on from any cursor that was ever given."""
    sample = ring(capacity=capacity)
    made: list[float] = []
    cursors = {"": 0}
    for step in steps:
        if step is not None:
            new = [float(len(made) + number) for number in range(step)]
            sample.add("pair", "", new, "live")
            made += new
            continue
        cursor = data.draw(st.sampled_from(sorted(cursors)))
        page = sample.after(cursor)
        oldest = max(0, len(made) - capacity)
        assert [row[3] for row in page.rows] == made[max(oldest, cursors[cursor]) :]
        assert page.lost == max(0, oldest - cursors[cursor])
        cursors[page.next] = len(made)


def test_a_cursor_of_the_process_before_gets_all_that_this_one_has() -> None:
    before, now = ring(), ring(capacity=2)
    for sample in (before, now):
        sample.add("pair", "", [1.0, 2.0, 3.0], "live")
    page = now.after(before.after().next)
    assert ([row[3] for row in page.rows], page.lost) == ([2.0, 3.0], 1)


def test_a_cursor_from_the_future_gets_nothing_and_loses_nothing() -> None:
    sample = ring()
    sample.add("pair", "", [1.0], "live")
    process, _, _ = sample.after().next.partition(".")
    page = sample.after(f"{process}.99")
    assert (page.rows, page.lost, page.next) == ([], 0, f"{process}.1")


@pytest.mark.parametrize(
    "cursor", ["1", ".", "a.", ".1", "a.-1", "a.1.2", "a b.1", "a.²", "a." + "1" * 63]
)
def test_what_is_no_cursor_is_malformed(cursor: str) -> None:
    with pytest.raises(Malformed, match="cursor"):
        ring().after(cursor)


@given(st.text())
def test_any_cursor_gives_a_page_or_is_malformed(cursor: str) -> None:
    try:
        ring().after(cursor)
    except Malformed:
        return


def test_whoever_reads_while_others_write_misses_and_repeats_nothing() -> None:
    sample, writers, each = ring(capacity=500), 4, 2_000

    def write(writer: int) -> None:
        for number in range(each):
            sample.add(f"{writer}-{number}", "", [0.0], "live")

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(writers)]
    for thread in threads:
        thread.start()
    seen: list[int] = []
    lost, cursor = 0, ""
    while True:
        ended = not any(thread.is_alive() for thread in threads)
        page = sample.after(cursor)
        seen += [row[0] for row in page.rows]
        lost += page.lost
        cursor = page.next
        if ended:
            break
    assert len(seen) == len(set(seen))
    assert len(seen) + lost == writers * each
