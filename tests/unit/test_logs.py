"""A16: whatever is logged is one line of JSON, and no log that fails fails a request."""

from __future__ import annotations

import io
import json
import logging
import math
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from slipway import logs

Lines = Callable[[], list[dict[str, Any]]]
HOSTILE = 'x\n{"level":"error"}\r\n\x1b[31m\u2028\u202e\x00é😀'


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    handlers, level = list(logging.root.handlers), logging.root.level
    yield
    structlog.reset_defaults()
    logging.root.handlers, logging.root.level = handlers, level


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    logs.configure("info")
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def log() -> Any:
    return structlog.get_logger("test")


def test_a_line_begins_with_when_how_important_and_what(lines: Lines) -> None:
    log().warning("it happened", number=3)
    (line,) = lines()
    assert list(line) == ["time", "level", "event", "number"]
    assert line["time"].endswith("Z")
    assert (line["level"], line["event"], line["number"]) == ("warning", "it happened", 3)


def test_A16_text_from_outside_stays_in_its_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure()
    log().info(HOSTILE, path=HOSTILE, **{HOSTILE: [HOSTILE]})
    logging.getLogger("library").error("said %s", HOSTILE)
    written = capsys.readouterr().out
    assert written.isascii()
    first, second = written.splitlines()
    assert json.loads(first)["path"] == HOSTILE
    assert json.loads(second)["event"] == f"said {HOSTILE}"
    assert "\x1b" not in written


@given(st.text(), st.dictionaries(st.text().filter(lambda name: name != "event"), st.text()))
def test_A16_any_text_makes_one_line_of_json(event: str, fields: dict[str, str]) -> None:
    stream = io.StringIO()
    kept, sys.stdout = sys.stdout, stream
    try:
        logs.configure()
        log()._proxy_to_logger("info", event, **fields)
    finally:
        sys.stdout = kept
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["event"] == event


def test_what_is_told_is_the_line_that_structlog_would_write(lines: Lines) -> None:
    fields: dict[str, Any] = {
        "path": "/x",
        "status": 200,
        "milliseconds": 0.125,
        "rows": 0,
        "detail": "",
    }
    error = raised()
    for level in ("info", "warning"):
        log()._proxy_to_logger(level, "request", **fields)
        logs.tell(level, "request", fields)
    log().error("request", exc_info=error, **fields)
    logs.tell("error", "request", fields, error)
    found = [list(line.items()) for line in lines()]
    for by_structlog, told in zip(found[::2], found[1::2], strict=True):
        assert told[1:] == by_structlog[1:]
    for line in found:
        name, time = line[0]
        assert name == "time"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z", time)
    assert found[5][-1] == ("exception", found[4][-1][1])


@pytest.mark.parametrize("text", [HOSTILE, "\x7f", "\ud800", "plain", '"\\'])
def test_A16_what_is_told_stays_in_its_line_of_printable_ascii(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure()
    logs.tell("info", text, {"path": text, "pair": f"a{text}"})
    written = capsys.readouterr().out
    assert re.fullmatch("[ -~]+\n", written)
    told = json.loads(written)
    assert (told["event"], told["path"], told["pair"]) == (text, text, f"a{text}")
    assert told["time"].endswith("Z")


@given(st.dictionaries(st.text(st.characters()), st.text(st.characters()) | st.floats()))
def test_A16_any_fields_are_told_as_one_line_of_sound_json(fields: dict[str, Any]) -> None:
    """Neither NaN nor infinity is JSON."""
    stream = io.StringIO()
    kept, sys.stdout = sys.stdout, stream
    try:
        logs.configure()
        logs.tell("info", "told", fields)
    finally:
        sys.stdout = kept
    written = stream.getvalue()
    assert re.fullmatch("[ -~]+\n", written)
    told = json.loads(written, parse_constant=pytest.fail)
    for name, value in ({"event": "told"} | fields).items():
        sound = isinstance(value, str) or math.isfinite(value)
        assert told[name] == (value if sound else None)


@pytest.mark.parametrize("level", logs.LEVELS)
def test_what_is_told_is_filtered_as_all_else_is(level: str, lines: Lines) -> None:
    logs.configure(level)
    for each in logs.LEVELS:
        logs.tell(each, "told", {})
    wanted = list(logs.LEVELS)[list(logs.LEVELS).index(level) :]
    assert [line["level"] for line in lines()] == wanted


def test_what_a_command_tells_is_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure_cli()
    logs.tell("info", "told", {})
    captured = capsys.readouterr()
    assert (captured.out, len(captured.err.splitlines())) == ("", 1)


def test_what_is_less_important_than_asked_for_is_not_written(lines: Lines) -> None:
    logs.configure("warning")
    log().info("quiet")
    log().error("loud")
    assert [line["event"] for line in lines()] == ["loud"]


def test_other_libraries_everyday_talk_is_not_passed_on(lines: Lines) -> None:
    logs.configure("debug")
    logging.getLogger("library").info("everyday")
    logging.getLogger("library").warning("worth it")
    assert [(line["event"], line["logger"]) for line in lines()] == [("worth it", "library")]


def test_to_configure_twice_does_not_write_twice(lines: Lines) -> None:
    logs.configure("info")
    logs.configure("info")
    log().info("ours")
    logging.getLogger("library").warning("theirs")
    assert len(lines()) == 2


def test_a_logger_made_before_follows_what_is_configured_later(lines: Lines) -> None:
    early = log()
    logs.configure("error")
    early.info("quiet")
    assert lines() == []


def test_a_commands_log_is_on_stderr_beside_its_data(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure_cli()
    log().warning("talk")
    logging.getLogger("library").warning("talk")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 2


def raised() -> Exception:
    try:
        raise ValueError("a user's own data")
    except ValueError as error:
        return error


def test_an_exception_is_told_by_its_place_and_kind_without_its_text(lines: Lines) -> None:
    """What a model raises may quote the request."""
    log().error("failed", exc_info=raised())
    try:
        raise raised()
    except ValueError:
        log().exception("failed")
        logging.getLogger("library").exception("failed")
    found = lines()
    assert len(found) == 3
    for line in found:
        assert line["level"] == "error"
        assert line["exception"].endswith("ValueError")
        assert "test_logs.py" in line["exception"]
        assert "a user's own data\n" not in line["exception"] + "\n"


def test_no_exception_at_hand_is_no_exception_in_the_line(lines: Lines) -> None:
    log().error("failed", exc_info=None)
    log().error("failed", exc_info=True)
    record = logging.LogRecord("x", logging.ERROR, "", 0, "failed", (), (None, None, None))
    logs.standard_handler().handle(record)
    assert ["exception" in line for line in lines()] == [False] * 3


@pytest.mark.parametrize(
    ("text", "values"), [("%d", ("x",)), ("%s %s", ("x",)), ("%(a)s", ({"b": 1},)), ("%", (1,))]
)
def test_a_library_that_formats_wrongly_is_told_as_it_stands(
    text: str, values: tuple[Any, ...], lines: Lines
) -> None:
    record = logging.LogRecord("library", logging.WARNING, "", 0, text, values, None)
    logs.standard_handler().handle(record)
    assert [line["event"] for line in lines()] == [text]


def test_what_json_does_not_know_is_told_as_text(lines: Lines) -> None:
    log().info("x", kind={1, 2}, error=ValueError("y"), raw=b"z")
    (line,) = lines()
    assert (line["error"], line["raw"]) == ("y", "b'z'")


class Broken(io.StringIO):
    """A disk that is full, or a reader that has gone."""

    def write(self, _text: str, /) -> int:
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("closed", [False, True])
def test_A12_a_log_that_cannot_be_written_is_lost_in_silence(
    closed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO() if closed else Broken()
    if closed:
        stream.close()
    monkeypatch.setattr(sys, "stdout", stream)
    logs.configure()
    log().error("lost")
    logs.tell("error", "lost", {})
    logging.getLogger("library").error("lost")


def test_a_line_has_a_bound_whatever_a_library_says(lines: Lines) -> None:
    logging.getLogger("library").warning("x" * 1_000_000)
    (line,) = lines()
    assert len(line["event"]) == logs.MAX_TEXT
    assert line["event"].endswith("…")


@given(st.text(), st.integers(1, 50))
def test_what_is_cut_keeps_its_beginning_and_shows_that_it_was_cut(text: str, length: int) -> None:
    short = logs.cut(text, length)
    assert len(short) <= length
    assert short == text or (short[-1] == "…" and text.startswith(short[:-1]))
