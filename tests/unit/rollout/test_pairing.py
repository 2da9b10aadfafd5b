"""The two answers to one request find each other, in whatever order and look they come."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from slipway.rollout.pairing import PATIENCE, Key, Pairing


def answers(*numbers: int, times: float = 1.0) -> list[tuple[Key, float]]:
    return [((number, 0), times * number) for number in numbers]


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_pairs_are_found_in_whatever_order_both_halves_come(order: tuple[int, ...]) -> None:
    pieces = [(answers(1, 2), []), (answers(3), []), ([], answers(3, 1)), ([], answers(2))]
    pairing = Pairing()
    found = [pairing.join(float(at), *pieces[index]) for at, index in enumerate(order)]
    live = np.concatenate([each.live for each in found])
    assert sorted(live.tolist()) == [1.0, 2.0, 3.0]
    assert live.tolist() == np.concatenate([each.copied for each in found]).tolist()
    assert sum(each.unmatched for each in found) == 0


@pytest.mark.parametrize("seed", range(20))
def test_every_copy_is_a_pair_or_unmatched_once_and_no_pair_mixes_two_requests(seed: int) -> None:
    chance = random.Random(seed)
    live = answers(*chance.sample(range(400), 300))
    copied = answers(*chance.sample(range(400), 200), times=10.0)
    chance.shuffle(live)
    pairing = Pairing()
    found = [pairing.join(at, live[at::10], copied[at::10]) for at in range(10)]
    found.append(pairing.join(10 + 2 * PATIENCE, [], []))
    pairs = {(s, c) for each in found for s, c in zip(each.live, each.copied, strict=True)}
    assert all(c == 10 * s for s, c in pairs)
    both = {key for key, _ in live} & {key for key, _ in copied}
    assert len(pairs) == sum(len(each.live) for each in found) == len(both)
    assert sum(each.unmatched for each in found) == len(copied) - len(both)


def test_rows_of_one_request_are_pairs_of_their_own() -> None:
    found = Pairing().join(0, [((5, 0), 1.0), ((5, 1), 2.0)], [((5, 1), 20.0), ((5, 0), 10.0)])
    assert sorted(zip(found.live, found.copied, strict=True)) == [(1.0, 10.0), (2.0, 20.0)]


def test_an_answer_that_comes_twice_counts_once() -> None:
    pairing = Pairing()
    first = pairing.join(0, answers(1, 1), answers(1, 1, times=2.0))
    assert (first.live.tolist(), first.copied.tolist()) == ([1.0], [2.0])


def test_a_late_half_is_waited_for_and_a_lost_one_is_not_for_ever() -> None:
    pairing = Pairing()
    pairing.join(0, answers(1, 2), answers(7))
    late = pairing.join(PATIENCE, [], answers(1))
    assert (late.live.tolist(), late.unmatched) == ([1.0], 0)
    assert pairing.join(PATIENCE + 1, [], []).unmatched == 1
    over = pairing.join(PATIENCE + 2, answers(7), answers(2))
    assert (over.live.tolist(), over.unmatched) == ([], 0)


def test_live_answers_that_were_not_copied_are_no_loss() -> None:
    pairing = Pairing()
    pairing.join(0, answers(*range(100)), [])
    assert pairing.join(2 * PATIENCE, [], []).unmatched == 0


def test_no_more_than_so_many_wait() -> None:
    pairing = Pairing(most=10)
    assert pairing.join(0, [], answers(*range(25))).unmatched == 15
    assert pairing.join(1, answers(*range(25)), []).live.tolist() == list(range(15, 25))
