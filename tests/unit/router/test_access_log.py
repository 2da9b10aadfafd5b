"""What a line of nginx's log counts for."""

from __future__ import annotations

import pytest

from slipway.router.access_log import Answer, Counted, read_front_line, read_route_line

CANARY = "green|9e9e|live|blue|b1b1"
STABLE = "blue|b1b1|live|none|none"


def line(who: str = STABLE, status: str = "200", attempts: str = "200|0.002|0.003") -> str:
    return f"{who}|-|{status}|{attempts}|34|34|-|an id | with a bar"


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        (line(), Counted((Answer("blue", "b1b1", "200", "live", 0.003),))),
        # Two pods of one slot were asked: the time of both, the answer of the last.
        (
            line(attempts="502, 200|-, 0.002|0.001, 0.002"),
            Counted((Answer("blue", "b1b1", "200", "live", 0.003),)),
        ),
        # Nobody was asked.
        (
            line("none|none|live|none|none", "503", "-|-|-"),
            Counted((Answer("none", "none", "503", "live"),)),
        ),
        (line(CANARY), Counted((Answer("green", "9e9e", "200", "live", 0.003),))),
        (
            line("green|9e9e|forced|none|none", "500", "500|0.001|0.001"),
            Counted((Answer("green", "9e9e", "500", "forced", 0.001),)),
        ),
        (
            line("green|9e9e|shadow|none|none").replace("|-|", "|PASSED|", 1),
            Counted((Answer("green", "9e9e", "200", "shadow", 0.003),)),
        ),
        (
            line().replace("|-|an id", "|7f00|an id"),
            Counted((Answer("blue", "b1b1", "200", "live", 0.003),), pair="7f00"),
        ),
        (
            line("green|9e9e|shadow|none|none", "503", "-|-|-").replace("|-|", "|REJECTED|", 1),
            Counted(dropped=True),
        ),
    ],
)
def test_a_line_counts_as_its_slots_answer(text: str, counted: Counted) -> None:
    assert read_route_line(text + "\n") == counted


@pytest.mark.parametrize(
    ("status", "attempts", "code", "fallback"),
    [
        ("200", "500 : 200|0.001 : 0.002|0.001 : 0.002", "500", ("5xx", "answered")),
        ("200", "422 : 200|0.001 : 0.002|0.001 : 0.002", "422", ("422", "answered")),
        ("200", "504 : 200|- : 0.002|0.001 : 0.002", "504", ("timeout", "answered")),
        ("200", "502 : 200|- : 0.002|0.001 : 0.002", "502", ("connect", "answered")),
        # It answered 504 by itself.
        ("200", "504 : 200|0.001 : 0.002|0.001 : 0.002", "504", ("5xx", "answered")),
        ("200", "502, 500 : 200|-, 0 : 0.002|0.0, 0.001 : 0.002", "500", ("5xx", "answered")),
        ("422", "500 : 422|0.001 : 0.002|0.001 : 0.002", "500", ("5xx", "failed")),
        ("404", "500 : 404|0.001 : 0.002|0.001 : 0.002", "500", ("5xx", "failed")),
        ("502", "500 : 502, 502|0.001 : -, -|0.001 : 0.001, 0.001", "500", ("5xx", "failed")),
    ],
)
def test_a_fallback_counts_for_both_slots_and_says_why(
    status: str, attempts: str, code: str, fallback: tuple[str, str]
) -> None:
    found = read_route_line(f"{CANARY}|-|{status}|{attempts}|34|0 : 34|-|id")
    assert found
    assert found.fallback == fallback
    failed, answered = found.answers
    assert failed == Answer("green", "9e9e", code, "live", 0.001)
    assert answered == Answer("blue", "b1b1", status, "fallback", 0.002)


def test_an_answer_that_broke_off_is_no_answer() -> None:
    text = line().replace("|34|34|", "|34|29|")
    found = read_route_line(text)
    assert found
    assert found.answers[0].code == "502"
    # A HEAD has a length and no body; nginx writes no length for it.
    whole = read_route_line(line().replace("|34|34|", "|-|0|"))
    assert whole
    assert whole.answers[0].code == "200"


def test_an_answer_without_a_status_line_is_no_answer() -> None:
    found = read_route_line(line(status="009"))
    assert found
    assert found.answers[0].code == "502"


@pytest.mark.parametrize(
    "text", ["", "\n", "a|b", "|" * 12, line().replace("0.003", "x"), line(attempts="2 : 2|1|1")]
)
def test_what_is_no_line_counts_for_nothing(text: str) -> None:
    found = read_route_line(text)
    assert found is None or found.answers[0].seconds is None


def test_front_counts_its_own_answers() -> None:
    assert read_front_line("413\n") == Counted((Answer("none", "none", "413", "live"),))
    assert read_front_line("009\n") is None
    assert read_front_line("") is None
